/** Both MPIs, Slurm with two nodes, and two machines with a cable between: the same weights everywhere. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Launcher, mpich, namespaces, openMpi, slurm } from "../support/launchers.js";
import { programOf } from "../support/ranks.js";
import { jobFile, type RanksJob, type Trained, trainedOf, trainTogether } from "../support/ranks-training.js";
import { program as medmamba, repository } from "../support/repository.js";
import { writeSides } from "../support/sides.js";

const environment = { ...process.env, MEDMAMBA_THREADS: "1" };

/** What a command prints, which has to succeed. */
function linesOf(command: string, args: readonly string[], extra: object = {}): string[] {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    timeout: 120_000,
    killSignal: "SIGKILL",
    env: { ...environment, ...extra },
  });
  expect(status, stderr).toBe(0);
  return stdout.split("\n");
}

/** What the ranks say that one command starts, which has to be the same. */
function outcomeOf(command: string, args: readonly string[], ranks: number, extra: object = {}): Trained {
  const said = linesOf(command, args, extra).flatMap((line) => trainedOf([line]) ?? []);
  expect(said).toHaveLength(ranks);
  for (const other of said) expect(other).toEqual(said[0]);
  return said[0] as Trained;
}

const job: RanksJob = {};
const small = "--epochs 2 --device cpu --channels 1 --image-size 32 --depths 1,1 --dims 8,16";

/** By the control plane alone, for comparison. */
async function overTcp(worldSize: number): Promise<Trained> {
  const [first] = await trainTogether(job, { worldSize });
  return first?.trained as Trained;
}

const others = ({ carriage: _, ...rest }: Trained) => rest;

describe.each([openMpi, mpich].filter((launcher) => launcher !== undefined))(
  "mpirun of $name",
  ({ name, command, args }: Launcher) => {
    it.each([2, 3])("gives %i ranks the weights that they have over TCP", async (ranks) => {
      const program = [process.execPath, programOf("train"), await jobFile(job)];
      const trained = outcomeOf(command, [...args(ranks), ...program], ranks);
      expect(trained.carriage).toMatchObject({ engine: "mpi", worldSize: ranks });
      expect(JSON.stringify(trained.carriage)).toContain(name);
      expect(others(trained)).toEqual(others(await overTcp(ranks)));
    });

    it.each([2, 3])("makes %i ranks one process to rounding where BatchNorm sees all", async (ranks) => {
      const whole: RanksJob = { model: { dropPathRate: 0 }, options: { syncBatchNorm: true } };
      const program = [process.execPath, programOf("train"), await jobFile(whole)];
      const { losses } = outcomeOf(command, [...args(ranks), ...program], ranks);
      const [alone] = await trainTogether(whole, { worldSize: 1 });
      for (const [epoch, own] of losses.entries())
        for (const [which, loss] of own.entries()) {
          const other = alone?.trained?.losses[epoch]?.[which] as number;
          expect(Math.abs(loss - other), `${loss} beside ${other}`).toBeLessThan(1e-3 * Math.abs(other));
        }
    });

    it("leaves libc and the signals of its host alone", () => {
      const program = [process.execPath, programOf("guest")];
      const said = linesOf(command, [...args(2), ...program]).filter((line) => line.startsWith("{"));
      expect(said.map((line) => JSON.parse(line))).toEqual(
        Array.from({ length: 2 }, () => ({ engine: "mpi", written: 0, trap: "RuntimeError" })),
      );
    });

    it("keeps them so where a rank has fewer images of a batch, and refuses where one would have none", async () => {
      const few: RanksJob = {
        train: 3,
        model: { dropPathRate: 0 },
        options: { syncBatchNorm: true, batchSize: 4, epochs: 3 },
      };
      const program = [process.execPath, programOf("train"), await jobFile(few)];
      const { losses } = outcomeOf(command, [...args(2), ...program], 2);
      const [alone] = await trainTogether(few, { worldSize: 1 });
      for (const [epoch, [loss = 0]] of losses.entries()) {
        const other = alone?.trained?.losses[epoch]?.[0] ?? 0;
        expect(Math.abs(loss - other), `${loss} beside ${other}`).toBeLessThan(1e-3 * Math.abs(other));
      }
      const none = [process.execPath, programOf("train"), await jobFile({ ...few, train: 1 })];
      const { status, stderr } = spawnSync(command, [...args(2), ...none], {
        encoding: "utf8",
        timeout: 60_000,
        env: environment,
      });
      expect(status).toBe(1);
      const sentence = "ArgumentError: fit: 1 training images are fewer than the 2 processes: use fewer.";
      expect(stderr).toContain(sentence); // Of both, unless the launcher ends one when the other has.
    });

    it("ends soon, and not by itself, when a rank is killed", async () => {
      const started = performance.now();
      const child = spawn(command, [...args(2), process.execPath, programOf("group"), "hold"], {
        env: environment,
      });
      let [stdout, stderr, at] = ["", "", 0];
      child.stderr.on("data", (text: Buffer) => {
        stderr += text;
      });
      child.stdout.on("data", (text: Buffer) => {
        stdout += text;
        if (at > 0 || stdout.split('"ready"').length < 3) return;
        at = performance.now();
        const found = spawnSync("pgrep", ["-f", "group.mjs hold"], { encoding: "utf8" })
          .stdout.trim()
          .split("\n");
        const own = found.filter((pid) => isBelow(Number(pid), child.pid as number) && isNode(Number(pid)));
        process.kill(Number(own.at(-1)), "SIGKILL");
      });
      const code = await new Promise((resolve) => child.on("close", resolve));
      expect(at, stdout + stderr).toBeGreaterThan(started);
      expect(code).not.toBe(0);
      expect(performance.now() - at).toBeLessThan(10_000);
    });
  },
);

function isBelow(pid: number, ancestor: number): boolean {
  for (let at = pid; at > 1; ) {
    if (at === ancestor) return true;
    try {
      at = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${at}/status`, "utf8"))?.[1] ?? 0);
    } catch {
      return false;
    }
  }
  return false;
}

function isNode(pid: number): boolean {
  return readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "node";
}

describe.skipIf(!slurm)("srun on two nodes of Slurm", () => {
  let folder: string;
  const daemons: ChildProcess[] = [];
  const conf = () => ({ SLURM_CONF: join(folder, "slurm.conf") });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "medmamba-slurm-"));
    const port = 20_000 + (process.pid % 10_000);
    const lines = [
      "ClusterName=test",
      `SlurmctldHost=${hostname()}(127.0.0.1)`,
      "SlurmUser=root",
      "SlurmdUser=root",
      "AuthType=auth/munge",
      `AuthInfo=socket=${folder}/munge.socket`,
      "CredType=cred/munge",
      "CryptoType=crypto/munge",
      "MpiDefault=none",
      "ProctrackType=proctrack/linuxproc",
      "TaskPlugin=task/none",
      "SelectType=select/cons_tres",
      "SelectTypeParameters=CR_Core",
      "ReturnToService=2",
      "KillWait=2",
      `StateSaveLocation=${folder}/state`,
      `SlurmdSpoolDir=${folder}/%n`,
      `SlurmctldPidFile=${folder}/ctld.pid`,
      `SlurmdPidFile=${folder}/%n.pid`,
      `SlurmctldPort=${port}`,
      "SchedulerParameters=sched_interval=1",
      `NodeName=n1 NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${port + 1} CPUs=2 State=UNKNOWN`,
      `NodeName=n2 NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${port + 2} CPUs=2 State=UNKNOWN`,
      "PartitionName=all Nodes=n1,n2 Default=YES OverSubscribe=FORCE:4 MaxTime=INFINITE State=UP",
    ];
    for (const name of ["state", "n1", "n2"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "slurm.conf"), `${lines.join("\n")}\n`);
    writeFileSync(join(folder, "munge.key"), Buffer.alloc(128, 7), { mode: 0o400 });
    const start = (command: string, ...args: string[]) => {
      const child = spawn(command, args, { env: { ...environment, ...conf() }, stdio: "ignore" });
      child.on("error", () => {});
      daemons.push(child);
    };
    const munge = ["--key-file", "munge.key", "--socket", "munge.socket", "--pid-file", "munge.pid"];
    const seeds = ["--seed-file", "munge.seed", "--log-file", "munge.log"];
    const inFolder = [...munge, ...seeds].map((text) => (text.startsWith("--") ? text : join(folder, text)));
    start("/usr/sbin/munged", "--foreground", "--force", ...inFolder);
    await waiting(500);
    start("slurmctld", "-D", "-f", conf().SLURM_CONF, "-L", join(folder, "ctld.log"));
    for (const node of ["n1", "n2"])
      start("slurmd", "-D", "-N", node, "-f", conf().SLURM_CONF, "-L", join(folder, `${node}.log`));
    for (let i = 0; i < 120; i++) {
      const { stdout } = spawnSync("sinfo", ["-h", "-o", "%D %t"], {
        encoding: "utf8",
        env: { ...environment, ...conf() },
      });
      if (stdout.trim() === "2 idle") return;
      await waiting(250);
    }
    const logs = ["ctld", "n1", "n2"].map((name) =>
      readFileSync(join(folder, `${name}.log`), "utf8").slice(-1500),
    );
    throw new Error(`Slurm did not start: ${logs.join("\n")}`);
  }, 60_000);

  afterAll(async () => {
    for (const daemon of daemons.reverse()) daemon.kill("SIGTERM");
    await waiting(500);
    for (const daemon of daemons) daemon.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  const srun = (...args: string[]) => ["-N2", "-n2", ...args, process.execPath, programOf("train")];
  /** Both nodes are this machine, under names that it does not know. */
  const meeting = { MASTER_ADDR: "127.0.0.1" };

  it("gives the weights that two ranks have over TCP", async () => {
    const file = await jobFile(job);
    const trained = outcomeOf("srun", [...srun(), file], 2, { ...conf(), ...meeting });
    expect(others(trained)).toEqual(others(await overTcp(2)));
  });

  it.skipIf(!mpich)("ends soon when a rank is killed, though the other waits for it in MPI", async () => {
    const file = await jobFile({ options: { epochs: 1000 } });
    const child = spawn("srun", [...srun("--mpi=pmi2"), file], {
      env: { ...environment, ...conf(), ...meeting, MEDMAMBA_MPI: "libmpich.so.12" },
    });
    let [stdout, stderr, at] = ["", "", 0];
    child.stderr.on("data", (text: Buffer) => {
      stderr += text;
    });
    child.stdout.on("data", (text: Buffer) => {
      stdout += text;
      if (at > 0 || !stdout.includes("step 5")) return;
      at = performance.now();
      const found = spawnSync("pgrep", ["-f", `train.mjs ${file}`], { encoding: "utf8" }).stdout.split("\n");
      const own = found.map(Number).filter((pid) => pid > 0 && isNode(pid));
      const last = own.find((pid) => /\0SLURM_PROCID=1\0/.test(readFileSync(`/proc/${pid}/environ`, "utf8")));
      process.kill(last as number, "SIGKILL");
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(at, stdout + stderr).toBeGreaterThan(0);
    expect(performance.now() - at).toBeLessThan(10_000);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/rank 0: rank 1 \(process \d+ on .*\) is gone|Killed|exit/);
  });

  it("carries out the example's batch script, and goes on when that is submitted again", async () => {
    await writeSides(join(folder, "scans"), 40);
    const npx = `#!/bin/sh\nshift\nexec "${process.execPath}" "${medmamba}" "$@"\n`;
    writeFileSync(join(folder, "npx"), npx, { mode: 0o755 });
    // As it is, but for what these nodes have, and a model that takes seconds.
    const script = readFileSync(join(repository, "examples", "distributed", "train.sbatch"), "utf8")
      .replace("--ntasks-per-node=4", "--ntasks-per-node=1")
      .replace(/^#SBATCH --(gpus-per-node|cpus-per-task).*\n/gm, "")
      .replace("--batch-size 256 --epochs 100", `--batch-size 12 ${small}`);
    writeFileSync(join(folder, "train.sbatch"), script);
    for (const said of ["There is no checkpoint in run yet: a run begins.", "Nothing was left to train."]) {
      const { status, stderr } = spawnSync("sbatch", ["--wait", "--output=out.txt", "train.sbatch"], {
        cwd: folder,
        encoding: "utf8",
        timeout: 90_000,
        env: { ...environment, ...conf(), ...meeting, PATH: `${folder}:${process.env.PATH}` },
      });
      const out = readFileSync(join(folder, "out.txt"), "utf8");
      expect(status, stderr + out).toBe(0);
      expect(out).toContain("Processes 2, started by srun of Slurm; batch 12 = 2 x 6");
      expect(out).toContain(said);
    }
  }, 200_000);

  it.skipIf(!mpich)("gives the same by MPICH", async () => {
    const file = await jobFile(job);
    const extra = { ...conf(), ...meeting, MEDMAMBA_MPI: "libmpich.so.12" };
    const trained = outcomeOf("srun", [...srun("--mpi=pmi2"), file], 2, extra);
    expect(trained.carriage).toMatchObject({ engine: "mpi" });
    expect(others(trained)).toEqual(others(await overTcp(2)));
  });
});

describe.skipIf(!namespaces)("two machines with a cable between", () => {
  const [one, two] = [`mm-one-${process.pid}`, `mm-two-${process.pid}`];
  const ip = (...args: string[]) => {
    const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
    expect(status, `ip ${args.join(" ")}: ${stderr}`).toBe(0);
  };

  beforeAll(() => {
    for (const name of [one, two]) ip("netns", "add", name);
    ip("link", "add", "mm0", "netns", one, "type", "veth", "peer", "name", "mm1", "netns", two);
    for (const [name, link, address] of [
      [one, "mm0", "10.77.0.1/24"],
      [two, "mm1", "10.77.0.2/24"],
    ] as const) {
      ip("-n", name, "address", "add", address, "dev", link);
      ip("-n", name, "link", "set", link, "up");
      ip("-n", name, "link", "set", "lo", "up");
    }
  });

  afterAll(() => {
    for (const name of [one, two]) spawnSync("ip", ["netns", "del", name]);
  });

  const before = (rank: number) => ["ip", "netns", "exec", rank === 0 ? one : two];

  it("train to the weights that they have on one", async () => {
    const address = { host: "10.77.0.1", port: 29_511 };
    const outcomes = await trainTogether(job, { worldSize: 2, before, address });
    expect(
      outcomes.map(({ code }) => code),
      outcomes.map(({ stderr }) => stderr).join(""),
    ).toEqual([0, 0]);
    const [first, second] = outcomes.map(({ trained }) => trained as Trained);
    expect(second).toEqual(first);
    expect(others(first as Trained)).toEqual(others(await overTcp(2)));
  });

  it("need no IPv4 on a machine of their own", () => {
    const name = `mm-six-${process.pid}`;
    ip("netns", "add", name);
    try {
      ip("-n", name, "link", "set", "lo", "up");
      ip("-n", name, "address", "del", "127.0.0.1/8", "dev", "lo");
      const spawning = pathToFileURL(join(repository, "dist/distributed/spawn.js")).href;
      const command = JSON.stringify([process.execPath, programOf("group")]);
      const program = `import { spawnRanks } from ${JSON.stringify(spawning)};
        process.exitCode = (await spawnRanks({ command: ${command}, processes: 2 })).code;`;
      const start = [process.execPath, "--input-type=module", "-e", program];
      const { status, stdout, stderr } = spawnSync("ip", ["netns", "exec", name, ...start], {
        encoding: "utf8",
        timeout: 60_000,
        env: environment,
      });
      expect(status, stderr).toBe(0);
      expect(JSON.parse(stdout.split("\n")[1] ?? "")).toEqual([3, 0]);
    } finally {
      ip("netns", "del", name);
    }
  });

  it("end within ten seconds when the cable is out", async () => {
    const address = { host: "10.77.0.1", port: 29_512 };
    let [ready, at] = [0, 0];
    const { ranks } = await import("../support/ranks.js");
    const outcomes = await ranks("group", ["hold"], {
      worldSize: 2,
      before,
      address,
      onLine: (_, line) => {
        if (line !== '"ready"' || ++ready < 2) return;
        at = performance.now();
        ip("-n", one, "link", "set", "mm0", "down");
      },
    });
    for (const { code, stderr, at: ended } of outcomes) {
      expect(code, stderr).toBe(75);
      expect(stderr).toContain("has not been heard of for 8 seconds");
      expect(ended - at).toBeLessThan(10_000);
    }
  });
});

const waiting = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
