/** What is made of a data set keeps all of it: patients, weights, and what only a class of the caller's own has. */
import { describe, expect, it } from "vitest";
import { cached, MemoryBudget } from "../../src/data/cache.js";
import { concatenated } from "../../src/data/dataset.js";
import {
  type Dataset,
  definePreprocessing,
  derive,
  describeDataset,
  fromArrays,
  Loader,
  openDataset,
  type Sample,
  subset,
} from "../../src/data/index.js";
import { pseudonym } from "../../src/data/pseudonyms.js";
import { message, png, root, write } from "../support/temporary-folder.js";

const weights = Float32Array.of(0.5, 1, 2, 4);
const patients = ["p1", "p1", undefined, "p2"];

const four = () =>
  fromArrays({
    images: new Uint8Array(16),
    shape: [4, 2, 2],
    labels: [0, 1, 0, 1],
    patients,
    weights: [0.5, 1, 2, 4],
  });

/** A data set as somebody may write it: methods on the prototype, a getter, a private field, a field of its own. */
class Archive implements Dataset {
  readonly classes = ["a", "b"];
  readonly labels = Int32Array.of(1, 0, 1);
  readonly weights = Float32Array.of(1, 2, 3);
  readonly preprocessing = definePreprocessing({ imageSize: 2, channels: 1 });
  readonly scanner = "S1";
  readonly #pixels = [10, 20, 30];
  asked = 0;

  get length(): number {
    return this.#pixels.length;
  }

  async sample(index: number): Promise<Sample> {
    this.asked += 1;
    return { channels: 1, height: 2, width: 2, data: new Uint8Array(4).fill(this.#pixels[index] ?? 0) };
  }

  name(index: number): string {
    return `${this.scanner}/${index}`;
  }
}

describe("patients and weights", () => {
  it("go along into subsets, caches and derived sets", () => {
    for (const copy of [
      derive(four(), { classes: ["x", "y"] }),
      cached(four(), new MemoryBudget(99)),
      four(),
    ]) {
      expect(copy).toMatchObject({ patients, weights, length: 4 });
      const part = subset(subset(copy, [3, 2, 0]), [0, 2, 0]);
      expect(part).toMatchObject({
        length: 3,
        labels: Int32Array.of(1, 0, 1),
        patients: ["p2", "p1", "p2"],
        weights: Float32Array.of(4, 0.5, 4),
      });
    }
    const without = subset(fromArrays({ images: new Uint8Array(8), shape: [2, 2, 2], labels: [0, 1] }), [1]);
    expect("patients" in without || "weights" in without).toBe(false);
  });

  it("have groups, files and attributes beside them, also where data sets are put together", () => {
    const known = {
      groups: ["g", "g", undefined, "h"],
      files: [undefined, "a.tif", "a.tif", undefined],
      attributes: { age: ["63", undefined, "50", "41"], __proto__: ["x", "y", "z", "w"] },
    };
    const about = derive(four(), known);
    expect(subset(about, [3, 1])).toMatchObject({
      groups: ["h", "g"],
      files: [undefined, "a.tif"],
      attributes: { age: ["41", undefined] },
    });
    const all = concatenated([subset(about, [0]), subset(four(), [1, 2])]);
    expect(all).toMatchObject({
      length: 3,
      groups: ["g", undefined, undefined],
      attributes: { age: ["63", undefined, undefined] },
      weights: Float32Array.of(0.5, 1, 2),
    });
    expect(() => derive(four(), { attributes: { age: ["63"] } })).toThrow(
      'derive: there are 4 images but 1 attributes "age".',
    );
  });

  it("are in the batches, in the order of the images", async () => {
    for await (const batch of new Loader(four(), { batchSize: 3, shuffle: true, seed: 3 })) {
      const indices = [...batch.indices];
      expect(batch.patients).toEqual(indices.map((index) => patients[index]));
      expect(batch.weights).toEqual(Float32Array.from(indices, (index) => weights[index] ?? 0));
    }
  });

  it("are checked where they come in", () => {
    const arrays = { images: new Uint8Array(8), shape: [2, 2, 2], labels: [0, 1] };
    expect(() => fromArrays({ ...arrays, weights: [1] })).toThrow(
      "fromArrays: there are 2 images but 1 weights.",
    );
    expect(() => fromArrays({ ...arrays, patients: ["a"] })).toThrow(/2 images but 1 patients/);
    for (const wrong of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e-50]) {
      expect(() => fromArrays({ ...arrays, weights: [1, wrong] })).toThrow(
        /for image 1; weights are finite numbers above 0/,
      );
    }
    expect(() => new Loader({ ...four(), weights: Float32Array.of(1, 1, 1, 0) }, { batchSize: 2 })).toThrow(
      "Loader: weights holds 0 for image 3; weights are finite numbers above 0.",
    );
    expect(() => derive(four(), { length: 3 })).toThrow("derive: there are 3 images but 4 labels.");
  });

  it("are of images that there are", () => {
    for (const wrong of [4, -1, 0.5, Number.NaN])
      expect(() => subset(four(), [0, wrong])).toThrow(
        `subset: there is no image ${wrong}; they are 0 to 3.`,
      );
    expect(() => derive(four(), { classes: ["a"] })).toThrow(
      /^derive: labels holds 1 for image \d; there are 1 classes/,
    );
  });

  it("are never printed", () => {
    expect(describeDataset(four())).not.toContain("p1");
  });
});

describe("a data set of the caller's own class", () => {
  it("keeps its methods, getters and private fields when derived", async () => {
    const original = new Archive();
    const derived = derive<Dataset>(original, { classes: ["benign", "malignant"] });
    expect(derived).toMatchObject({ length: 3, classes: ["benign", "malignant"], weights: original.weights });
    expect((await derived.sample(1)).data[0]).toBe(20);
    expect(derived.name(2)).toBe("S1/2");
    expect(derived).toHaveProperty("scanner", "S1");
    expect(original).toMatchObject({ asked: 1, classes: ["a", "b"] });
    const spread = { ...derived, labels: Int32Array.of(0, 0, 0) };
    expect(spread.length).toBe(3);
    expect((await spread.sample(2)).data[0]).toBe(30);
  });

  it("is cached and divided like any other", async () => {
    const original = new Archive();
    const part = subset(cached(original, new MemoryBudget(1000)), [2, 1]);
    for (const _ of [1, 2]) expect((await part.sample(0)).data[0]).toBe(30);
    expect(original.asked).toBe(1);
    expect(part).toMatchObject({ length: 2, weights: Float32Array.of(3, 2), scanner: "S1" });
    expect(await message(part.sample(2))).toBe("There is no image 2 among 2.");
  });
});

describe("a manifest", () => {
  const open = async (...lines: string[]) =>
    openDataset(await write("study/list.csv", `${lines.join("\n")}\n`), {
      preprocessing: { imageSize: 8, channels: 1 },
      cacheBytes: 0,
    });

  it("has patients and weights of its images, in all splits", async () => {
    for (let i = 0; i < 4; ++i) await write(`study/${i}.png`, await png(10 * i));
    const { train, val, test } = await open(
      "Path,weight,label,split,Patient,comment",
      "0.png,1,a,train,p7,",
      "1.png,2.5,b,train,,x",
      "2.png,1e-3,a,val,p8,",
      "3.png,4,b,test,p9,",
    );
    const [p7, p8, p9] = ["p7", "p8", "p9"].map(pseudonym);
    expect(train).toMatchObject({ patients: [p7, undefined], weights: Float32Array.of(1, 2.5) });
    expect(train.attributes).toEqual({ comment: [undefined, "x"] });
    expect(val).toMatchObject({ patients: [p8], weights: Float32Array.of(1e-3) });
    expect(test).toMatchObject({ patients: [p9], weights: Float32Array.of(4) });
    expect((await train.sample(1)).data[0]).toBe(10);
    const plain = await open("path,label,split", "0.png,a,train", "1.png,b,train");
    expect(plain.train.patients).toBeUndefined();
    expect(plain.train.weights).toBeUndefined();
    expect(plain.val).toMatchObject({ length: 0, classes: ["a", "b"], labels: new Int32Array(0) });
  });

  it("names the line of a weight that is none", async () => {
    for (const weight of ["0", "-1", "", "many", "Infinity", "1e-60"]) {
      const opening = open("path,label,weight", "0.png,a,1", `1.png,b,${weight}`);
      await expect(opening).rejects.toMatchObject({
        file: `${root}/study/list.csv`,
        line: 3,
        reason: `weight "${weight}" is not a number above 0`,
      });
    }
    expect(await message(open("path,lable"))).toBe(
      "/study/list.csv line 1: found the columns path, lable; path and label are needed, split, patient, weight and frame may be there. If the labels are columns of 0 and 1, say which task they are (--task): multi-label, or multi-class where each image has one of them.",
    );
  });
});
