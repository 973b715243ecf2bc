// `npm run bench:loader`: how fast images come, without a network to wait for.
//
// Sets of files of the kinds that medical images arrive in are put into a temporary folder. Each is opened (which decodes
// and resizes every image once), then read in epochs from the cache, then taken to the network's input by the device.
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describeMachine, machineLines } from "../dist/benchmark/machine.js";
import { summary } from "../dist/benchmark/measure.js";
import { byteSize, columns } from "../dist/cli/console/wording.js";
import { crossEntropy, data, MedMamba, openDevice, optim, tensor } from "../dist/index.js";
import { toInput } from "../dist/models/input.js";
import { readArguments, wholeNumber } from "./arguments.mjs";
import { writeArchiveImages, writeDrawnImages } from "./image-files.mjs";
import { markdownTable, threeDigits, writeResults } from "./results-files.mjs";

const help = `npm run bench:loader -- [options]

  --png N          8-bit grey PNG files of 512 x 512; default 500
  --jpeg N         colour JPEG files of 1024 x 768; default 200
  --npz FILE       up to 2000 training images of a MedMNIST archive as PNG files,
                   too
  --image-size N   what they are resized to; default 224
  --batch-size N   default 32
  --seconds N      least time of a row that is repeated; default 2
  --threads N      of the device; default: all processors
  --with-model     four training steps of MedMamba tiny beside
  --json           print the results as one JSON object, and nothing else
  --write          keep the results as bench/results/loader-DATE.json and .md

  Images a second of:
  first reading   opening the data set: reading, decoding and resizing every file
  cached epoch    batches of the loader with the standard augmentation, all from
                  the cache: what the host does while training
  device input    batches to the network's input: transfer, augmentation and
                  normalisation in one pass`;

const options = readOptions();
const say = (line = "") => options.json || console.log(line);
const kinds = [
  { name: "PNG", width: 512, height: 512, channels: 1, count: options.png },
  { name: "JPEG", width: 1024, height: 768, channels: 3, count: options.jpeg },
].filter(({ count }) => count > 0);
if (options.npz) kinds.push({ name: `PNG, ${basename(options.npz, ".npz")}`, archive: options.npz });

const device = openDevice("cpu", { threads: options.threads });
const machine = describeMachine(device);
for (const line of machineLines(machine)) say(line);
const folder = await mkdtemp(join(tmpdir(), "medmamba-loader-"));
const rows = [];
let training = null;
try {
  for (const kind of kinds) rows.push(await measureKind(kind));
  if (options.withModel) training = await measureTraining();
} finally {
  await rm(folder, { recursive: true, force: true });
}
const table = resultTable();
say();
for (const line of columns(table)) say(line);
const comparison = training
  ? `MedMamba tiny trains on ${rateOf(training)} images/s here (batch ${options.batchSize}, ${options.imageSize} px).`
  : undefined;
if (comparison) say(`\n${comparison}`);
const settings = { ...options, npz: options.npz && basename(options.npz) };
const results = { machine, settings, rows, training };
if (options.json) console.log(JSON.stringify(results));
if (options.write) write();
device.close();

function readOptions() {
  return readArguments(
    "bench:loader",
    help,
    {
      png: { type: "string", default: "500" },
      jpeg: { type: "string", default: "200" },
      npz: { type: "string" },
      "image-size": { type: "string", default: "224" },
      "batch-size": { type: "string", default: "32" },
      seconds: { type: "string", default: "2" },
      threads: { type: "string", default: String(availableParallelism()) },
      "with-model": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
    (values) => {
      const count = (name, least) => wholeNumber(name, values[name], least);
      const parsed = {
        png: count("png", 0),
        jpeg: count("jpeg", 0),
        npz: values.npz,
        imageSize: count("image-size"),
        batchSize: count("batch-size"),
        seconds: count("seconds"),
        threads: count("threads"),
        withModel: values["with-model"],
        json: values.json,
        write: values.write,
      };
      if (parsed.png + parsed.jpeg === 0 && !parsed.npz)
        throw new TypeError("--png 0 and --jpeg 0 leave nothing to read");
      return parsed;
    },
  );
}

// ---- measuring -----------------------------------------------------------------------------------------------

async function measureKind(kind) {
  const root = join(folder, kind.name);
  say(`writing files: ${kind.name}`);
  const files = kind.archive
    ? await writeArchiveImages(root, kind.archive, 2000)
    : { ...kind, bytes: await writeDrawnImages(root, kind) };
  const start = performance.now();
  const { train } = await open(root);
  const reading = (performance.now() - start) / 1000;
  const loader = loaderOf(train);
  const epochs = await repeated(async () => {
    for await (const _ of loader);
  });
  return {
    name: kind.name,
    ...files,
    firstReading: { images: train.length, seconds: reading },
    cachedEpoch: { images: train.length, ...summary(epochs) },
    deviceInput: await measureInput(train),
  };
}

/** All images to train on; a missing validation or test split is no matter here. */
function open(root) {
  return data.openDataset(root, {
    preprocessing: { imageSize: options.imageSize },
    split: "train",
    validationFraction: 0,
    testFraction: 0,
    cacheBytes: 2 ** 33,
  });
}

function loaderOf(dataset) {
  const { batchSize } = options;
  return new data.Loader(dataset, { batchSize, shuffle: true, augmentation: data.augmentations.standard });
}

async function measureInput(dataset) {
  const first = await loaderOf(dataset)[Symbol.asyncIterator]().next();
  const batch = first.value;
  const seconds = await repeated(async () => {
    toInput(batch, dataset.preprocessing, device).dispose();
    await device.synchronize();
  });
  return { images: batch.shape[0], ...summary(seconds) };
}

/** Seconds of each repeat, after one to warm up: at least three, and as many as the time asked for holds. */
async function repeated(work) {
  await work();
  const seconds = [];
  const begin = performance.now();
  while (seconds.length < 3 || performance.now() - begin < 1000 * options.seconds) {
    const start = performance.now();
    await work();
    seconds.push((performance.now() - start) / 1000);
  }
  return seconds;
}

/** Four steps, after one to warm up; the wait for the next batch is not in their time. */
async function measureTraining() {
  say("training four steps of MedMamba tiny");
  const { train } = await open(join(folder, kinds[0].name));
  const model = new MedMamba({ variant: "tiny", numClasses: train.classes.length, device });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-4 });
  const loader = loaderOf(train);
  const seconds = [];
  const images = Math.min(options.batchSize, train.length);
  while (seconds.length < 5) {
    for await (const batch of loader) {
      if (seconds.length === 5 || batch.shape[0] !== images) break;
      const start = performance.now();
      const input = toInput(batch, train.preprocessing, device);
      const labels = tensor(batch.labels, [images], { dtype: "int64", device });
      optimizer.zeroGrad();
      const loss = crossEntropy(model.forward(input), labels);
      loss.backward();
      optimizer.step();
      await device.synchronize();
      for (const used of [loss, labels, input]) used.dispose();
      seconds.push((performance.now() - start) / 1000);
    }
  }
  return { images, ...summary(seconds.slice(1)) };
}

// ---- results -------------------------------------------------------------------------------------------------

/** Images a second, to three digits. */
function rateOf({ images, seconds }) {
  return threeDigits(images / seconds);
}

function resultTable() {
  const heading = ["files", "count", "mean size", "first reading", "cached epoch", "device input"];
  return [
    heading,
    ...rows.map(({ name, width, height, channels, count, bytes, ...measured }) => [
      `${name} ${width} x ${height} ${channels === 1 ? "grey" : "colour"}`,
      String(count),
      byteSize(bytes / count),
      ...[measured.firstReading, measured.cachedEpoch, measured.deviceInput].map(rateOf),
    ]),
  ];
}

function write() {
  const page = [
    `# How fast images come, at ${options.imageSize} px`,
    "",
    ...machineLines(machine).map((line) => `${line}  `),
    `Images a second; batches of ${options.batchSize}, standard augmentation.`,
    "",
    ...markdownTable(table),
    "",
    ...(comparison ? [comparison, ""] : []),
    "`npm run bench:loader -- --help` explains the columns.",
    "",
  ];
  const name = `loader-${machine.date.slice(0, 10)}`;
  say(`\n${writeResults(name, { json: results, markdown: page })}`);
}
