/** Batches and augmentation: order, shards, resuming, and where every pixel comes from. */
import { describe, expect, it } from "vitest";
import { composeAffine, drawAugmentation } from "../../src/data/augmentation.js";
import { cached, MemoryBudget } from "../../src/data/cache.js";
import {
  type Augmentation,
  augmentations,
  type Batch,
  type Dataset,
  fromArrays,
  Loader,
  type LoaderOptions,
} from "../../src/data/index.js";

/** `count` images of 2 x 2 that hold their own index. */
function numbered(count: number): Dataset {
  const images = Uint8Array.from({ length: count * 4 }, (_, i) => Math.floor(i / 4));
  return fromArrays({ images, shape: [count, 2, 2], labels: Array.from({ length: count }, (_, i) => i % 2) });
}

async function collect(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const all: Batch[] = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

const indicesOf = (batches: readonly Batch[]): number[] => batches.flatMap((batch) => [...batch.indices]);

const strong: Augmentation = {
  scale: [0.3, 0.9],
  aspect: [3 / 4, 4 / 3],
  horizontalFlip: 0.5,
  verticalFlip: 0.5,
  rotation: 30,
  translation: 0.1,
  brightness: 0.2,
  contrast: 0.2,
};

describe("Loader", () => {
  it("gives every image once, in order, with its label", async () => {
    const batches = await collect(new Loader(numbered(10), { batchSize: 4 }));
    expect(indicesOf(batches)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(batches.map(({ shape }) => shape)).toEqual([
      [4, 1, 2, 2],
      [4, 1, 2, 2],
      [2, 1, 2, 2],
    ]);
    expect([...(batches[1]?.images ?? [])]).toEqual([4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7]);
    expect([...(batches[1]?.labels ?? [])]).toEqual([0, 1, 0, 1]);
    expect([...(batches[0]?.affine.subarray(0, 6) ?? [])].map((value) => value + 0)).toEqual([
      1, 0, 0, 0, 1, 0,
    ]);
    expect([batches[0]?.gain[0], batches[0]?.offset[0]]).toEqual([1, 0]);
  });

  it("shuffles by seed and epoch, and drops the last batch if asked", async () => {
    const options: LoaderOptions = { batchSize: 4, shuffle: true, seed: 5, dropLast: true };
    const loader = new Loader(numbered(10), options);
    expect(loader.batchCount).toBe(2);
    const first = indicesOf(await collect(loader));
    const second = indicesOf(await collect(loader));
    expect(first).toHaveLength(8);
    expect(new Set(first).size).toBe(8);
    expect(second).not.toEqual(first);
    expect(indicesOf(await collect(new Loader(numbered(10), options).epoch(1)))).toEqual(second);
    expect(indicesOf(await collect(new Loader(numbered(10), { ...options, seed: 6 })))).not.toEqual(first);
  });

  it("is the same for any prefetch and from any batch on", async () => {
    const options: LoaderOptions = { batchSize: 3, shuffle: true, augmentation: strong };
    const whole = await collect(new Loader(numbered(20), { ...options, prefetch: 0 }).epoch(4));
    expect(await collect(new Loader(numbered(20), { ...options, prefetch: 9 }).epoch(4))).toEqual(whole);
    const resumed = await collect(new Loader(numbered(20), options).epoch(4, { startBatch: 5 }));
    expect(resumed).toEqual(whole.slice(5));
    expect(await collect(new Loader(numbered(20), options).epoch(4, { startBatch: 99 }))).toEqual([]);
  });

  it("shares training batches among ranks, with the same augmentation as on one", async () => {
    const options: LoaderOptions = { batchSize: 6, shuffle: true, augmentation: strong };
    const one = await collect(new Loader(numbered(16), options).epoch(2));
    const ranks = await Promise.all(
      [0, 1, 2].map((rank) =>
        collect(
          new Loader(numbered(16), { ...options, batchSize: 2, shard: { rank, worldSize: 3 } }).epoch(2),
        ),
      ),
    );
    const affineOf = new Map(
      one.flatMap((batch) =>
        Array.from(batch.indices, (index, i) => [index, batch.affine.subarray(i * 6, i * 6 + 6)]),
      ),
    );
    for (const [k, whole] of one.entries()) {
      const parts = ranks.map((batches) => batches[k]);
      const union = new Set(parts.flatMap((part) => [...(part?.indices ?? [])]));
      for (const index of whole.indices) expect(union).toContain(index);
      expect(parts.map((part) => part?.indices.length)).toEqual(k === 2 ? [2, 1, 1] : [2, 2, 2]);
      for (const part of parts) {
        for (const [i, index] of part?.indices.entries() ?? []) {
          expect(part?.affine.subarray(i * 6, i * 6 + 6)).toEqual(affineOf.get(index));
        }
      }
    }
    expect(ranks.flatMap(indicesOf)).toHaveLength(16);
  });

  it("gives every rank an image of each training batch", async () => {
    const loaders = [0, 1, 2].map(
      (rank) => new Loader(numbered(7), { batchSize: 2, shuffle: true, shard: { rank, worldSize: 3 } }),
    );
    const parts = await Promise.all(loaders.map((loader) => collect(loader)));
    expect(parts.map((batches) => batches.map(({ indices }) => indices.length))).toEqual([
      [2, 1],
      [2, 1],
      [2, 1],
    ]);
    expect(new Set(parts.flatMap(indicesOf)).size).toBe(7);
  });

  it("gives every image to one rank exactly in evaluation", async () => {
    for (const count of [7, 9, 12, 13]) {
      const loaders = [0, 1, 2].map(
        (rank) => new Loader(numbered(count), { batchSize: 2, shard: { rank, worldSize: 3 } }),
      );
      const parts = await Promise.all(loaders.map((loader) => collect(loader)));
      expect(parts.map((batches) => batches.length)).toEqual(loaders.map((loader) => loader.batchCount));
      expect(parts.flatMap(indicesOf).sort((a, b) => a - b)).toEqual(
        Array.from({ length: count }, (_, i) => i),
      );
    }
  });

  it("works ahead by the depth asked, and no more once it is left", async () => {
    const asked: number[] = [];
    const source = numbered(40);
    const slow: Dataset = {
      ...source,
      async sample(index) {
        asked.push(index);
        await new Promise((resolve) => setTimeout(resolve, 1));
        return source.sample(index);
      },
    };
    for await (const batch of new Loader(slow, { batchSize: 4, prefetch: 2 })) {
      expect(batch.position).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 30));
      break;
    }
    expect(asked).toEqual(Array.from({ length: 12 }, (_, i) => i));
  });

  it("makes floats of a batch that has a deep image in it", async () => {
    const source = numbered(2);
    const mixed: Dataset = {
      ...source,
      sample: async (index) =>
        index === 0
          ? source.sample(1)
          : { channels: 1, height: 2, width: 2, data: Float32Array.of(0.1, 0.2, 0.3, 0.4) },
    };
    const [batch] = await collect(new Loader(mixed, { batchSize: 2 }));
    expect(batch?.images).toEqual(Float32Array.of(1 / 255, 1 / 255, 1 / 255, 1 / 255, 0.1, 0.2, 0.3, 0.4));
  });

  it("passes on errors and aborts", async () => {
    const broken: Dataset = { ...numbered(8), sample: () => Promise.reject(new Error("gone")) };
    await expect(collect(new Loader(broken, { batchSize: 2 }))).rejects.toThrow("gone");
    const controller = new AbortController();
    const seen: number[] = [];
    await expect(async () => {
      for await (const batch of new Loader(numbered(8), { batchSize: 2, signal: controller.signal })) {
        seen.push(batch.position);
        controller.abort();
      }
    }).rejects.toThrow(/abort/);
    expect(seen).toEqual([0]);
    expect(() => new Loader(numbered(8), { batchSize: 0 })).toThrow(/batchSize 0/);
    expect(() => new Loader(numbered(8), { batchSize: 9, dropLast: true })).toThrow(
      /8 images do not fill one batch of 9/,
    );
    expect(() => new Loader(numbered(8), { batchSize: 2, shard: { rank: 2, worldSize: 2 } })).toThrow(
      /rank 2/,
    );
    expect(
      () => new Loader(numbered(8), { batchSize: 2, augmentation: { ...strong, scale: [0, 1] } }),
    ).toThrow(/scale \[0, 1\]/);
  });

  it("keeps decoded samples while the budget lasts", async () => {
    let decoded = 0;
    const source = numbered(10);
    const counting: Dataset = {
      ...source,
      sample: (index) => {
        decoded += 1;
        return source.sample(index);
      },
    };
    const loader = new Loader(cached(counting, new MemoryBudget(6 * 4)), { batchSize: 5, shuffle: true });
    await collect(loader);
    await collect(loader);
    expect(decoded).toBe(10 + 4);
  });

  it("leaves the event loop free", async () => {
    const images = new Uint8Array(512 * 96 * 96 * 3).fill(9);
    const set = fromArrays({ images, shape: [512, 96, 96, 3], labels: new Uint8Array(512) });
    // Processor time, not the clock, so that other work on the machine does not count.
    const used = (): number => (process.cpuUsage().user + process.cpuUsage().system) / 1000;
    let longest = 0;
    let last = used();
    const timer = setInterval(() => {
      longest = Math.max(longest, used() - last);
      last = used();
    }, 1);
    await collect(new Loader(set, { batchSize: 256, augmentation: strong }));
    clearInterval(timer);
    expect(longest).toBeLessThan(80); // about 20 ms, the compiler's warming up included
  });
});

describe("augmentation", () => {
  const square = { height: 8, width: 8 };
  const still = {
    box: { row: 0, column: 0, ...square },
    flip: { vertical: false, horizontal: false },
    degrees: 0,
    shift: { rows: 0, columns: 0 },
  };
  /** The input point, in pixel indices, that output pixel (i, j) shows. */
  const source = (m: Float32Array, i: number, j: number): [number, number] => {
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = m;
    return [a * (i + 0.5) + b * (j + 0.5) + c - 0.5, d * (i + 0.5) + e * (j + 0.5) + f - 0.5];
  };
  const expectPoint = (point: [number, number], row: number, column: number): void => {
    expect(point[0]).toBeCloseTo(row, 5);
    expect(point[1]).toBeCloseTo(column, 5);
  };

  it("leaves images alone when nothing is asked", () => {
    const drawn = drawAugmentation(augmentations.none, { seed: 1, epoch: 2, index: 3 }, square);
    expect(drawn).toMatchObject({ gain: 1, offset: 0 });
    expectPoint(source(drawn.affine, 3, 6), 3, 6);
  });

  it("flips, and flipping twice is nothing", () => {
    const mirrored = composeAffine({ ...still, flip: { vertical: false, horizontal: true } }, square, square);
    expectPoint(source(mirrored, 2, 1), 2, 6);
    expectPoint(source(mirrored, ...source(mirrored, 2, 1)), 2, 1);
    const upended = composeAffine({ ...still, flip: { vertical: true, horizontal: false } }, square, square);
    expectPoint(source(upended, 2, 1), 5, 1);
    expectPoint(source(upended, ...source(upended, 2, 1)), 2, 1);
  });

  it("turns the picture counter-clockwise about its centre", () => {
    const turned = composeAffine({ ...still, degrees: 90 }, square, square);
    expectPoint(source(turned, 0, 0), 0, 7); // the top left shows what was at the top right
    expectPoint(source(turned, 7, 0), 0, 0);
    expectPoint(source(turned, 0, 3), 3, 7);
    const slight = composeAffine({ ...still, degrees: 37 }, square, square);
    expectPoint(source(slight, 3.5, 3.5), 3.5, 3.5);
  });

  it("crops, shifts and fits another output size", () => {
    const cropped = composeAffine({ ...still, box: { row: 2, column: 4, height: 4, width: 2 } }, square, {
      height: 4,
      width: 2,
    });
    expectPoint(source(cropped, 0, 0), 2, 4);
    expectPoint(source(cropped, 3, 1), 5, 5);
    const shifted = composeAffine({ ...still, shift: { rows: 1, columns: -2 } }, square, square);
    expectPoint(source(shifted, 3, 3), 4, 1);
    const halved = composeAffine(still, square, { height: 4, width: 4 });
    expectPoint(source(halved, 0, 0), 0.5, 0.5);
  });

  it("applies the parts in the order it documents", () => {
    const both = composeAffine(
      { ...still, degrees: 90, flip: { vertical: false, horizontal: true } },
      square,
      square,
    );
    const turned = composeAffine({ ...still, degrees: 90 }, square, square);
    expectPoint(source(both, 1, 2), ...source(turned, 1, 5)); // flipped first, turned then
  });

  it("draws crops that stay inside, of the area and shape asked", () => {
    const setting = {
      ...augmentations.none,
      scale: [0.2, 0.6],
      aspect: [0.5, 2],
      horizontalFlip: 0.5,
    } as const;
    const areas: number[] = [];
    for (let index = 0; index < 300; ++index) {
      const { affine } = drawAugmentation(setting, { seed: 9, epoch: 0, index }, square);
      for (const [i, j] of [
        [-0.5, -0.5],
        [7.5, 7.5],
        [-0.5, 7.5],
      ] as const) {
        for (const value of source(affine, i, j)) {
          expect(value).toBeGreaterThanOrEqual(-0.5001);
          expect(value).toBeLessThanOrEqual(7.5001);
        }
      }
      areas.push(Math.abs((affine[0] ?? 0) * (affine[4] ?? 0)));
    }
    expect(Math.min(...areas)).toBeGreaterThan(0.199);
    expect(Math.max(...areas)).toBeLessThan(0.601);
    expect(Math.max(...areas) - Math.min(...areas)).toBeGreaterThan(0.3);
  });

  it("is keyed by seed, epoch and index, and its parts do not disturb each other", () => {
    const draw = (seed: number, epoch: number, index: number, changes: Partial<Augmentation> = {}) =>
      drawAugmentation({ ...strong, ...changes }, { seed, epoch, index }, square);
    expect(draw(1, 2, 3)).toEqual(draw(1, 2, 3));
    expect(draw(1, 2, 4)).not.toEqual(draw(1, 2, 3));
    expect(draw(1, 3, 3)).not.toEqual(draw(1, 2, 3));
    expect(draw(2, 2, 3)).not.toEqual(draw(1, 2, 3));
    expect(draw(1, 2, 3, { brightness: 0 }).affine).toEqual(draw(1, 2, 3).affine);
    expect(draw(1, 2, 3, { rotation: 0 }).gain).toBe(draw(1, 2, 3).gain);
  });

  it("keeps middle grey where it is when only contrast changes", () => {
    const { gain, offset } = drawAugmentation(
      { ...augmentations.none, contrast: 0.5 },
      { seed: 1, epoch: 1, index: 1 },
      square,
    );
    expect(gain).not.toBe(1);
    expect(0.5 * gain + offset).toBeCloseTo(0.5);
  });
});
