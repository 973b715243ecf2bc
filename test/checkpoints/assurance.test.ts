/** What a checkpoint knows of how far it can be believed: that it comes back, and that nothing damaged is believed. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  ArgumentError,
  type Assurance,
  data,
  loadCheckpoint,
  metrics,
  readCheckpoint,
  safetensors,
  saveCheckpoint,
  WeightsError,
} from "../../src/index.js";
import { failure } from "../support/failure.js";
import { side, sideClasses, tinyModel } from "../support/sides.js";
import { root } from "../support/temporary-folder.js";

const preprocessing = data.definePreprocessing({ imageSize: side, channels: 1 });
const waves = (count: number, from = 0) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(from + i * i));
const assurance: Assurance = {
  images: { train: 20, validation: 40 },
  calibration: { temperature: 1.25, before: 0.7, after: 0.6 },
  sets: {
    risks: [0.1, 0.2],
    least: [
      [0.25, null],
      [0.125, 0.5],
    ],
    images: [30, 8],
  },
  outliers: metrics.fitOutlierPanel([
    { name: "stage 1", width: 3, directions: 2, train: waves(60), validation: waves(90, 1) },
  ]),
};
const model = tinyModel();
const path = join(root, "assured.safetensors");
const described = { config: model.config, classes: sideClasses, preprocessing };

beforeAll(() => saveCheckpoint(path, model.stateDict(), { ...described, assurance }));

describe("an assurance", () => {
  it("comes back from the file as it was, and leaves the weights alone", async () => {
    expect((await readCheckpoint(path)).assurance).toEqual(assurance);
    const loaded = await loadCheckpoint(path);
    expect(loaded.assurance).toEqual(assurance);
    loaded.model.dispose();
    const weights = await safetensors.load(path);
    expect(Object.keys(weights).sort()).toEqual(Object.keys(model.stateDict()).sort());
  });

  it("comes back with reasons in the place of what there is not", async () => {
    const reasons = { calibration: { reason: "a" }, sets: { reason: "b" }, outliers: { reason: "c" } };
    const other = join(root, "reasons.safetensors");
    const without = { images: assurance.images, ...reasons };
    await saveCheckpoint(other, model.stateDict(), { ...described, assurance: without });
    expect((await readCheckpoint(other)).assurance).toEqual(without);
  });

  it("is not there in checkpoints without", async () => {
    const other = join(root, "old.safetensors");
    await saveCheckpoint(other, model.stateDict(), described);
    expect((await readCheckpoint(other)).assurance).toBeUndefined();
    expect((await readFile(other)).includes("assurance")).toBe(false);
  });

  it("is not written if it cannot be read again", async () => {
    const wrong = { ...assurance, images: { train: -1, validation: 2 } };
    const message = await failure(
      ArgumentError,
      saveCheckpoint(join(root, "wrong.safetensors"), model.stateDict(), { ...described, assurance: wrong }),
    );
    expect(message).toBe(
      `saveCheckpoint: the assurance cannot be written: the checkpoint's "assurance" is damaged in "images.train".`,
    );
  });
});

/** The file with its assurance changed; the header is written anew. */
async function damaged(change: (fields: Record<string, never>) => unknown): Promise<string> {
  const bytes = await readFile(path);
  const headerBytes = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString());
  const fields = JSON.parse(header.__metadata__.assurance);
  const changed = change(fields);
  header.__metadata__.assurance = ["{", "null", "[]"].includes(changed as string)
    ? changed
    : JSON.stringify(fields);
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  const other = join(root, "damaged.safetensors");
  await writeFile(other, Buffer.concat([prefix, text, bytes.subarray(8 + headerBytes)]));
  return other;
}

// biome-ignore lint/suspicious/noExplicitAny: it is what a file might say
type Change = (value: Record<string, any>) => unknown;
const long = Buffer.alloc(4 * 1000).toString("base64");
const notFinite = Buffer.from(Float32Array.of(1, Number.NaN, 2).buffer).toString("base64");
const negative = Buffer.from(Float32Array.of(1, -1, 2).buffer).toString("base64");

describe("a damaged assurance", () => {
  it.each<[string, Change]>([
    ["", () => "{"],
    ["", () => "null"],
    ["", () => "[]"],
    ["images", (value) => delete value.images],
    ["images.validation", (value) => (value.images.validation = 0.5)],
    ["calibration", (value) => (value.calibration = 2)],
    ["calibration.temperature", (value) => (value.calibration.temperature = 0)],
    ["calibration.temperature", (value) => (value.calibration.temperature = "1")],
    ["calibration.reason", (value) => (value.calibration = { reason: "\u001b[2J" })],
    ["sets", (value) => (value.sets = [])],
    ["sets.risks", (value) => (value.sets.risks = [])],
    ["sets.risks", (value) => (value.sets.risks = [0.2, 0.1])],
    ["sets.risks", (value) => (value.sets.risks = [0.1, 1])],
    ["sets.least", (value) => value.sets.least.pop()],
    ["sets.least", (value) => value.sets.least[0].push(0.1)],
    ["sets.least", (value) => (value.sets.least[0][0] = -0.1)],
    ["sets.images", (value) => (value.sets.images = [1])],
    ["outliers", (value) => (value.outliers = "x")],
    ["outliers.limit", (value) => (value.outliers.limit = null)],
    ["outliers.falseAlarms", (value) => (value.outliers.falseAlarms = 2)],
    ["outliers.views", (value) => (value.outliers.views = [])],
    ["outliers.views", (value) => (value.outliers.views = Array(65).fill(value.outliers.views[0]))],
    ["outliers.views.0.name", (value) => (value.outliers.views[0].name = 7)],
    ["outliers.views.0.width", (value) => (value.outliers.views[0].width = 1e9)],
    ["outliers.views.0.width", (value) => (value.outliers.views[0].width = 0)],
    ["outliers.views.0.center", (value) => (value.outliers.views[0].width = 4)],
    ["outliers.views.0.center", (value) => (value.outliers.views[0].center = long)],
    ["outliers.views.0.center", (value) => (value.outliers.views[0].center = notFinite)],
    ["outliers.views.0.center", (value) => (value.outliers.views[0].center = "not base64!")],
    ["outliers.views.0.scale", (value) => (value.outliers.views[0].scale = negative)],
    ["outliers.views.0.directions", (value) => (value.outliers.views[0].directions = "")],
    ["outliers.views.0.directions", (value) => (value.outliers.views[0].variances = long.slice(0, 16))],
    ["outliers.views.0.rest", (value) => (value.outliers.views[0].rest = 0)],
    ["outliers.views.0.spread", (value) => (value.outliers.views[0].spread = -1)],
    ["outliers.views.0.median", (value) => (value.outliers.views[0].median = "0")],
  ])("is refused by its field %s", async (field, change) => {
    const where = field === "" ? "" : ` in "${field}"`;
    const message = await failure(WeightsError, readCheckpoint(await damaged(change)));
    expect(message).toMatch(`/damaged.safetensors: the checkpoint's "assurance" is damaged`);
    expect(message.replace(/variances/, "directions")).toBe(
      `/damaged.safetensors: the checkpoint's "assurance" is damaged${where}.`,
    );
  });
});
