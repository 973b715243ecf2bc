// `npm run bench:outliers -- --data FOLDER`: does a model know images that it was not trained for, and do its sets keep their promise?
//
// A small MedMamba is trained on each data set. Its test images are those of the right kind; of the wrong kind are the test
// images of every other set, noise, blank images, and its own test images inverted. Nothing of the wrong kind is seen in training.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describeMachine, machineLines } from "../dist/benchmark/machine.js";
import { columns } from "../dist/cli/console/wording.js";
import { data, evaluate, fit as fitModel, MedMamba, manualSeed, metrics, openDevice } from "../dist/index.js";
import { readArguments, wholeNumber } from "./arguments.mjs";
import { generator } from "./generator.mjs";
import { markdownTable, writeResults } from "./results-files.mjs";

const help = `npm run bench:outliers -- --data FOLDER [options]

  --data FOLDER    with the data sets, folders with labels.csv and .npz files
  --sets LIST      names of them, with commas between; default: all that are there
  --image-size N   what they are resized to; default 64
  --channels N     1 or 3 (default)
  --threads N      of the device; default 2
  --json           print the results as one JSON object, and nothing else
  --write          keep the results as bench/results/outliers-DATE.json and .md

  Columns: the share of images that are called unlike the training images, in
  percent. The first is of the right kind, and should be 5 or less; all others
  should be 95 or more.`;

/** Epochs by set: enough for a model that is better than chance. */
const known = {
  "busi-ultrasound": 12,
  "covid-chestxray": 30,
  "pneumoniamnist.npz": 4,
  "ham10000-dermoscopy": 8,
  "wbc-bloodcells": 20,
  "lc25000-lung-histology": 6,
  "mhh-chestxray-projection": 20,
};
const mostImages = 300;
const resplits = 200;

const options = readOptions();
const say = (line = "") => options.json || console.log(line);
const device = openDevice("cpu", { threads: options.threads });
const machine = describeMachine(device);
for (const line of machineLines(machine)) say(line);
const random = generator(12345);
const preprocessing = { imageSize: options.imageSize, channels: options.channels };
const sets = new Map();
for (const name of options.sets) sets.set(name, await open(name));
const results = [];
for (const name of options.sets) results.push(await measure(name));
device.close();
report();

function readOptions() {
  return readArguments(
    "bench:outliers",
    help,
    {
      data: { type: "string" },
      sets: { type: "string", default: Object.keys(known).join(",") },
      "image-size": { type: "string", default: "64" },
      channels: { type: "string", default: "3" },
      threads: { type: "string", default: "2" },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
    (values) => {
      if (!values.data) throw new TypeError("--data is needed: the folder with the data sets");
      const there = values.sets.split(",").filter((name) => existsSync(join(values.data, name)));
      if (there.length < 2) throw new TypeError(`${values.data} has fewer than two of ${values.sets}`);
      return {
        data: values.data,
        sets: there,
        imageSize: wholeNumber("image-size", values["image-size"], 32),
        channels: wholeNumber("channels", values.channels),
        threads: wholeNumber("threads", values.threads),
        json: values.json,
        write: values.write,
      };
    },
  );
}

function open(name) {
  const path = join(options.data, name);
  const table = join(path, "labels.csv");
  return data.openDataset(existsSync(table) ? table : path, { preprocessing, onWarning: () => {} });
}

// ---- images of the wrong kind -------------------------------------------------------------------------------

/** A data set of pixels, as if of the model's classes. */
function ofPixels(like, images) {
  const { classes, preprocessing } = like;
  const { channels, imageSize: side } = preprocessing;
  return {
    classes,
    preprocessing,
    length: images.length,
    labels: new Int32Array(images.length),
    sample: async (i) => ({ channels, height: side, width: side, data: images[i] }),
    name: (i) => `image ${i + 1}`,
  };
}

async function pixelsOf(dataset, most = mostImages) {
  const count = Math.min(dataset.length, most);
  const chosen = Array.from({ length: count }, (_, i) => Math.floor((i * dataset.length) / count));
  return Promise.all(chosen.map(async (i) => (await dataset.sample(i)).data));
}

function synthetic() {
  const plane = options.imageSize ** 2;
  const { channels } = options;
  const drawn = (count, value) =>
    Array.from({ length: count }, (_, i) => Uint8Array.from({ length: channels * plane }, () => value(i)));
  const grey = (count, value) =>
    Array.from({ length: count }, (_, i) => {
      const one = Uint8Array.from({ length: plane }, () => value(i));
      return Uint8Array.from({ length: channels * plane }, (_, at) => one[at % plane]);
    });
  const gauss = () => Math.max(0, Math.min(255, Math.round(128 + 50 * random.normal())));
  const uniform = () => Math.floor(256 * random.uniform());
  return {
    "Gaussian noise": [...drawn(50, gauss), ...grey(50, gauss)],
    "uniform noise": [...drawn(50, uniform), ...grey(50, uniform)],
    blank: Array.from({ length: 100 }, (_, i) =>
      new Uint8Array(channels * plane).fill(Math.round((255 * i) / 99)),
    ),
  };
}

// ---- measuring -----------------------------------------------------------------------------------------------

async function measure(name) {
  const parts = sets.get(name);
  const { val: validation, test } = parts;
  manualSeed(1);
  const { channels: inChannels } = options;
  const numClasses = parts.train.classes.length;
  const model = new MedMamba({
    dims: [48, 96, 192, 384],
    depths: [1, 1, 2, 1],
    numClasses,
    inChannels,
    device,
  });
  const epochs = known[name] ?? 10;
  let [epochSeconds, last] = [0, 0];
  const onProgress = (progress) => {
    if (progress.type !== "epoch") return;
    last = performance.now();
    epochSeconds += progress.record.seconds / epochs;
  };
  const { assurance } = await fitModel(model, {
    train: parts.train,
    validation,
    epochs,
    batchSize: 32,
    onProgress,
  });
  const assessSeconds = (performance.now() - last) / 1000;
  const right = await evaluate(model, test, { assurance });
  const flagged = async (images) =>
    shareOf((await scoresOf(model, ofPixels(parts.train, images), assurance)) ?? []);
  const limit = assurance.outliers.limit;
  const shareOf = (scores) => ({
    images: scores.length,
    flagged: Array.from(scores).filter((score) => score > limit).length,
  });
  const row = {
    set: name,
    images: parts.train.length,
    validation: validation.length,
    epochSeconds,
    assessSeconds,
  };
  row.accuracy = right.metrics.accuracy;
  row.auc = right.metrics.auc;
  row.assuranceOf = Object.fromEntries(
    ["calibration", "sets", "outliers"].map((part) => [part, assurance[part].reason ?? "there"]),
  );
  row.temperature = assurance.calibration.temperature;
  row.test = shareOf(right.outlierScores);
  row.wrong = {};
  for (const other of options.sets) {
    if (other !== name) row.wrong[other] = await flagged(await pixelsOf(sets.get(other).test));
  }
  for (const [kind, images] of Object.entries(synthetic())) row.wrong[kind] = await flagged(images);
  const inverted = (await pixelsOf(test, test.length)).map((pixels) => pixels.map((value) => 255 - value));
  row.wrong.inverted = await flagged(inverted);
  row.coverage = await coverage(model, [validation, test]);
  say(
    `${name}: done in ${epochs} epochs of ${epochSeconds.toFixed(1)} s, assessed in ${assessSeconds.toFixed(1)} s`,
  );
  model.dispose();
  return row;
}

async function scoresOf(model, dataset, assurance) {
  return (await evaluate(model, dataset, { assurance })).outlierScores;
}

/**
 * Validation and test images put together, divided in halves 200 times: on one a temperature and sets are fitted as `fit` does,
 * on the other it is counted how often the truth is in the set.
 */
async function coverage(model, parts) {
  const evaluations = [];
  for (const part of parts) evaluations.push(await evaluate(model, part));
  const classes = parts[0].classes.length;
  const labels = evaluations.flatMap(({ labels }) => [...labels]);
  const rows = evaluations.flatMap(({ probabilities, labels }) =>
    Array.from(labels, (_, i) => [...probabilities.subarray(i * classes, (i + 1) * classes)]),
  );
  const draw = generator(7);
  const found = {
    all: 0,
    forOneClass: Array(classes).fill(0),
    promised: Array(classes).fill(0),
    size: 0,
    single: 0,
  };
  const counts = Array(classes).fill(0);
  for (let split = 0; split < resplits; split++) {
    const order = labels.map((_, i) => i);
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(draw.uniform() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    const half = Math.floor(order.length / 2);
    const [own, others] = [order.slice(0, half), order.slice(half)];
    const pick = (list) => ({ labels: list.map((i) => labels[i]), rows: list.flatMap((i) => rows[i]) });
    const [fitting, judging] = [pick(own), pick(others)];
    const { temperature, found: isFound } = metrics.fitTemperature(
      fitting.labels,
      metrics.logitsOf(fitting.rows),
      classes,
    );
    const scaled = (list) =>
      isFound ? metrics.withTemperature(list, classes, temperature) : Float64Array.from(list);
    const conformal = metrics.fitConformalSets(fitting.labels, scaled(fitting.rows), classes, { risk: 0.1 });
    const probabilities = scaled(judging.rows);
    const hits = Array(classes).fill(0);
    const seen = Array(classes).fill(0);
    for (const [i, label] of judging.labels.entries()) {
      const set = metrics.conformalSet(probabilities.subarray(i * classes, (i + 1) * classes), conformal);
      const held = set.includes(label) ? 1 : 0;
      hits[label] += held;
      seen[label] += 1;
      found.all += held / judging.labels.length / resplits;
      found.size += set.length / judging.labels.length / resplits;
      found.single += (set.length === 1 ? 1 : 0) / judging.labels.length / resplits;
    }
    for (let label = 0; label < classes; label++) {
      const n = conformal.images[label];
      if (seen[label] === 0) continue;
      counts[label] += 1;
      found.forOneClass[label] += hits[label] / seen[label];
      // What is promised of so many images: not 0.9, but the next that they can keep.
      found.promised[label] += Math.min(1, Math.ceil((n + 1) * 0.9 - 1e-9) / (n + 1));
    }
  }
  found.forOneClass = found.forOneClass.map((sum, label) => sum / counts[label]);
  found.promised = found.promised.map((sum, label) => sum / counts[label]);
  found.images = parts[0].classes.map((_, label) => labels.filter((own) => own === label).length);
  found.classes = parts[0].classes;
  return found;
}

// ---- results -------------------------------------------------------------------------------------------------

function report() {
  const short = (name) => name.replace(/\.npz$/, "").split("-")[0];
  const percent = ({ images, flagged }) => ((100 * flagged) / images).toFixed(images < 100 ? 0 : 1);
  const kinds = [...options.sets, "Gaussian noise", "uniform noise", "blank", "inverted"];
  const outliers = [
    ["trained on", "own test", ...kinds.map(short)],
    ...results.map(({ set, test, wrong }) => [
      short(set),
      `${percent(test)} (${test.flagged}/${test.images})`,
      ...kinds.map((kind) => (wrong[kind] ? percent(wrong[kind]) : "-")),
    ]),
  ];
  const pairs = results.flatMap(({ set, wrong }) =>
    Object.entries(wrong).map(([kind, share]) => ({ set, kind, share: share.flagged / share.images })),
  );
  const short95 = pairs.filter(({ share }) => share < 0.95);
  const alarms = results.reduce((sum, { test }) => [sum[0] + test.flagged, sum[1] + test.images], [0, 0]);
  const sentences = [
    `${pairs.length - short95.length} of ${pairs.length} pairs reach 95 %. False alarms in all: ${alarms[0]} of ${alarms[1]} test images, ${((100 * alarms[0]) / alarms[1]).toFixed(1)} %.`,
    ...short95.map(
      ({ set, kind, share }) =>
        `Short of it: trained on ${short(set)}, shown ${short(kind)}: ${(100 * share).toFixed(0)} %.`,
    ),
  ];
  const shares = (list) => list.map((share) => (100 * share).toFixed(1)).join(", ");
  const coverageTable = [
    ["set", "images", "in the set", "by class", "can be promised", "classes in a set", "exactly one"],
    ...results.map(({ set, coverage: { all, forOneClass, promised, size, single, images } }) => [
      short(set),
      images.join(", "),
      (100 * all).toFixed(1),
      shares(forOneClass),
      shares(promised),
      size.toFixed(2),
      (100 * single).toFixed(1),
    ]),
  ];
  const costs = [
    ["set", "train", "validation", "epoch s", "assessment s", "accuracy", "AUC", "temperature"],
    ...results.map((row) => [
      short(row.set),
      ...[row.images, row.validation].map(String),
      row.epochSeconds.toFixed(1),
      row.assessSeconds.toFixed(1),
      row.accuracy.toFixed(3),
      row.auc.toFixed(3),
      row.temperature?.toFixed(2) ?? "-",
    ]),
  ];
  for (const table of [outliers, coverageTable, costs]) {
    say();
    for (const line of columns(table, { longest: Infinity })) say(line);
  }
  say();
  for (const sentence of sentences) say(sentence);
  const { data: _, ...settings } = options;
  if (options.json) console.log(JSON.stringify({ machine, settings, results }));
  if (!options.write) return;
  const page = [
    `# Images of another kind, and sets that keep their promise, at ${options.imageSize} px in ${options.channels} channels`,
    "",
    ...machineLines(machine).map((line) => `${line}  `),
    "",
    "## Called unlike the training images, in percent",
    "",
    ...markdownTable(outliers),
    "",
    ...sentences.map((sentence) => `${sentence}  `),
    "",
    `## How often the truth is in the set, in percent, at a risk of 10 %: means of ${resplits} divisions in halves`,
    "",
    ...markdownTable(coverageTable),
    "",
    "## What it costs",
    "",
    ...markdownTable(costs),
    "",
    "`npm run bench:outliers -- --help` explains the columns.",
    "",
  ];
  const name = `outliers-${options.channels === 3 ? "" : "grey-"}${machine.date.slice(0, 10)}`;
  say(`\n${writeResults(name, { json: { machine, settings, results }, markdown: page })}`);
}
