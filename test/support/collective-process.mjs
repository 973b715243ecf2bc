/**
 * One rank of a job, for test/distributed: `node collective-process.mjs JSON` does one of the tasks below with the engine and device
 * that the JSON names, and writes what it found as JSON to a file of the folder that it names: a launcher would mix long lines.
 *
 * Under mpirun a rank is what the launcher says; otherwise what RANK and WORLD_SIZE say, and the id goes by a file.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findEngine } from "../../dist/distributed/engine.js";
import { captureGraph, nn, openDevice, safetensors, Tensor, tensor } from "../../dist/index.js";
import { loadAddon } from "../../dist/native/load.js";
import { ofRank } from "./collective-values.mjs";

const { env } = process;
const given = JSON.parse(process.argv[2]);
const rank = Number(env.RANK ?? env.OMPI_COMM_WORLD_RANK ?? env.PMI_RANK ?? 0);
const worldSize = Number(env.WORLD_SIZE ?? env.OMPI_COMM_WORLD_SIZE ?? env.PMI_SIZE ?? 1);
const device = openDevice(given.device, given.device === "cpu" ? { threads: given.threads ?? 1 } : {});

const hash = (array) => createHash("sha256").update(new Uint8Array(array.buffer)).digest("hex").slice(0, 16);
const base64 = async (t) => Buffer.from(new Uint8Array((await t.data()).buffer)).toString("base64");

/** At once, for who looks. */
function write(name, content) {
  const file = join(given.folder, name);
  writeFileSync(`${file}.part`, content);
  renameSync(`${file}.part`, file);
}

const tell = (said) => write(`${rank}.json`, JSON.stringify(said));

/** Until all ranks have told, or that is not to be expected. */
async function othersHaveTold() {
  const ranks = Array.from({ length: worldSize }, (_, rank) => join(given.folder, `${rank}.json`));
  for (let tries = 0; tries < 500 && !ranks.every((file) => existsSync(file)); tries++) await sleep(10);
}

async function idOf(engine) {
  const file = join(given.folder, "id");
  if (rank === 0) write("id", engine.id());
  while (!existsSync(file)) await sleep(5);
  return new Uint8Array(readFileSync(file));
}

/** Sums of values of several lengths: their hashes, and the values of the short ones. */
async function sums(communicator) {
  const results = [];
  for (const length of given.lengths) {
    const values = tensor(ofRank(rank, length), [length], { device });
    communicator.sum(values);
    const sum = await values.data();
    results.push({ length, hash: hash(sum), values: length <= 1000 ? [...sum] : undefined });
    values.dispose();
  }
  return results;
}

/** What one rank has goes to all, of several dtypes and lengths. */
async function moves(communicator) {
  const results = [];
  for (const length of [1, 16, 5003, 70_000]) {
    for (const Kind of [Float32Array, Int32Array, Uint8Array, BigInt64Array]) {
      const one = Kind === BigInt64Array ? BigInt : Number;
      const of = (r) => Kind.from({ length }, (_, i) => one((i * 7 + r * 13) % 251));
      for (const root of [0, worldSize - 1]) {
        const values = tensor(of(rank), [length], { device });
        communicator.broadcast(values, root);
        const [got, expected] = [await values.data(), of(root)];
        if (got.some((value, i) => value !== expected[i]))
          results.push(`broadcast of ${length} ${Kind.name} from ${root}`);
      }
      const x = tensor(of(rank), [length], { device });
      const y = Tensor.empty([worldSize, length], { device, dtype: x.dtype });
      communicator.gather(x, y);
      const all = await y.data();
      for (let r = 0; r < worldSize; r++)
        if (of(r).some((value, i) => value !== all[r * length + i]))
          results.push(`gather of ${length} ${Kind.name}`);
    }
  }
  return results;
}

/** A graph that adds up what is in it at each launch. */
async function graph(communicator) {
  const x = tensor(ofRank(rank, 5000), [5000], { device });
  communicator.sum(x); // makes its scratch memory
  await device.synchronize();
  const found = [];
  const captured = captureGraph(device, () => {
    const y = x.clone();
    communicator.sum(y);
    return y;
  });
  for (const round of [1, 2]) {
    x.upload(ofRank(rank + 10 * round, 5000));
    found.push(hash(await captured.launch().data()));
  }
  const before = [];
  for (const round of [1, 2]) {
    const y = tensor(ofRank(rank + 10 * round, 5000), [5000], { device });
    communicator.sum(y);
    before.push(hash(await y.data()));
  }
  await communicator.close();
  captured.launch();
  const error = await device.synchronize().then(
    () => "none",
    ({ message }) => message,
  );
  return { found, before, error };
}

/**
 * A block's forward and backward on this rank's share of a golden file's batch, with the statistics of the whole:
 * `given.shares` are images of each rank.
 */
async function block(communicator) {
  const golden = await safetensors.load(given.golden, { device });
  const [, height, width, channels] = golden.x.shape;
  const module = new nn.SSConvSSM(channels, { device });
  const named = Object.entries(golden).filter(([name]) => name in module.stateDict());
  module.loadStateDict(Object.fromEntries(named));
  module.train();
  module.recompute = given.recompute ?? false;
  module.communicator = communicator;
  const share = given.shares[rank];
  const before = given.shares.slice(0, rank).reduce((total, images) => total + images, 0);
  const shape = [share, height, width, channels];
  const own = (whole) => whole.view(shape, before * height * width * channels);
  const x = own(golden.x);
  x.requiresGrad = true;
  const y = module.forward(x);
  const results = { "out.y": await base64(y) };
  y.backward({ gradient: own(golden.dy) });
  results["grad.x"] = await base64(x.grad);
  for (const [name, parameter] of module.namedParameters()) {
    communicator.sum(parameter.grad);
    results[`grad.${name}`] = await base64(parameter.grad);
  }
  for (const [name, buffer] of module.namedBuffers())
    if (buffer.dtype === "float32") results[`after.${name}`] = await base64(buffer);
  return results;
}

/** Milliseconds of sums, the least and the median; by the host's clock, all ranks together. */
async function times(communicator) {
  const results = [];
  for (const length of given.lengths) {
    const values = tensor(ofRank(rank, length), [length], { device });
    const taken = [];
    for (let i = 0; i < given.runs; i++) {
      const begin = performance.now();
      communicator.sum(values);
      await device.synchronize();
      if (i > 1) taken.push(performance.now() - begin);
      values.upload(ofRank(rank, length));
      await device.synchronize();
    }
    taken.sort((a, b) => a - b);
    results.push({ length, least: taken[0], median: taken[taken.length >> 1] });
    values.dispose();
  }
  return results;
}

try {
  let communicator;
  let engine;
  if (worldSize > 1 || given.alone) {
    engine = findEngine(given.engine, device);
    const meeting = {
      id: await idOf(engine),
      rank,
      worldSize: given.pretend ?? worldSize,
      reduction: given.reduction,
    };
    communicator = await engine.connect(device, meeting);
  }
  const found = await { sums, moves, graph, block, times }[given.task](communicator);
  const { version, library } = engine ?? {};
  await communicator?.close();
  tell({ rank, version, library, found });
} catch (error) {
  tell({ rank, error: error.message, code: error.code });
  await othersHaveTold(); // The launcher ends them as soon as one of them fails.
  loadAddon().exitNow(3);
}
