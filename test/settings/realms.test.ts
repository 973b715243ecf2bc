/** Objects of another realm, as Jest gives each test file and `node:vm` each context: they are what they are here. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import vm from "node:vm";
import sharp from "sharp";
import { afterAll, describe, expect, it } from "vitest";
import {
  ArgumentError,
  data,
  evaluate,
  initialWeights,
  loadCheckpoint,
  MedMamba,
  metrics,
  ones,
  optim,
  predictImages,
  readCheckpoint,
  reports,
  safetensors,
  saveCheckpoint,
  type Tensor,
  tidy,
} from "../../src/index.js";
import { pathOf } from "../../src/settings/paths.js";
import { arrayHere, isError, isPlainObject, isPromise, messageOf } from "../../src/settings/realms.js";

const context = vm.createContext({});
const there = <T>(code: string) => vm.runInContext(code, context) as T;

const root = mkdtempSync(join(tmpdir(), "medmamba-realms-"));
afterAll(() => rmSync(root, { recursive: true }));
const urlOf = (name: string) => pathToFileURL(join(root, name));

const arrays = (images: Uint8Array | Float32Array, labels: ArrayLike<number>) =>
  data.fromArrays({ images, shape: [2, 8, 8], labels, preprocessing: { imageSize: 8, channels: 1 } });

describe("of another realm", () => {
  it("errors, promises and plain objects are known", () => {
    expect(there<Error>("new TypeError('else')")).not.toBeInstanceOf(Error);
    expect(isError(there("new TypeError('else')"))).toBe(true);
    expect(messageOf(there("new RangeError('far')"))).toBe("far");
    expect(isPromise(there("Promise.resolve(1)"))).toBe(true);
    expect(isPlainObject(there("({})"))).toBe(true);
    expect(isPlainObject(there("new (class {})()"))).toBe(false);
    expect(() => tidy(() => there("(async () => 1)()"))).toThrow(/returned a promise/);
  });

  it("results of tidy are kept, in their maps and objects", () => {
    const hold = there<(x: Tensor) => { map: Map<string, Tensor>; list: Tensor[] }>(
      "(x) => ({ map: new Map([['x', x]]), list: [x] })",
    );
    const { map } = tidy(() => hold(ones([1])));
    expect(map.get("x")?.disposed).toBe(false);
  });

  it("pixels, labels and weights make the same data sets", async () => {
    const here = arrays(
      Uint8Array.from({ length: 128 }, (_, i) => i),
      [0, 1],
    );
    const same = arrays(there("Uint8Array.from({ length: 128 }, (_, i) => i)"), there("Int32Array.of(0, 1)"));
    expect((await same.sample(1)).data).toEqual((await here.sample(1)).data);
    const floats = arrays(there("new Float32Array(128).fill(0.5)"), there("[0, 1]"));
    expect((await floats.sample(0)).data[0]).toBe(0.5);
    expect(() => arrays(there("new Float32Array(128).fill(2)"), [0, 1])).toThrow(/floats must lie in 0..1/);
    const resized = data.fromArrays({
      images: there<Uint8Array>("new Uint8Array(128).fill(9)"),
      shape: [2, 8, 8],
      labels: [0, 1],
      preprocessing: { imageSize: 4, channels: 1 },
    });
    expect((await resized.sample(0)).data).toEqual(new Uint8Array(16).fill(9));
  });

  it("samples of a data set of one's own become batches", async () => {
    const own = arrays(new Uint8Array(128), [0, 1]);
    const sample = there<() => Promise<never>>(
      "async () => ({ channels: 1, height: 8, width: 8, data: new Float32Array(64).fill(0.25) })",
    );
    const loader = new data.Loader(data.derive(own, { sample }), { batchSize: 2 });
    for await (const { images } of loader) expect([...new Set(images)]).toEqual([0.25]);
    const wrong = data.derive(own, { sample: there<() => Promise<never>>("async () => ({ data: [1, 2] })") });
    await expect(new data.Loader(wrong, { batchSize: 1 }).epoch(0).next()).rejects.toThrow(
      /images\[0\] has values that are an array of 2, where a Uint8Array or Float32Array is expected/,
    );
  });

  it("bytes of image files are decoded, and arrays are judged", async () => {
    const png = await sharp(Buffer.alloc(64, 7), { raw: { width: 8, height: 8, channels: 1 } })
      .png()
      .toBuffer();
    const bytes = there<(list: number[]) => Uint8Array>("(list) => Uint8Array.from(list)")([...png]);
    const { data: pixels } = await data.loadImage(bytes, { imageSize: 8, channels: 1 });
    expect([...new Set(pixels)]).toEqual([7]);
    expect(arrayHere(bytes)).toBeInstanceOf(Uint8Array);
    const probabilities = there<Float32Array>("Float32Array.of(0.9, 0.1, 0.2, 0.8)");
    expect(metrics.classificationMetrics(there("[0, 1]"), probabilities, 2).accuracy).toBe(1);
    expect(() => optim.warmupCosine(there("({ lr: 1, totalSteps: 3 })"))).not.toThrow();
  });
});

describe("file: URLs", () => {
  const model = new MedMamba({
    ...{ dims: [4], depths: [1], dState: 1, patchSize: 2 },
    ...{ inChannels: 1, numClasses: 3 },
  });
  const classes = ["cyst", "mass", "normal"];
  const preprocessing = data.definePreprocessing({ imageSize: 16, channels: 1 });

  it("are taken wherever a path is", async () => {
    await data.writeDemoDataset(urlOf("demo"), { size: 16, perClass: { train: 1, val: 1, test: 1 } });
    const { test } = await data.openDataset(urlOf("demo"), { preprocessing });
    expect(test.length).toBe(3);
    const image = urlOf("demo/test/cyst/cyst-0000.png");
    expect((await data.loadImage(image, preprocessing)).width).toBe(16);
    await saveCheckpoint(urlOf("a.safetensors"), model.stateDict(), {
      ...{ config: model.config, classes, preprocessing },
    });
    expect((await readCheckpoint(urlOf("a.safetensors"))).classes).toEqual(classes);
    const loaded = await loadCheckpoint(urlOf("a.safetensors"));
    expect(loaded.path).toBe(join(root, "a.safetensors"));
    expect(await initialWeights(urlOf("a.safetensors"), model)).toEqual({ head: true, classes: 3 });
    expect(await predictImages(loaded, [image])).toHaveLength(1);
    await safetensors.save(urlOf("b.safetensors"), { x: ones([2]) });
    expect(Object.keys(await safetensors.load(urlOf("b.safetensors")))).toEqual(["x"]);
    const files = await reports.writeReport(urlOf("report"), {
      ...{ title: "t", description: "d", facts: {} },
      evaluation: await evaluate(loaded.model, test),
    });
    expect(files).toContain("report.html");
  });

  it("of other realms too, and others are refused", () => {
    const foreign = Object.defineProperties(there<object>("({})"), {
      href: { value: "file:///data/a%20b.csv" },
      [Symbol.toStringTag]: { value: "URL" },
    });
    expect(pathOf("test", foreign as URL)).toBe("/data/a b.csv");
    for (const url of ["https://example.org/a.csv", "file://server/a.csv"])
      expect(() => pathOf("openDataset", new URL(url))).toThrow(ArgumentError);
    expect(() => pathOf("openDataset", new URL("https://example.org/a.csv"))).toThrow(
      /^openDataset: "https:\/\/example.org\/a.csv" is no file on this machine/,
    );
    expect(() => pathOf("openDataset", "a\0b")).toThrow(/zero byte/);
  });
});
