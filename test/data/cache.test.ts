/** What is kept of decoded images: in memory within a bound, on disk for later processes, safe against whatever ends them. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { cacheChoices, cachePlan } from "../../src/data/cache-choice.js";
import { contentHash } from "../../src/data/contents.js";
import { definePreprocessing, openDataset } from "../../src/data/index.js";
import { SampleStore } from "../../src/data/sample-store.js";
import { ArgumentError } from "../../src/errors.js";
import { failure } from "../support/failure.js";
import { png, root, write } from "../support/temporary-folder.js";

const preprocessing = { imageSize: 8, channels: 1 } as const;
const scans = join(root, "scans");

beforeAll(async () => {
  for (let i = 0; i < 12; ++i) await write(`scans/${i % 2 ? "a" : "b"}/doe-${i}.png`, await png(10 * i));
});

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
const heldBy = (folder: string) => filesOf(folder).reduce((sum, path) => sum + statSync(path).size, 0);

async function openAll(cache: string, more = {}) {
  const warnings: string[] = [];
  const { train, val, test } = await openDataset(scans, {
    preprocessing,
    cache,
    cacheBytes: 0,
    onWarning: (text) => warnings.push(text),
    ...more,
  });
  const parts = [train, val, test];
  const samples = await Promise.all(
    parts.flatMap((part) => Array.from({ length: part.length }, async (_, i) => part.sample(i))),
  );
  return { samples, warnings };
}

describe("the setting", () => {
  it("is a size, a share of free memory, off, or a folder", () => {
    expect(cachePlan("off")).toEqual({ bytes: 0 });
    expect(cachePlan("2GB").bytes).toBe(2e9);
    expect(cachePlan("1.5 MiB").bytes).toBe(1.5 * 2 ** 20);
    const free = process.availableMemory();
    expect(cachePlan("50%").bytes / free).toBeCloseTo(0.5, 1);
    expect(cachePlan().bytes / free).toBeCloseTo(0.25, 1);
    expect(cachePlan("./cache:50GB")).toMatchObject({ folder: "./cache", folderBytes: 5e10 });
    expect(cachePlan("/mnt/c:d/e")).toMatchObject({ folder: "/mnt/c:d/e", folderBytes: undefined });
    for (const wrong of ["", "of", "2", "2G", "101%", "cache", "cache:2GB", "-1GB", 5])
      expect(cacheChoices.holds(wrong, {}), String(wrong)).toBe(false);
  });

  it("is checked where a program gives it", async () => {
    expect(await failure(ArgumentError, openDataset(scans, { cache: "2G" }))).toMatch(
      /^openDataset: cache "2G" must be off, memory such as 2GB or 25%, or a folder such as \.\/cache/,
    );
    expect(await failure(ArgumentError, openDataset(scans, { cache: join(scans, "cache") }))).toBe(
      "openDataset: cache /scans/cache is in the data set /scans: choose a folder beside it.",
    );
    const file = await write("a-file", "");
    expect(await failure(ArgumentError, openDataset(scans, { cache: `${file}/x` }))).toMatch(
      /cannot be written to: .*Choose another folder/,
    );
  });
});

describe("a folder of decoded images", () => {
  it("gives what was decoded to the next opening, of the same bytes and preprocessing alone", async () => {
    const folder = join(root, "store");
    const plain = await openAll("off");
    const first = await openAll(folder);
    expect(first).toEqual(plain);
    expect(filesOf(folder)).toHaveLength(24); // a sample and a count each
    expect(await openAll(folder)).toEqual(plain);
    expect(filesOf(folder)).toHaveLength(24);
    // What is read is the store's: a sample that was put there in place of another is taken for it.
    const store = await SampleStore.open(folder, { onWarning: () => {} });
    const bytes = readFileSync(join(scans, "a/doe-1.png"));
    const forged = { channels: 1, height: 8, width: 8, data: new Uint8Array(64).fill(99) };
    await store.keep(store.keyOf(contentHash(bytes), definePreprocessing(preprocessing)), 0, forged);
    const values = ({ samples }: Awaited<ReturnType<typeof openAll>>) =>
      samples.map(({ data }) => data[0]).sort((a = 0, b = 0) => a - b);
    expect(values(await openAll(folder))).toContain(99);
    expect(values(await openAll(folder, { preprocessing: { ...preprocessing, resize: "cover" } }))).toEqual(
      values(plain),
    );
    // Normalisation is the device's: it makes no other samples.
    const before = filesOf(folder).length;
    await openAll(folder, { preprocessing: { ...preprocessing, mean: [0.1] } });
    expect(filesOf(folder)).toHaveLength(before);
  });

  it("holds no names, and is its owner's alone", async () => {
    const folder = join(root, "names");
    await openAll(folder);
    for (const path of filesOf(folder)) {
      expect(basename(path)).toMatch(/^[0-9a-f]{64}\.sample$/);
      expect(readFileSync(path).includes("doe")).toBe(false);
      if (process.platform !== "win32") expect(statSync(path).mode & 0o077).toBe(0);
    }
  });

  it("passes over what is damaged, and makes it anew", async () => {
    const folder = join(root, "damaged");
    const plain = await openAll(folder);
    for (const [i, path] of filesOf(folder).entries()) {
      const bytes = readFileSync(path);
      if (i % 3 === 0) writeFileSync(path, bytes.subarray(0, bytes.length >> 1));
      if (i % 3 === 1) writeFileSync(path, bytes.fill(255, bytes.length - 4));
      if (i % 3 === 2) writeFileSync(path, "");
    }
    expect(await openAll(folder)).toEqual(plain);
    expect(await openAll(folder)).toEqual(plain);
  });

  it("stays within its bound, and touches no file but its own", async () => {
    const folder = join(root, "bounded");
    await write("bounded/medmamba-samples-1/ab/notes.txt", "mine");
    const { warnings } = await openAll(`${folder}:500B`);
    expect(warnings).toEqual([]);
    const notes = 4;
    const held = heldBy(folder) - notes;
    expect(held).toBeLessThanOrEqual(500);
    expect(held).toBeGreaterThan(300);
    await openAll(`${folder}:250B`);
    expect(heldBy(folder) - notes).toBeLessThanOrEqual(250);
    expect(readFileSync(join(folder, "medmamba-samples-1/ab/notes.txt"), "utf8")).toBe("mine");
  });

  it("is shared by several that write at once", async () => {
    const folder = join(root, "shared");
    const plain = await openAll("off");
    const outcomes = await Promise.all([openAll(folder), openAll(folder), openAll(folder)]);
    for (const outcome of outcomes) expect(outcome).toEqual(plain);
    expect(filesOf(folder).filter((path) => !path.endsWith(".sample"))).toEqual([]);
  });

  it.skipIf(process.platform !== "linux")("goes on where the disk is full, with a word", async () => {
    // A folder that is taken away stands for a disk that takes no more.
    const folder = join(root, "full");
    const store = await SampleStore.open(folder, { onWarning: (text) => warnings.push(text) });
    const warnings: string[] = [];
    execFileSync("rm", ["-r", folder]);
    writeFileSync(folder, "");
    const sample = { channels: 1, height: 1, width: 1, data: new Uint8Array(1) };
    await store.keep("key", 0, sample);
    await store.keep("key", 1, sample);
    expect(await store.sample("key", 0)).toBeUndefined();
    expect(warnings).toEqual([expect.stringMatching(/^cache: no more images are kept on disk: /)]);
  });
});
