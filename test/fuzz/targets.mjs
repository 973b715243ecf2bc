/**
 * What reads files or hears from other machines, each with a sound file to begin from. A target may succeed, or refuse with an error of the package; all
 * else is a fault.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { Command } from "commander";
import { unzipSync, zipSync } from "fflate";
import sharp from "sharp";
import { define } from "../../dist/cli/commands/train.js";
import { argumentsOfConfig } from "../../dist/cli/console/config.js";
import { openFrames } from "../../dist/data/decoding/decoder.js";
import { describeDicom, dicomIdentity } from "../../dist/data/decoding/dicom/describe.js";
import { describeArchive } from "../../dist/data/sources/describe.js";
import {
  convert,
  data,
  fit as fitModel,
  loadCheckpoint,
  MedMamba,
  reports,
  safetensors,
} from "../../dist/index.js";
import { framesOfRank, framesOfRank0, hearRank, hearRank0 } from "./ranks.mjs";

/** One file of every way to write pixels, and of what else is parsed. */
const dicom = [
  "implicit-12",
  "big-endian-16-signed",
  "deflated-12",
  "functional-groups",
  "palette-segments",
  "both-tables",
  "rle-12",
  "jpeg-baseline-rgb",
  "jpeg-progressive-8",
  "jpeg-extended-12",
  "jpeg-lossless-16",
  "jpeg-ls-rgb",
  "jpeg-2000-12",
  "htj2k-rgb",
  "fragments-extended-table",
];

/** A report and a capture about an image that may say anything of itself. */
async function reportOf(path) {
  const source = await reports.dicomSource(path);
  const prediction = { label: "a", labels: ["a"], probability: 1, probabilities: { a: 1, b: 0 } };
  const model = { classes: ["a", "b"], checkpointHash: "ab".repeat(32) };
  reports.structuredReport([{ source }], prediction, model);
  const map = { width: 1, height: 1, data: new Float32Array(1) };
  const picture = {
    width: 2,
    height: 2,
    channels: 1,
    bitDepth: 8,
    photometric: "grey",
    data: new Uint8Array(4),
  };
  const seen = { map, picture, placement: { top: 0, left: 0, width: 1, height: 1 } };
  const peak = { row: 0, column: 0, value: 0 };
  const explanation = {
    ...prediction,
    ...seen,
    peak,
    scale: 1,
    explained: "a",
    method: "occlusion",
    stage: undefined,
  };
  reports.secondaryCapture({ source }, explanation, model);
}

const preprocessing = { imageSize: 8, channels: 1 };
const published = new URL("../fixtures/pth/parallel.pth", import.meta.url);
const oldRun = new URL("../fixtures/run-0.1.0/", import.meta.url);

/** @typedef {{ file: string, original: Buffer, read: (path: string) => Promise<unknown> }} Target */

/** @returns {Promise<Record<string, Target>>} */
export async function makeTargets(folder) {
  const picture = sharp(
    Uint8Array.from({ length: 32 * 24 * 3 }, (_, i) => (i * 31) % 256),
    { raw: { width: 32, height: 24, channels: 3 } },
  );
  const images = {};
  for (const [format, ending] of Object.entries({
    png: "png",
    jpeg: "jpg",
    tiff: "tif",
    webp: "webp",
    gif: "gif",
  })) {
    const original = await picture.clone().toFormat(format).toBuffer();
    const read = (path) => data.loadImage(path, preprocessing);
    images[format] = { file: `image.${ending}`, original, read };
  }
  for (const name of dicom) {
    const original = readFileSync(new URL(`../fixtures/dicom/${name}.dcm`, import.meta.url));
    const read = (path) => readDicom(path);
    images[`dicom ${name}`] = { file: "image.dcm", original, read };
  }
  // As test/support/dicom-study.ts makes them.
  const source = readFileSync(new URL("../fixtures/study-image.dcm", import.meta.url));
  images["dicom report"] = { file: "image.dcm", original: source, read: reportOf };
  for (const [name, file] of Object.entries(volumes())) {
    const reading = { ...preprocessing, slices: "coronal", bitDepth: 16 };
    images[name] = { ...file, read: (path) => data.loadImage(path, reading) };
  }
  const windowed = { ...preprocessing, window: "percentile" };
  const measured = golden("tiff.json")["float64, tiled"].file;
  images.measured = {
    file: "measured.tif",
    original: Buffer.from(measured, "base64"),
    read: (path) => data.loadImage(path, windowed),
  };
  mkdirSync(join(folder, "images"), { recursive: true });
  const rows = ["path,label,split,patient,weight"];
  for (let i = 0; i < 12; ++i) {
    writeFileSync(join(folder, "images", `${i}.png`), images.png.original);
    rows.push(`images/${i}.png,${i % 2 ? "benign" : "malignant"},${["train", "val", "test"][i % 3]},p${i},1`);
  }
  const open = (path) => data.openDataset(path, { preprocessing });
  const checkpoint = readFileSync(new URL("best.safetensors", oldRun));
  return {
    ...images,
    safetensors: { file: "w.safetensors", original: checkpoint, read: loadTensors },
    checkpoint: { file: "best.safetensors", original: checkpoint, read: openCheckpoint },
    pth: { file: "w.pth", original: readFileSync(published), read: convertWeights },
    pickle: { file: "data.pkl", original: Buffer.from(pthRecords()["data.pkl"]), read: convertPickle },
    training: {
      file: "last.safetensors",
      original: readFileSync(new URL("last.safetensors", oldRun)),
      read: resume,
    },
    archive: { file: "set.npz", original: archive(), read: open },
    arrays: { file: "described.npz", original: archive(), read: describeArchive },
    stored: { file: "set.npz", original: archive({ level: 0 }), read: open },
    table: { file: "set.csv", original: Buffer.from(`${rows.join("\n")}\n`), read: open },
    config: {
      file: "config.yaml",
      original: Buffer.from(
        "epochs: 3\ndims: [16, 32]\nlr: 1e-3\nflip: false\nclass-weights: 1,2.5\ninit: &a x\nout: *a\n",
      ),
      read: (path) => argumentsOfConfig(trainCommand(), ["--config", path]),
    },
    "a rank": { file: "rank.bin", original: framesOfRank, read: hearRank },
    "rank 0": { file: "rank-0.bin", original: framesOfRank0, read: hearRank0 },
  };
}

/** Volumes, compressed and not, of both versions and byte orders. */
function volumes() {
  const { small } = golden("nifti.json");
  const packed = (name) => Buffer.from(small[name].file, "base64");
  return {
    nifti: { file: "volume.nii", original: gunzipSync(packed("4-D")) },
    nifti2: { file: "volume2.nii", original: gunzipSync(packed("version 2, big-endian")) },
    niftiPacked: { file: "volume.nii.gz", original: packed("not finite") },
  };
}

function golden(name) {
  return JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), "utf8"));
}

function trainCommand() {
  const command = new Command("train");
  define(command);
  return command;
}

/** What the file says of itself, and its pictures; asked for one after the other, so that neither hides the other's errors. */
async function readDicom(path) {
  const bytes = readFileSync(path);
  describeDicom(bytes);
  dicomIdentity(bytes);
  const frames = await openFrames({ bytes, file: path });
  for (const frame of [0, frames.count - 1]) await frames.frame(frame);
  await data.loadImage(path, preprocessing);
}

async function loadTensors(path) {
  for (const tensor of Object.values(await safetensors.load(path))) tensor.dispose();
}

async function openCheckpoint(path) {
  (await loadCheckpoint(path)).model.dispose();
}

async function convertWeights(path) {
  await convert(path, `${path}.safetensors`, { overwrite: true });
}

/** The pickle in the place of the one that belongs to the file's records, so that no checksum stands before it. */
async function convertPickle(path) {
  const whole = `${path}.pth`;
  const records = Object.entries({ ...pthRecords(), "data.pkl": readFileSync(path) });
  const named = records.map(([name, bytes]) => [`archive/${name}`, bytes]);
  writeFileSync(whole, zipSync(Object.fromEntries(named), { level: 0 }));
  await convertWeights(whole);
}

/** By their names without the folder that all are in. */
function pthRecords() {
  const records = Object.entries(unzipSync(readFileSync(published)));
  return Object.fromEntries(records.map(([name, bytes]) => [name.slice(name.indexOf("/") + 1), bytes]));
}

/** A training goes on from the file, on the data and with the settings that it was begun with. */
async function resume(path) {
  const model = new MedMamba({ depths: [1, 1], dims: [4, 8], dState: 4, inChannels: 1, numClasses: 2 });
  try {
    const train = data.fromArrays({
      images: new Uint8Array(12 * 256),
      shape: [12, 16, 16],
      labels: Array.from({ length: 12 }, (_, i) => Math.floor(i / 6)),
      classes: ["benign", "malignant"],
    });
    const controller = new AbortController();
    await fitModel(model, {
      train,
      directory: join(path, ".."),
      resume: true,
      epochs: 2,
      batchSize: 4,
      lr: 1e-3,
      averageDecay: 0.5,
      warmupEpochs: 0,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
  } finally {
    model.dispose();
  }
}

function npy(dtype, shape, elements) {
  const literal = `{'descr': '${dtype}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const text = `${literal.padEnd(Math.ceil((literal.length + 11) / 64) * 64 - 11)}\n`;
  const head = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${text}`, "latin1");
  head.writeUInt16LE(text.length, 8);
  return Buffer.concat([head, elements]);
}

function archive(options = {}) {
  const arrays = {};
  for (const [split, count] of Object.entries({ train: 6, val: 3, test: 3 })) {
    arrays[`${split}_images.npy`] = npy("|u1", [count, 8, 8], Buffer.alloc(count * 64, 7));
    arrays[`${split}_labels.npy`] = npy(
      "<i8",
      [count, 1],
      Buffer.from(BigInt64Array.from({ length: count }, (_, i) => BigInt(i % 3)).buffer),
    );
  }
  return Buffer.from(zipSync(arrays, options));
}
