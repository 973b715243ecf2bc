// `npm run bench:explanations`: whether maps point at what they should, on images whose lesions are known.
//
// Networks that differ in nothing but the seed are trained on the images that `medmamba demo` draws, each in its turn; then each
// way to find a map is asked about cysts and masses that none has seen. A hit is a peak on the finding, or near it, as in the pointing
// game (https://arxiv.org/abs/1608.00507); images that the network calls something else do not count. Deletion and insertion are
// means over some of the images (docs/explaining.md).
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { describeMachine, machineLines } from "../dist/benchmark/machine.js";
import { columns } from "../dist/cli/console/wording.js";
import { demoClasses, drawDemoImage, writeDemoDataset } from "../dist/data/demo/demo.js";
import { streams } from "../dist/data/streams.js";
import {
  data,
  evaluate,
  explain,
  fidelity,
  fit as fitModel,
  MedMamba,
  manualSeed,
  openDevice,
} from "../dist/index.js";
import { RandomStream } from "../dist/tensor/random.js";
import { readArguments, wholeNumber } from "./arguments.mjs";
import { markdownTable, writeResults } from "./results-files.mjs";

const help = `npm run bench:explanations -- [options]

  --trainings N    networks, of seeds 0, 1 and so on; default 5
  --epochs N       of each training; default 12
  --images N       cysts, and as many masses, to look at; default 20
  --fidelity N     of these, whose maps are taken apart and put together; default 10
  --threads N      of the device; default: all processors
  --json           print the results as one JSON object, and nothing else
  --write          keep the results as bench/results/explanations-DATE.json and .md

  peak        of how many images the map's peak is on the finding, of those that
              are called what they are, one network after another
  deletion    mean probability of the class while pixels are taken away, the most
              important first: smaller is better
  insertion   the same while they come back: larger is better`;

const size = 64; // pixels, as the demo's images are
const near = Math.round((15 / 224) * size); // pixels beside the finding that count as on it
const methods = [
  { name: "occlusion", options: { method: "occlusion", batchSize: 64 } },
  { name: "grad-cam, stage 2 (the last)", options: { method: "grad-cam", stage: 2 } },
  { name: "grad-cam, stage 1", options: { method: "grad-cam", stage: 1 } },
  { name: "hirescam, stage 1", options: { method: "hirescam", stage: 1 } },
];

const options = readArguments(
  "bench:explanations",
  help,
  {
    trainings: { type: "string", default: "5" },
    epochs: { type: "string", default: "12" },
    images: { type: "string", default: "20" },
    fidelity: { type: "string", default: "10" },
    threads: { type: "string", default: String(availableParallelism()) },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
  (values) => {
    const count = (name, least) => wholeNumber(name, values[name], least);
    return {
      trainings: count("trainings"),
      epochs: count("epochs"),
      images: count("images"),
      fidelity: count("fidelity", 0),
      threads: count("threads"),
      json: values.json,
      write: values.write,
    };
  },
);
const say = (line = "") => options.json || console.log(line);

const device = openDevice("cpu", { threads: options.threads });
const machine = describeMachine(device);
for (const line of machineLines(machine)) say(line);
const preprocessing = data.definePreprocessing({ imageSize: size, channels: 1 });
const findings = await drawFindings();
const folder = await mkdtemp(join(tmpdir(), "medmamba-explanations-"));
const networks = [];
try {
  await writeDemoDataset(folder, { perClass: { train: 80, val: 20, test: 1 } });
  for (let seed = 0; seed < options.trainings; ++seed) networks.push(await measureTraining(seed));
} finally {
  await rm(folder, { recursive: true, force: true });
}
device.close();
const table = resultTable();
say();
for (const line of columns(table, { longest: 40 })) say(line);
const auc = networks.map((network) => network.auc.toFixed(3)).join(", ");
const summary = `Validation AUC ${auc}; seconds of training ${networks.map(({ seconds }) => Math.round(seconds)).join(", ")}.`;
say(`\n${summary}`);
const results = { machine, settings: options, networks };
if (options.json) console.log(JSON.stringify(results));
if (options.write) write();

// ---- measuring -----------------------------------------------------------------------------------------------

/** Cysts and masses as `writeDemoDataset` draws them for testing, with where the finding is. */
async function drawFindings() {
  const found = [];
  for (const name of ["cyst", "mass"]) {
    for (let i = 0; i < options.images; ++i) {
      const random = new RandomStream(0, streams.demo, 2, demoClasses.indexOf(name), i);
      const { pixels, finding } = drawDemoImage(name, size, random);
      const raw = { width: size, height: size, channels: 1 };
      found.push({
        name,
        finding,
        image: await sharp(pixels, { raw }).toColourspace("b-w").png().toBuffer(),
      });
    }
  }
  return found;
}

async function measureTraining(seed) {
  say(`training ${seed + 1} of ${options.trainings}`);
  const { train, val } = await data.openDataset(folder, { preprocessing });
  manualSeed(seed);
  const model = new MedMamba({
    depths: [1, 1, 1],
    dims: [32, 64, 128],
    inChannels: 1,
    numClasses: demoClasses.length,
    dropPathRate: 0,
    device,
  });
  const start = performance.now();
  await fitModel(model, { train, validation: val, epochs: options.epochs, batchSize: 16, seed });
  const seconds = (performance.now() - start) / 1000;
  const { metrics } = await evaluate(model, val);
  const classifier = { model, classes: [...demoClasses], preprocessing };
  const maps = [];
  for (const { name, options: how } of methods) maps.push({ method: name, ...(await look(classifier, how)) });
  model.dispose();
  return { seed, seconds, auc: metrics.auc, maps };
}

/** Hits among the images that are called what they are, and the curves' means over some of the images. */
async function look(classifier, how) {
  const every =
    options.fidelity === 0 ? Infinity : Math.max(1, Math.floor(findings.length / options.fidelity));
  let [hits, called] = [0, 0];
  const curves = [];
  for (const [i, { name, finding, image }] of findings.entries()) {
    const explanation = await explain(classifier, image, how);
    if (explanation.label === name) {
      called += 1;
      if (isHit(finding, explanation.peak)) hits += 1;
    }
    if (i % every === 0) curves.push(await fidelity(classifier, image, explanation, { steps: 8, orders: 2 }));
  }
  const mean = (of) => curves.reduce((sum, curve) => sum + of(curve), 0) / curves.length;
  return {
    hits,
    called,
    deletion: mean(({ deletion }) => deletion),
    insertion: mean(({ insertion }) => insertion),
    deletionByChance: mean(({ random }) => random.deletion),
    insertionByChance: mean(({ random }) => random.insertion),
  };
}

function isHit(finding, { row, column }) {
  return finding.some((is, pixel) => {
    const [down, across] = [Math.floor(pixel / size) - row, (pixel % size) - column];
    return is === 1 && Math.hypot(down, across) <= near;
  });
}

// ---- results -------------------------------------------------------------------------------------------------

function resultTable() {
  const mean = (list, of) => (list.reduce((sum, one) => sum + of(one), 0) / list.length).toFixed(2);
  const all = networks.flatMap(({ maps }) => maps);
  const heading = [
    "method",
    `peak on the finding, of ${findings.length}`,
    "together",
    `deletion, by chance ${mean(all, (map) => map.deletionByChance)}`,
    `insertion, by chance ${mean(all, (map) => map.insertionByChance)}`,
  ];
  const rows = methods.map(({ name }) => {
    const maps = networks.map((network) => network.maps.find(({ method }) => method === name));
    const [hits, called] = [
      maps.reduce((sum, map) => sum + map.hits, 0),
      maps.reduce((sum, map) => sum + map.called, 0),
    ];
    return [
      name,
      maps.map((map) => (map.called === findings.length ? map.hits : `${map.hits}/${map.called}`)).join(", "),
      `${((100 * hits) / called).toFixed(1)} %`,
      mean(maps, (map) => map.deletion),
      mean(maps, (map) => map.insertion),
    ];
  });
  return [heading, ...rows];
}

function write() {
  const page = [
    "# Where maps point, on images whose lesions are known",
    "",
    ...machineLines(machine).map((line) => `${line}  `),
    `${options.trainings} trainings of ${options.epochs} epochs; ${options.images} cysts and ${options.images} masses.`,
    "",
    ...markdownTable(table),
    "",
    summary,
    "",
    "`npm run bench:explanations -- --help` explains the columns.",
    "",
  ];
  const name = `explanations-${machine.date.slice(0, 10)}`;
  say(`\n${writeResults(name, { json: results, markdown: page })}`);
}
