/** The benchmarks' arithmetic against known counts, and the report of a short run. */
import { Command } from "commander";
import { afterEach, describe, expect, it, vi } from "vitest";
import { leastTime } from "../src/benchmark/limits.js";
import { summary } from "../src/benchmark/measure.js";
import { profileTraining } from "../src/benchmark/profile.js";
import { allBenchmarks } from "../src/benchmark/suite.js";
import { backwardCost, forwardCost, modelWork, stagesOf } from "../src/benchmark/work.js";
import { addBench } from "../src/cli/bench.js";
import { openDevice } from "../src/index.js";
import { medMambaConfig } from "../src/models/medmamba.js";

const tiny = medMambaConfig({ variant: "tiny" });

afterEach(() => vi.restoreAllMocks());

describe("work", () => {
  it("of MedMamba-T at 224 pixels is what the architecture's description lists", () => {
    const { products, exponentials, scanOperations } = modelWork(tiny, 224);
    const millions = (count: number) => count / 1e6;
    expect(Object.fromEntries(Object.entries(products).map(([k, v]) => [k, millions(v)]))).toEqual({
      conv3x3: expect.closeTo(1300.6, 1),
      inProj: expect.closeTo(289.0, 1),
      xProj: expect.closeTo(199.9, 1),
      merging: expect.closeTo(173.4, 1),
      outProj: expect.closeTo(144.5, 1),
      conv1x1: expect.closeTo(72.3, 1),
      dtProj: expect.closeTo(36.1, 1),
      patchEmbed: expect.closeTo(14.5, 1),
      depthwise: expect.closeTo(11.5, 1),
      head: expect.closeTo(0, 1),
    });
    expect(millions(exponentials)).toBeCloseTo(81.9, 1);
    expect(millions(scanOperations)).toBeCloseTo(742.1, 1);
  });

  it("drops odd rows and columns as the network does", () => {
    expect(stagesOf(tiny, 100).map(({ height }) => height)).toEqual([25, 12, 6, 3]);
  });

  it("grows with the images, and backward has two products for each of forward", () => {
    const work = { ...modelWork(tiny, 64), exponentials: 0 };
    const [one, two] = [forwardCost(work, 1), forwardCost(work, 2)];
    expect(two.multiplyAdds).toBe(2 * one.multiplyAdds);
    const images = work.products.patchEmbed;
    expect(backwardCost(work, 1).multiplyAdds).toBe(2 * one.multiplyAdds - images);
  });
});

describe("least time", () => {
  const limits = { multiplyAdds: 100, bytes: 10, exponentials: 1 };

  it("adds products and exponentials, and takes memory's instead if that is longer", () => {
    expect(leastTime({ multiplyAdds: 200, exponentials: 3 }, limits)).toEqual({ seconds: 5, bound: "exp" });
    const bytes = 60;
    expect(leastTime({ multiplyAdds: 200, exponentials: 3, bytes }, limits).bound).toBe("memory");
    expect(leastTime({ multiplyAdds: 400, exponentials: 1 }, limits).bound).toBe("product");
  });
});

it("summarises samples by their median and quartiles", () => {
  expect(summary([5, 1, 2, 3, 4])).toEqual({ seconds: 3, fastest: 1, spread: 2 / 3, samples: 5 });
});

it("has a benchmark for every kernel of every stage, each with a name of its own", () => {
  const benchmarks = allBenchmarks("tiny", 64, 2);
  const labels = benchmarks.map(({ name, shape }) => `${name} ${shape}`);
  expect(new Set(labels).size).toBe(labels.length);
  expect(labels.filter((label) => label.startsWith("scan4 forward"))).toEqual([
    "scan4 forward 16x16x96",
    "scan4 forward 8x8x192",
    "scan4 forward 4x4x384",
    "scan4 forward 2x2x768",
  ]);
});

it("opens and runs every kernel and block without an error", async () => {
  const device = openDevice("cpu", { threads: 2 });
  for (const benchmark of allBenchmarks("tiny", 32, 1)) {
    const opened = benchmark.open(device);
    opened.before?.();
    opened.run();
    opened.after?.();
    await expect(device.synchronize(), benchmark.name).resolves.toBeUndefined();
    opened.close();
  }
  expect(device.memory().bytes).toBe(0);
  device.close();
});

it("profiles the parts of a block", async () => {
  const device = openDevice("cpu", { threads: 2 });
  const config = medMambaConfig({ depths: [1, 1], dims: [16, 32], dropPathRate: 0 });
  const { operations, outside, secondsPerStep } = await profileTraining(config, 32, 2, device, 2);
  const counts = Object.fromEntries(operations.map(({ operation, count }) => [operation, count]));
  expect(counts).toMatchObject({ scan4_forward: 2, scan4_backward: 2, conv3x3_forward: 4, adam: 1 });
  expect(counts).not.toHaveProperty("ss_conv_ssm_forward");
  const total = operations.reduce((sum, { seconds }) => sum + seconds, outside.seconds);
  expect(total).toBeCloseTo(secondsPerStep, 6);
  device.close();
});

describe("medmamba bench", () => {
  it("prints one JSON object with machine, limits and the rows asked for", async () => {
    const report = await bench(
      "--quick",
      "--image-size",
      "32",
      "--batch-size",
      "1",
      "--filter",
      "layer norm x",
    );
    expect(report.machine).toMatchObject({ device: "cpu", node: process.version });
    expect(report.settings).toEqual({ variant: "tiny", imageSize: 32, batchSize: 1, quick: true });
    for (const rate of ["multiplyAdds", "bytes", "exponentials"])
      expect(report.limits[rate]).toBeGreaterThan(0);
    expect(report.rows).toHaveLength(8);
    expect(report.rows[0]).toMatchObject({
      name: "layer norm x gate forward",
      shape: "64x96",
      batch: 1,
    });
    // Which of the two limits binds depends on rates measured a moment ago: on a busy machine, on either.
    expect(["memory", "exp"]).toContain(report.rows[0].bound);
    for (const { seconds, leastSeconds, ofLimit, imagesPerSecond } of report.rows) {
      expect(ofLimit).toBeCloseTo(leastSeconds / seconds, 9);
      expect(imagesPerSecond).toBeCloseTo(1 / seconds, 3);
    }
  });

  it("refuses a filter that leaves nothing", async () => {
    await expect(bench("--filter", "no such kernel")).rejects.toThrow(/rows are scan4 forward/);
  });
});

async function bench(...options: string[]) {
  const written: string[] = [];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  const program = new Command().exitOverride();
  addBench(program);
  await program.parseAsync(["bench", "--json", "--device", "cpu", ...options], { from: "user" });
  return JSON.parse(written.join(""));
}
