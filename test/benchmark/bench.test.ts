/** The benchmarks' arithmetic against known counts, and the report of a short run. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { afterEach, describe, expect, it, vi } from "vitest";
import { leastTime } from "../../src/benchmark/limits.js";
import { summary } from "../../src/benchmark/measure.js";
import { profileTraining } from "../../src/benchmark/profile.js";
import { publishedMultiplyAdds } from "../../src/benchmark/published-peaks.js";
import { allBenchmarks, type Row } from "../../src/benchmark/suite.js";
import { backwardCost, forwardCost, modelWork, stagesOf } from "../../src/benchmark/work.js";
import { define as defineBench } from "../../src/cli/commands/bench.js";
import { BenchTable } from "../../src/cli/console/bench-table.js";
import { DeviceError } from "../../src/errors.js";
import { crossEntropy, type Device, ones, openDevice, tensor } from "../../src/index.js";
import { medMambaConfig } from "../../src/models/config.js";
import { loadAddon } from "../../src/native/load.js";
import { product } from "../../src/ops/matmul.js";
import { hasEmulatedCuda } from "../support/backends.js";

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

describe("published peaks", () => {
  it("are those of a card by its model and precision, two operations to a multiply-add", () => {
    expect(publishedMultiplyAdds("NVIDIA H200", "bf16")).toBeCloseTo(989.4e12 / 2, -6);
    expect(publishedMultiplyAdds("NVIDIA H100 80GB HBM3", "tf32")).toBeCloseTo(494.7e12 / 2, -6);
    expect(publishedMultiplyAdds("NVIDIA A100-SXM4-80GB", "float32")).toBeCloseTo(19.5e12 / 2, -6);
  });

  it("are unknown of other cards, processors and the emulator, whose products are measured", () => {
    for (const model of ["NVIDIA H100 PCIe", "NVIDIA H200 NVL", "NVIDIA A1000", "CUDA emulator", undefined])
      expect(publishedMultiplyAdds(model, "bf16")).toBeUndefined();
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
  const benchmarks = allBenchmarks(["tiny", "base"], 64, 2);
  const labels = benchmarks.map(({ name, shape }) => `${name} ${shape}`);
  expect(new Set(labels).size).toBe(labels.length);
  expect(labels.filter((label) => label.startsWith("scan4 forward"))).toEqual([
    "scan4 forward 16x16x96",
    "scan4 forward 8x8x192",
    "scan4 forward 4x4x384",
    "scan4 forward 2x2x768",
  ]);
  expect(labels.slice(-4)).toEqual([
    "tiny inference 64x64x3",
    "tiny training step 64x64x3",
    "base inference 64x64x3",
    "base training step 64x64x3",
  ]);
});

it("opens and runs every kernel and block without an error", async () => {
  const device = openDevice("cpu", { threads: 2 });
  for (const benchmark of allBenchmarks(["tiny"], 32, 1)) {
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

describe.each(timedDevices())("time on %s", (_, open) => {
  it("is the device's own, and within that of the host", async () => {
    const device = open();
    const x = ones([64, 64], { device });
    const y = ones([64, 64], { device });
    const start = performance.now();
    const seconds = await device.time(() => {
      for (let i = 0; i < 20; ++i) product(x, x, y, { m: 64, n: 64, k: 64 });
    });
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan((performance.now() - start) / 1000);
    device.close();
  });

  it("is told for each operation of a training step, the parts of a block one by one", async () => {
    const device = open();
    const config = medMambaConfig({ depths: [1, 1], dims: [16, 32], dropPathRate: 0 });
    const { operations, outside, secondsPerStep } = await profileTraining(config, 32, 2, device, 2);
    const counts = Object.fromEntries(operations.map(({ operation, count }) => [operation, count]));
    expect(counts).toMatchObject({ scan4_forward: 2, scan4_backward: 2, conv3x3_forward: 4, adam: 1 });
    expect(counts).not.toHaveProperty("ss_conv_ssm_forward");
    const total = operations.reduce((sum, { seconds }) => sum + seconds, outside.seconds);
    expect(total).toBeCloseTo(secondsPerStep, 6);
    expect(outside.seconds).toBeGreaterThan(0);
    device.close();
  });

  it("is of work that was done: what failed is told", async () => {
    const device = open();
    const loss = () => crossEntropy(ones([1, 2], { device }), tensor([2], [1], { dtype: "int64", device }));
    await expect(device.time(() => loss().dispose())).rejects.toThrow(/label 2/);
    await expect(device.time(() => ones([4], { device }).dispose())).resolves.toBeGreaterThan(0);
    device.close();
  });
});

it("has no time of a device that was not asked to start", () => {
  const stream = loadAddon().openStream("cpu", {});
  expect(() => stream.stopTimer(new Float64Array(1))).toThrow(/startTimer has not been called/);
  stream.startTimer();
  expect(() => stream.stopTimer(new Float64Array(2))).toThrow(/Float64Array of one number/);
  stream.close();
});

it("prints rows of 80 columns", () => {
  const row: Row = {
    ...{ name: "conv3x3 backward weight", shape: "112x112 768>1536", batch: 128, precision: "float32" },
    ...{ seconds: 0.000_012_34, spread: 0.5, samples: 5, imagesPerSecond: 10_372_770.3 },
    ...{ gigaflops: 1234.5, gigabytesPerSecond: 0.0123, gigaexponentialsPerSecond: 99.94 },
    ...{ leastSeconds: 1e-5, bound: "memory", ofLimit: 1.2345 },
  };
  const [plain, compared] = [new BenchTable(false), new BenchTable(true)];
  expect(plain.heading()).toBe(
    "kernel                         shape     time  img/s FLOP/s    B/s  exp/s  limit",
  );
  expect(plain.row({ ...row, shape: "112x112 48>192" }, undefined)).toBe(
    "conv3x3 bwd weight    112x112 48>192 12.3 us~ 10.4 M 1.23 T 12.3 M 99.9 G 123% m",
  );
  expect(compared.row({ ...row, shape: "7x7x768", spread: 0 }, { ...row, seconds: 0.002 })).toBe(
    "conv3x3 bwd weight           7x7x768 12.3 us    2.00 ms 162.07x 123% m",
  );
});

describe("medmamba bench", () => {
  const shortest = ["--quick", "--image-size", "32"];

  it("prints one JSON object with machine, limits and the rows asked for", async () => {
    const report = await bench(...shortest, "--batch-size", "1,2", "--filter", "layer norm x");
    expect(report.machine).toMatchObject({ device: "cpu", node: process.version });
    expect(report.settings).toEqual({
      variants: ["tiny"],
      imageSize: 32,
      batchSizes: [1, 2],
      precisions: ["float32"],
      quick: true,
    });
    expect(report.skipped).toEqual([]);
    for (const rate of ["multiplyAdds", "bytes", "exponentials"])
      expect(report.limits.float32[rate]).toBeGreaterThan(0);
    expect(report.rows).toHaveLength(16);
    const row = { name: "layer norm x gate forward", shape: "8x8x96", precision: "float32" };
    expect(report.rows[0]).toMatchObject({ ...row, batch: 1 });
    expect(report.rows[8]).toMatchObject({ ...row, batch: 2 });
    // Which of the two limits binds depends on rates measured a moment ago: on a busy machine, on either.
    expect(["memory", "exp"]).toContain(report.rows[0].bound);
    for (const { seconds, leastSeconds, ofLimit, imagesPerSecond, batch } of report.rows) {
      expect(ofLimit).toBeCloseTo(leastSeconds / seconds, 9);
      expect((imagesPerSecond * seconds) / batch).toBeCloseTo(1, 9);
    }
  });

  it.runIf(hasEmulatedCuda())("measures CUDA's kernels in each precision", async () => {
    const device = ["--device", "cuda-emulated", "--batch-size", "1", "--precision", "float32,bf16"];
    const report = await bench(...device, ...shortest, "--filter", "conv3x3 forward");
    expect(report.machine).toMatchObject({ device: "cuda-emulated:0", model: "CUDA emulator" });
    expect(Object.keys(report.limits)).toEqual(["float32", "bf16"]);
    const rows = report.rows.map(({ shape, precision }: Row) => `${shape} ${precision}`);
    const shapes = ["8x8x48", "4x4x96", "2x2x192", "1x1x384"];
    expect(rows).toEqual(
      ["float32", "bf16"].flatMap((precision) => shapes.map((shape) => `${shape} ${precision}`)),
    );
    for (const { seconds } of report.rows) expect(seconds).toBeGreaterThan(0);
  });

  it("leaves out what does not fit into memory, and says so", async () => {
    const report = await bench(
      ...shortest,
      "--batch-size",
      "1000000000",
      "--filter",
      "depthwise forward 8x8",
    );
    expect(report.rows).toEqual([]);
    expect(report.skipped).toEqual([
      expect.objectContaining({
        name: "depthwise forward",
        reason: expect.stringMatching(/could not be alloc/),
      }),
    ]);
  });

  it("sets an earlier run beside", async () => {
    const file = join(await mkdtemp(join(tmpdir(), "medmamba-")), "before.json");
    const filter = [...shortest, "--batch-size", "1", "--filter", "scan4"];
    const before = await bench(...filter);
    await writeFile(file, JSON.stringify(before));
    const { comparison, rows } = await bench(...filter, "--compare", file);
    expect(comparison).toHaveLength(rows.length);
    expect(comparison[0]).toMatchObject({
      name: "scan4 forward",
      secondsBefore: before.rows[0].seconds,
      faster: before.rows[0].seconds / rows[0].seconds,
    });
    await rm(dirname(file), { recursive: true });
  });

  it("refuses a filter that leaves nothing, and lists that are none", async () => {
    await expect(bench("--filter", "no such kernel")).rejects.toThrow(/rows are scan4 forward/);
    await expect(bench("--precision", "float16")).rejects.toThrow(/Use float32, tf32, bf16/);
    await expect(bench("--batch-size", "8,none")).rejects.toThrow(/whole numbers/);
  });

  it("has the backend refuse a precision that it lacks", async () => {
    await expect(bench("--quick", "--precision", "tf32")).rejects.toThrow(DeviceError);
  });
});

function timedDevices(): [name: string, open: () => Device][] {
  const devices: [string, () => Device][] = [["cpu", () => openDevice("cpu", { threads: 2 })]];
  if (hasEmulatedCuda()) devices.push(["cuda-emulated", () => openDevice("cuda-emulated")]);
  return devices;
}

async function bench(...options: string[]) {
  const written: string[] = [];
  const keep = (text: unknown) => {
    written.push(String(text));
    return true;
  };
  vi.spyOn(process.stdout, "write").mockImplementation(keep);
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const program = new Command().exitOverride();
  defineBench(program.command("bench"));
  for (const command of program.commands) command.exitOverride();
  const device = options.includes("--device") ? [] : ["--device", "cpu"];
  await program.parseAsync(["bench", "--json", ...device, ...options], { from: "user" });
  return JSON.parse(written.join(""));
}
