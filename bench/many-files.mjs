// `npm run bench:many-files -- --folder DIR`: a data set larger than one likes to keep in memory, from opening to epochs.
//
// The images of a folder are linked as many times as asked into two class folders, and opened in a process of its own for
// each way of keeping them, so that its peak memory is its own: not at all (an epoch decodes every image again), in memory, and
// in a folder on disk, in the process that fills it and in the next one. Nothing of the folder is copied or changed.
import { link, mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { basename, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describeMachine, machineLines } from "../dist/benchmark/machine.js";
import { byteSize, columns } from "../dist/cli/console/wording.js";
import { crossEntropy, data, MedMamba, openDevice, optim, tensor } from "../dist/index.js";
import { toInput } from "../dist/models/input.js";
import { readArguments, wholeNumber } from "./arguments.mjs";
import { measuredProcess } from "./measured-process.mjs";
import { markdownTable, threeDigits, writeResults } from "./results-files.mjs";

const help = `npm run bench:many-files -- --folder DIR [options]

  --folder DIR     images to repeat: those in it and below, of any kind that is read
  --entries N      images of the data set; default 20000
  --image-size N   what they are resized to; default 224
  --batch-size N   default 32
  --seconds N      of an epoch that are measured, at most; default 20
  --with-model     three training steps of MedMamba tiny beside
  --json           print the results as one JSON object, and nothing else
  --write          keep the results as bench/results/many-files-FOLDER-DATE.*

  opening   images a second: reading, checking and, unless kept, decoding
  epoch     images a second: batches of the loader with the standard augmentation
  memory    the most that the process had, with Node itself (about 60 MB)`;

const options = readArguments(
  "bench:many-files",
  help,
  {
    folder: { type: "string" },
    entries: { type: "string", default: "20000" },
    "image-size": { type: "string", default: "224" },
    "batch-size": { type: "string", default: "32" },
    seconds: { type: "string", default: "20" },
    "with-model": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    // Of a process that measures: the data set, and how its images are kept.
    measure: { type: "string" },
    cache: { type: "string", default: "off" },
    "cache-bytes": { type: "string" },
  },
  (values) => {
    if (!values.folder && !values.measure) throw new TypeError("--folder is missing: which images?");
    const count = (name) => wholeNumber(name, values[name]);
    return {
      ...values,
      entries: count("entries"),
      imageSize: count("image-size"),
      batchSize: count("batch-size"),
      seconds: count("seconds"),
      withModel: values["with-model"],
      cacheBytes: values["cache-bytes"] === undefined ? undefined : Number(values["cache-bytes"]),
    };
  },
);
if (options.measure) console.log(JSON.stringify(await measure(options.measure)));
else await compare();

async function compare() {
  const say = (line = "") => options.json || console.log(line);
  const device = openDevice("cpu", { threads: availableParallelism() });
  const machine = describeMachine(device);
  device.close();
  for (const line of machineLines(machine)) say(line);
  const folder = await mkdtemp(join(tmpdir(), "medmamba-many-files-"));
  const rows = [];
  let training = null;
  let files = 0;
  try {
    const root = join(folder, "images");
    files = await linkFiles(root);
    say(`${options.entries} images: ${files} files of ${basename(resolve(options.folder))}, repeated`);
    const store = join(folder, "store");
    const ways = [
      { name: "not kept", args: ["--cache", "off"] },
      { name: "in memory", args: ["--cache", "25%"] },
      { name: "on disk, first process", args: ["--cache", store, "--cache-bytes", "0"] },
      { name: "on disk, next process", args: ["--cache", store, "--cache-bytes", "0"] },
    ];
    for (const { name, args } of ways) rows.push({ name, ...(await measured(name, root, args)) });
    if (options.withModel) {
      const { report, error } = await measuredProcess("training", process.execPath, [
        ...[fileURLToPath(import.meta.url), "--measure", root, "--with-model"],
        ...["--cache", store, "--cache-bytes", "0", ...settingArguments()],
      ]);
      if (error) throw new Error(`training: ${error}`);
      training = report.training;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const table = [
    ["images kept", "opening", "epoch", "memory"],
    ...rows.map(({ name, opening, epoch, memory }) => [name, rate(opening), rate(epoch), byteSize(memory)]),
  ];
  say();
  for (const line of columns(table)) say(line);
  const load = `The machine's load was ${loadavg()[1].toFixed(1)} on ${availableParallelism()} processors.`;
  const distinct = `A folder on disk finds images by what they are: the first process decodes each of the ${files} files once.`;
  const notes = [distinct, load];
  if (training) {
    const settings = `(batch ${options.batchSize}, ${options.imageSize} px)`;
    notes.unshift(`MedMamba tiny trains on ${rate(training)} images/s here ${settings}.`);
  }
  for (const note of notes) say(`\n${note}`);
  const { imageSize, batchSize, entries } = options;
  const results = { machine, settings: { imageSize, batchSize, entries }, rows, training, load: loadavg() };
  if (options.json) console.log(JSON.stringify(results));
  if (!options.write) return;
  const lines = [
    `# ${entries} image files, at ${imageSize} px`,
    "",
    ...machineLines(machine).map((line) => `${line}  `),
    `${basename(resolve(options.folder))}, repeated; images a second; batches of ${batchSize}, standard augmentation.`,
    "",
    ...markdownTable(table),
    "",
    ...notes.flatMap((note) => [note, ""]),
    "`npm run bench:many-files -- --help` explains the columns.",
    "",
  ];
  say(
    `\n${writeResults(`many-files-${basename(resolve(options.folder))}-${machine.date.slice(0, 10)}`, { json: results, markdown: lines })}`,
  );
}

/** Images a second, to three digits. */
function rate({ images, seconds }) {
  return threeDigits(images / seconds);
}

async function measured(name, root, args) {
  const { report, error } = await measuredProcess(name, process.execPath, [
    ...[fileURLToPath(import.meta.url), "--measure", root, ...args, ...settingArguments()],
  ]);
  if (error) throw new Error(`${name}: ${error}`);
  return report;
}

function settingArguments() {
  const { imageSize, batchSize, seconds } = options;
  return ["--image-size", imageSize, "--batch-size", batchSize, "--seconds", seconds].map(String);
}

/** Links of the folder's images, in turn, in two class folders. */
async function linkFiles(root) {
  const names = await readdir(options.folder, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile() && data.imageExtensions.includes(extname(entry.name)));
  if (files.length === 0) throw new Error(`${options.folder} has no images in it`);
  for (const label of ["first", "second"]) await mkdir(join(root, label), { recursive: true });
  for (let i = 0; i < options.entries; ++i) {
    const file = files[i % files.length];
    const path = resolve(file.parentPath ?? file.path, file.name);
    const place = join(root, i % 2 ? "second" : "first", `${i}${extname(file.name)}`);
    await link(path, place).catch(() => symlink(path, place)); // Which another disk has no links to.
  }
  return files.length;
}

/** Of one way to keep images, in this process. */
async function measure(root) {
  const start = performance.now();
  const { train } = await data.openDataset(root, {
    preprocessing: { imageSize: options.imageSize },
    split: "train",
    validationFraction: 0,
    testFraction: 0,
    cache: options.cache,
    cacheBytes: options.cacheBytes,
  });
  const opening = { images: train.length, seconds: (performance.now() - start) / 1000 };
  const { batchSize } = options;
  const loader = new data.Loader(train, {
    batchSize,
    shuffle: true,
    augmentation: data.augmentations.standard,
  });
  if (options.withModel) return { training: await trainingSteps(train, loader) };
  const begin = performance.now();
  let images = 0;
  for await (const batch of loader) {
    images += batch.shape[0];
    if (performance.now() - begin > 1000 * options.seconds) break;
  }
  const epoch = { images, seconds: (performance.now() - begin) / 1000 };
  return { opening, epoch, memory: process.resourceUsage().maxRSS * 1024 };
}

/** Three, after one to warm up, with the wait for batches in their time. */
async function trainingSteps(train, loader) {
  const device = openDevice("cpu", { threads: availableParallelism() });
  const model = new MedMamba({ variant: "tiny", numClasses: train.classes.length, device });
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-4 });
  let steps = 0;
  let start = performance.now();
  for await (const batch of loader) {
    const input = toInput(batch, train.preprocessing, device);
    const labels = tensor(batch.labels, [batch.shape[0]], { dtype: "int64", device });
    optimizer.zeroGrad();
    const loss = crossEntropy(model.forward(input), labels);
    loss.backward();
    optimizer.step();
    await device.synchronize();
    for (const used of [loss, labels, input]) used.dispose();
    if (steps === 0) start = performance.now();
    if (++steps === 4) break;
  }
  return { images: 3 * options.batchSize, seconds: (performance.now() - start) / 1000 };
}
