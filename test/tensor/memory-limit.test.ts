/** A limit to the memory that a process takes of a device: how it is written, and what becomes of what is beyond it. */
import { afterEach, describe, expect, it } from "vitest";
import { ArgumentError, OutOfMemoryError } from "../../src/errors.js";
import { type Device, openDevice, zeros } from "../../src/index.js";
import { withBatchAdvice } from "../../src/inference/batch-memory.js";
import { memoryLimitKind, nativeMemoryLimit } from "../../src/tensor/memory-limit.js";
import { hasEmulatedCuda } from "../support/backends.js";

const mebibyte = 2 ** 20;

describe("a limit in words", () => {
  it.each([
    [8e9, 8e9],
    [1, 1],
    [0.25, 0.25],
    ["8GB", 8e9],
    ["1.5 gib", 1.5 * 2 ** 30],
    ["500MiB", 500 * mebibyte],
    ["1048576", mebibyte],
    ["50%", 0.5],
    ["0.5", 0.5],
  ])("%j is %d", (given, amount) => {
    expect(nativeMemoryLimit(given)).toBe(amount);
    expect(memoryLimitKind.holds(given, {})).toBe(true);
  });

  it.each([
    0,
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    "",
    "8 cows",
    "0%",
    "101%",
    "1e9",
    "-8GB",
    "1B",
    1e300,
  ])("%j is none", (given) => {
    expect(() => nativeMemoryLimit(given)).toThrow(ArgumentError);
    expect(memoryLimitKind.holds(given, {})).toBe(false);
  });

  it("is that of the environment where nothing is said", () => {
    expect(nativeMemoryLimit(undefined)).toBe(0);
    process.env.MEDMAMBA_MEMORY_LIMIT = "25%";
    expect(nativeMemoryLimit(undefined)).toBe(0.25);
    expect(nativeMemoryLimit("1GB")).toBe(1e9);
    process.env.MEDMAMBA_MEMORY_LIMIT = "all";
    expect(() => nativeMemoryLimit(undefined)).toThrow(
      /^MEDMAMBA_MEMORY_LIMIT has to be bytes, such as 8GB .*, not "all"\.$/,
    );
  });
});

const kinds = hasEmulatedCuda() ? ["cpu", "cuda-emulated"] : ["cpu"];
describe.each(kinds)("a limit on %s", (name) => {
  const open: Device[] = [];
  const limited = (memoryLimit: number | string) => {
    open.push(openDevice(name, { memoryLimit }));
    return open.at(-1)!;
  };
  afterEach(() => {
    for (const device of open.splice(0)) device.close();
  });

  it("is told, and leaves no more free than it is", () => {
    const { limitBytes, freeBytes, totalBytes } = limited("64MiB").describe();
    expect([limitBytes, freeBytes]).toEqual([64 * mebibyte, 64 * mebibyte]);
    const half = limited("50%").describe();
    expect(half.totalBytes).toBe(totalBytes);
    if (name === "cpu") expect(half.limitBytes).toBe(Math.floor(totalBytes! / 2));
    expect(openDevice("cpu").describe().limitBytes).toBeUndefined();
  });

  it("refuses what is beyond it, and the device goes on", async () => {
    const device = limited(64 * mebibyte);
    const first = zeros([32, mebibyte / 4], { device });
    let error: unknown;
    try {
      zeros([40, mebibyte / 4], { device });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ requestedBytes: 40 * mebibyte, limitBytes: 64 * mebibyte });
    expect((error as Error).message).toMatch(
      /the limit of 64\.0 MiB \(memoryLimit\) that was set for this process leaves 32\.0 MiB\. Use a smaller batch/,
    );
    first.dispose();
    // What the first had is kept for the next of its size, and goes back for a larger one.
    expect((await zeros([60, mebibyte / 4], { device }).data()).length).toBe(15 * mebibyte);
  });

  it("is what a batch that does not fit is measured by", () => {
    const device = limited("64MiB");
    const weights = zeros([16, mebibyte / 4], { device });
    const batch = zeros([30, mebibyte / 4], { device });
    let error: unknown;
    try {
      zeros([34, mebibyte / 4], { device });
    } catch (thrown) {
      error = thrown;
    }
    batch.dispose();
    // 64 MiB for a batch of 32, and 48 MiB beside the weights: 16 fit.
    const advice = withBatchAdvice(error, { device, batchSize: 32 }) as OutOfMemoryError;
    expect(advice).toMatchObject({ suggestedBatchSize: 16, limitBytes: 64 * mebibyte });
    weights.dispose();
  });
});

afterEach(() => {
  delete process.env.MEDMAMBA_MEMORY_LIMIT;
});
