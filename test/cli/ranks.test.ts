/** `train` by several processes of this machine, and those of `mpirun`: one run, one voice, one exit code. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { copyFile, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { byTorchrun } from "../support/launched.js";
import { openMpi } from "../support/launchers.js";
import { program } from "../support/repository.js";
import { writeSides } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";

const settings =
  "--data data --channels 1 --image-size 32 --depths 1,1 --dims 8,16 --epochs 2 --batch-size 12";
const train = ["train", ...settings.split(" "), "--device", "cpu"];

beforeAll(async () => {
  await writeSides(join(root, "data"), 60);
}, 60_000);

const environment = { ...process.env, MEDMAMBA_THREADS: "1", MEDMAMBA_PROCESSES: "2" };

function medmamba(args: readonly string[], extra: object = {}) {
  return spawnSync(process.execPath, [program, ...args], {
    cwd: root,
    encoding: "utf8",
    timeout: 120_000,
    env: { ...environment, ...extra },
  });
}

const judge = (run: string, data = "data"): string[] => [
  ...["evaluate", "--checkpoint", `${run}/best.safetensors`, "--data", data, "--device", "cpu"],
];

/** Of each epoch, without the clock's share. */
function history(run: string): string[] {
  const lines = readFileSync(join(root, run, "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => {
    const { seconds: _, imagesPerSecond: __, ...record } = JSON.parse(line);
    return JSON.stringify(record);
  });
}

describe("train by two processes", () => {
  it("is one run, told by rank 0", () => {
    const { status, stdout, stderr } = medmamba([...train, "--out", "two"]);
    expect(status, stderr).toBe(0);
    expect(stdout).toContain("Processes 2, started by medmamba; batch 12 = 2 x 6");
    expect(stderr.match(/gradients of all processes pass through the first one, .*mpirun/g)).toHaveLength(1);
    expect(stdout.match(/^Data {6}/gm)).toHaveLength(1);
    expect(stdout).toContain("On 10 test images");
    expect(existsSync(join(root, "two", "report.html"))).toBe(true);
  });

  it("is judged by all in the end as by one, to the bit, where only rank 0 sees the run's folder", async () => {
    await mkdir(join(root, "elsewhere"));
    await symlink(join(root, "data"), join(root, "elsewhere", "data"));
    const args = [...train, "--out", "apart", "--json"];
    const outcomes = await byTorchrun(3, args, {
      folder: (rank) => (rank === 0 ? root : join(root, "elsewhere")),
    });
    for (const { code, stderr } of outcomes) expect(code, stderr).toBe(0);
    expect(outcomes.map(({ stdout }) => stdout.length > 0)).toEqual([true, false, false]);
    expect(existsSync(join(root, "elsewhere", "apart"))).toBe(false);
    const { test, uncertainty } = JSON.parse(outcomes[0]?.stdout ?? "");
    const alone = JSON.parse(medmamba([...judge("apart"), "--json"], { MEDMAMBA_PROCESSES: "" }).stdout);
    expect(alone).toMatchObject(test);
    expect(alone.uncertainty).toEqual(uncertainty);
  });

  it("evaluates with fewer images than processes as one does", async () => {
    const folder = join(root, "few");
    for (const [name, image] of [
      ["left", 0],
      ["right", 1],
    ] as const) {
      await mkdir(join(folder, name), { recursive: true });
      await copyFile(join(root, "data", name, `${image}.png`), join(folder, name, `${image}.png`));
    }
    const args = [...judge("two", "few"), "--split", "all", "--json"];
    const outcomes = await byTorchrun(3, args, { folder: root });
    for (const { code, stderr } of outcomes) expect(code, stderr).toBe(0);
    const { testLooks: _, seal: __, ...scores } = JSON.parse(outcomes[0]?.stdout ?? "");
    expect(scores.samples).toBe(2);
    expect(JSON.parse(medmamba(args, { MEDMAMBA_PROCESSES: "" }).stdout)).toMatchObject(scores);
  });

  it.skipIf(!openMpi)("has the same outcome by mpirun of Open MPI, which also evaluates", () => {
    const run = (...args: string[]) =>
      spawnSync(
        openMpi?.command as string,
        [...(openMpi?.args(2) ?? []), process.execPath, program, ...args],
        {
          cwd: root,
          encoding: "utf8",
          timeout: 120_000,
          env: { ...environment, MEDMAMBA_PROCESSES: "" },
        },
      );
    const { status, stderr } = run(...train, "--out", "mpi");
    expect(status, stderr).toBe(0);
    expect(history("mpi")).toEqual(history("two"));
    expect(stderr).not.toContain("pass through");
    const judged = [...judge("mpi"), "--json"];
    const shared = run(...judged);
    expect(shared.status, shared.stderr).toBe(0);
    const alone = medmamba(judged);
    const { testLooks: _, seal: __, ...scores } = JSON.parse(shared.stdout);
    expect(JSON.parse(alone.stdout)).toMatchObject(scores);
  });

  it("goes on after a process was killed, where it may start again", async () => {
    const args = [...train, "--out", "again", "--epochs", "40", "--max-restarts", "2"];
    const child = spawn(process.execPath, [program, ...args], { cwd: root, env: environment });
    let [stdout, stderr, killed] = ["", "", 0];
    child.stdout.on("data", (text: Buffer) => {
      stdout += text;
      if (killed > 0 || !/^ 3\/40/m.test(stdout)) return;
      killed += 1;
      const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")
        .trim()
        .split(" ");
      process.kill(Number(children.at(-1)), "SIGKILL");
    });
    child.stderr.on("data", (text: Buffer) => {
      stderr += text;
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(code, stderr).toBe(0);
    expect(stderr).toContain("is gone: its process has ended");
    expect(stderr).toContain("All processes start again (1 of at most 2 times)");
    expect(history("again")).toHaveLength(40);
  });

  it("passes SIGTERM on, and all stop and save", async () => {
    const args = [...train, "--out", "stopped", "--epochs", "200"];
    const child = spawn(process.execPath, [program, ...args], { cwd: root, env: environment });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (text: Buffer) => {
      if (!/^ +2\/200/m.test(stdout) && /^ +2\/200/m.test(stdout + text)) child.kill("SIGTERM");
      stdout += text;
    });
    child.stderr.on("data", (text: Buffer) => {
      stderr += text;
    });
    expect(await new Promise((resolve) => child.on("close", resolve)), stderr).toBe(1);
    expect(stderr.match(/--resume` goes on from there/g)).toHaveLength(1);
    expect(existsSync(join(root, "stopped", "last.safetensors"))).toBe(true);
    const more = ["train", "--out", "stopped", "--resume", "--epochs", "201", "--device", "cpu"];
    const again = spawn(process.execPath, [program, ...more], {
      cwd: root,
      env: { ...environment, MEDMAMBA_PROCESSES: "3" },
    });
    stdout = "";
    again.stdout.on("data", (text: Buffer) => {
      if (!/^ +4\/201/m.test(stdout) && /^ +4\/201/m.test(stdout + text)) again.kill("SIGTERM");
      stdout += text;
    });
    await new Promise((resolve) => again.on("close", resolve));
    expect(stdout).toContain("Resumed   by 3 processes, before by 2: from here on with other bits");
  });

  it.each([
    [["--batch-size", "11"], {}, /a batch of 11 images cannot be divided among 2 processes/],
    [["--data", "nowhere"], {}, /nowhere: there is no such data set/],
    [
      ["--gpus", "2"],
      {
        MEDMAMBA_PROCESSES: "",
        RANK: "0",
        LOCAL_RANK: "0",
        WORLD_SIZE: "2",
        MASTER_ADDR: "a",
        MASTER_PORT: "1",
      },
      /--gpus starts processes, but torchrun has started 2 already/,
    ],
    [["--gpus", "0"], { MEDMAMBA_PROCESSES: "" }, /--gpus 0 is no number of GPUs/],
    [
      ["--gpus", "9999"],
      { MEDMAMBA_PROCESSES: "" },
      /--gpus(: there is no GPU that can be used here| 9999: this mac)/,
    ],
    [["--max-restarts", "1"], { MEDMAMBA_PROCESSES: "" }, /--max-restarts goes with --gpus/],
  ])("is refused once with %j", (args, extra, sentence) => {
    const { status, stderr } = medmamba([...train, "--out", "never", ...args], extra);
    expect(status).toBeGreaterThan(0);
    expect(stderr).toMatch(sentence);
    expect(stderr.match(new RegExp(sentence, "g"))).toHaveLength(1);
  });
});
