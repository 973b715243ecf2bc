// `npm run bench:loader`: how fast images come, without a network to wait for.
//
// Two sets of files of the kinds that medical images arrive in are drawn into a temporary folder: smooth structure, as
// anatomy is, outlines on it, and noise, so that they compress as real ones do. Each is opened (which decodes and resizes
// every image once), then read in epochs from the cache, then taken to the network's input by the device.

import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { summary } from "../dist/benchmark/measure.js";
import { describeMachine, machineLines } from "../dist/cli/bench-machine.js";
import { byteSize, columns } from "../dist/cli/wording.js";
import { crossEntropy, data, MedMamba, openDevice, optim, tensor } from "../dist/index.js";
import { toInput } from "../dist/models/input.js";
import { markdownTable, threeDigits, writeResults } from "./results-files.mjs";

const help = `npm run bench:loader -- [options]

  --png N          8-bit grey PNG files of 512 x 512; default 500
  --jpeg N         colour JPEG files of 1024 x 768; default 200
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
const results = { machine, settings: options, rows, training };
if (options.json) console.log(JSON.stringify(results));
if (options.write) write();
device.close();

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        png: { type: "string", default: "500" },
        jpeg: { type: "string", default: "200" },
        "image-size": { type: "string", default: "224" },
        "batch-size": { type: "string", default: "32" },
        seconds: { type: "string", default: "2" },
        threads: { type: "string", default: String(availableParallelism()) },
        "with-model": { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(help);
      process.exit(0);
    }
    const count = (name, least = 1) => {
      if (/^\d+$/.test(values[name]) && Number(values[name]) >= least) return Number(values[name]);
      throw new TypeError(`--${name}: "${values[name]}" is not a whole number of ${least} or more`);
    };
    const parsed = {
      png: count("png", 0),
      jpeg: count("jpeg", 0),
      imageSize: count("image-size"),
      batchSize: count("batch-size"),
      seconds: count("seconds"),
      threads: count("threads"),
      withModel: values["with-model"],
      json: values.json,
      write: values.write,
    };
    if (parsed.png + parsed.jpeg === 0) throw new TypeError("--png 0 and --jpeg 0 leave nothing to read");
    return parsed;
  } catch (error) {
    console.error(`bench:loader: ${error.message}\n\n${help}`);
    process.exit(2);
  }
}

// ---- files to read -------------------------------------------------------------------------------------------

/** Deterministic words of 32 bits: Marsaglia's xorshift. */
function randomWords(seed) {
  let state = seed * 2654435761 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Noise of about three grey levels, long enough for the largest image to begin anywhere in its first half. */
function noiseTable(length) {
  const word = randomWords(1);
  return Int8Array.from({ length }, () => {
    const bits = word();
    return ((bits & 7) + ((bits >>> 3) & 7) + ((bits >>> 6) & 7) - 10) / 2;
  });
}

/** Writes `count` images into two class folders; returns the bytes of all files. */
async function writeImages(root, { name, width, height, channels, count }) {
  const classes = ["first", "second"];
  for (const label of classes) await mkdir(join(root, label), { recursive: true });
  const values = width * height * channels;
  const noise = noiseTable(2 * values);
  let bytes = 0;
  for (let i = 0; i < count; ++i) {
    const word = randomWords(i + 1);
    const image = await drawStructure(word, { width, height, channels });
    const start = word() % values;
    for (let k = 0; k < values; ++k) image[k] = Math.min(255, Math.max(0, image[k] + noise[start + k]));
    const raw = sharp(image, { raw: { width, height, channels } });
    const encoded = name === "PNG" ? raw.png() : raw.jpeg({ quality: 90 });
    const file = join(root, classes[i % 2], `${String(i).padStart(4, "0")}.${name.toLowerCase()}`);
    await encoded.toFile(file);
    bytes += (await stat(file)).size;
  }
  return bytes;
}

/** A few random values blown up to a smooth field, and ellipses with sharp borders on it. */
async function drawStructure(word, { width, height, channels }) {
  const coarse = Uint8Array.from({ length: 8 * 8 * channels }, () => 40 + (word() % 160));
  const ellipses = Array.from({ length: 12 }, () => {
    const [x, y] = [word() % width, word() % height];
    const [rx, ry] = [8 + (word() % (width >> 3)), 8 + (word() % (height >> 3))];
    return `<ellipse cx="${x}" cy="${y}" rx="${rx}" ry="${ry}" fill="hsl(${word() % 360} 30% ${word() % 90}%)"/>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${ellipses.join("")}</svg>`;
  const field = await sharp(coarse, { raw: { width: 8, height: 8, channels } })
    .resize(width, height, { fit: "fill", kernel: "cubic" })
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  const drawn = sharp(field.data, { raw: field.info }).composite([{ input: Buffer.from(svg) }]);
  return drawn
    .removeAlpha()
    .toColourspace(channels === 1 ? "b-w" : "srgb")
    .raw()
    .toBuffer();
}

// ---- measuring -----------------------------------------------------------------------------------------------

async function measureKind(kind) {
  say(`drawing ${kind.count} ${kind.name} files of ${kind.width} x ${kind.height}`);
  const root = join(folder, kind.name);
  const bytes = await writeImages(root, kind);
  const start = performance.now();
  const { train } = await open(root);
  const reading = (performance.now() - start) / 1000;
  const loader = loaderOf(train);
  const epochs = await repeated(async () => {
    for await (const _ of loader);
  });
  return {
    ...kind,
    bytes,
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
