// How long a training step takes on this machine: one process with two threads and with one, and two processes with one thread
// each, with gradients added up after backward and beside it.
//
// A machine with other work is slow in spells: so all are measured in many short rounds, one after another, and the two ways of
// adding up within a process, step by step in turn. The least is what the machine can do, the median what it did.
//
//   node bench/distributed-steps.mjs MEASURE   is one process of a round, which writes its times as JSON into the file
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../dist/distributed/spawn.js";
import { data, distributed, MedMamba, openDevice, tasks } from "../dist/index.js";
import { trainingSettings } from "../dist/training/settings.js";
import { TrainingStep } from "../dist/training/step.js";

/** MedMamba tiny has all its gradients whatever the image; small ones leave little backward to hide a sum behind. */
export const problem = { side: 64, batch: 8, steps: 6, megabytes: 8 };

const script = fileURLToPath(import.meta.url);
if (process.argv[1] === script) await measure(process.argv[2]);

/** Times of steps in ms: `after` and `beside` backward, in turn. */
async function measure(file) {
  const { side, batch, steps, megabytes } = problem;
  const device = openDevice("cpu");
  const group = await distributed.init({ device });
  const own = batch / group.worldSize;
  const images = Uint8Array.from(
    { length: own * side * side * 3 },
    (_, i) => (i * 7 + group.rank * 13) % 251,
  );
  const labels = Int32Array.from({ length: own }, (_, i) => i % 2);
  const dataset = data.fromArrays({ images, shape: [own, side, side, 3], labels, classes: ["a", "b"] });
  const settings = trainingSettings({ batchSize: batch });
  const connection = group.worldSize > 1 ? await group.connect(device) : undefined;
  const ways = connection ? { after: 0, beside: megabytes } : { after: 0 };
  const taken = {};
  const trained = {};
  for (const [name, overlap] of Object.entries(ways)) {
    const model = new MedMamba({ variant: "tiny", numClasses: 2, device });
    model.train();
    const task = tasks.binary;
    const step = new TrainingStep({
      model,
      dataset,
      task,
      settings,
      graphs: false,
      group: asGroup(group, connection, overlap),
    });
    await step.connect();
    trained[name] = step;
    taken[name] = [];
  }
  const [whole] = await batchesOf(new data.Loader(dataset, { batchSize: own }));
  for (let number = 0; number <= steps; number++) {
    for (const [name, step] of Object.entries(trained)) {
      await group.barrier();
      const begin = performance.now();
      const loss = await step.take(whole, { step: number, lr: 1e-4, whole: batch });
      await loss.item();
      loss.dispose();
      if (number > 0) taken[name].push(performance.now() - begin); // The first one's memory is new.
    }
  }
  if (group.rank === 0)
    writeFileSync(file, JSON.stringify({ engine: connection?.version ?? connection?.engine ?? null, taken }));
  await group.close();
}

/** The group, as it would be with the other way of adding up. */
function asGroup(group, connection, overlap) {
  const { rank, worldSize, isAlone, isIdle } = group;
  return {
    ...{ rank, worldSize, isAlone, isIdle },
    connect: async () => ({ ...connection, overlap }),
    sum: (values) => group.sum(values),
    sumOnHost: (values, host) => group.sumOnHost(values, host),
  };
}

/** Who starts the processes of a round, and with how many threads each. */
const configurations = [
  { name: "1 process of 2 threads", ranks: 1, threads: 2 },
  { name: "1 process of 1 thread", ranks: 1, threads: 1 },
  { name: "2 of 1 thread, Open MPI", ranks: 2, threads: 1, mpirun: "mpirun.openmpi" },
  { name: "2 of 1 thread, MPICH", ranks: 2, threads: 1, mpirun: "mpirun.mpich" },
  { name: "2 of 1 thread, TCP", ranks: 2, threads: 1 },
];

/** Least and median ms of a step for each configuration and way, over that many rounds. */
export async function measureSteps(rounds) {
  const all = configurations.map(() => ({ engine: null, after: [], beside: [] }));
  for (let round = 0; round < rounds; round++)
    for (const [at, configuration] of configurations.entries()) {
      const said = await roundOf(configuration);
      if (!said) continue;
      all[at].engine = said.engine;
      for (const [way, taken] of Object.entries(said.taken)) all[at][way].push(...taken);
    }
  return configurations.map(({ name, ranks, threads }, at) => {
    const { engine, after, beside } = all[at];
    return {
      name,
      ranks,
      threads,
      engine,
      after: summary(after),
      beside: summary(beside),
      ratio: ratioOf(after, beside),
    };
  });
}

function summary(taken) {
  if (taken.length === 0) return null;
  const sorted = [...taken].sort((a, b) => a - b);
  return { least: sorted[0], median: sorted[sorted.length >> 1], steps: sorted.length };
}

/** The median of what a step beside was of the one after, measured just before it. */
function ratioOf(after, beside) {
  if (beside.length === 0) return null;
  const ratios = beside.map((own, i) => own / after[i]).sort((a, b) => a - b);
  return ratios[ratios.length >> 1];
}

/** The words by which an MPI's launcher, "mpirun.openmpi" or "mpirun.mpich", starts what follows them once a rank. */
export function launched(mpirun, ranks) {
  const isOpenMpi = mpirun === "mpirun.openmpi";
  const options = isOpenMpi ? ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"] : [];
  return [mpirun, ...options, "-n", `${ranks}`];
}

/** Undefined where that launcher is not there, or did not end. */
async function roundOf({ ranks, threads, mpirun }) {
  const folder = mkdtempSync(join(tmpdir(), "medmamba-steps-"));
  const file = join(folder, "times.json");
  const own = [process.execPath, script, file];
  const shared = { ...process.env, MEDMAMBA_THREADS: `${threads}`, OMPI_MCA_mpi_yield_when_idle: "1" };
  const port = await freePort();
  const commands = mpirun
    ? [{ command: [...launched(mpirun, ranks), ...own], env: shared }]
    : Array.from({ length: ranks }, (_, rank) => ({
        command: own,
        env: {
          ...shared,
          ...(ranks > 1 && {
            RANK: `${rank}`,
            LOCAL_RANK: `${rank}`,
            WORLD_SIZE: `${ranks}`,
            MASTER_ADDR: "127.0.0.1",
            MASTER_PORT: `${port}`,
            MEDMAMBA_JOB_TOKEN: "bench",
          }),
        },
      }));
  try {
    await Promise.all(commands.map(run));
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const run = ({ command: [program, ...args], env }) =>
  new Promise((resolve) => {
    const child = spawn(program, args, { env, stdio: ["ignore", "ignore", "inherit"], timeout: 120_000 });
    child.on("error", resolve);
    child.on("close", resolve);
  });

async function batchesOf(loader) {
  const batches = [];
  for await (const batch of loader) batches.push(batch);
  return batches;
}
