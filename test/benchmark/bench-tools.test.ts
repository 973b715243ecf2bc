/** What stands around the measurements of bench/: processes, units that go on, tables and figures, from made-up numbers. */

import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it, vi } from "vitest";
import { repository } from "../support/repository.js";

const tool = (name: string) => import(pathToFileURL(join(repository, "bench", name)).href);
const { measuredProcess } = await tool("measured-process.mjs");
const { measureRuns, openRuns } = await tool("peers/unit-runs.mjs");
const { allTables, failures, quantile } = await tool("peers/tables.mjs");
const { networkRows } = await tool("peers/gpu-tables.mjs");
const { roofline } = await tool("roofline.mjs");

const folder = await mkdtemp(join(tmpdir(), "medmamba-"));
afterAll(() => rm(folder, { recursive: true }));

describe("a script", () => {
  const scripts = ["bench", "bench/peers", "bench/install", "scripts"].flatMap((directory) =>
    readdirSync(join(repository, directory))
      .filter((name) => name.endsWith(".mjs"))
      .map((name) => `${directory}/${name}`),
  );

  it.each(scripts)("%s imports what the built package has", async (script) => {
    const source = readFileSync(join(repository, script), "utf8");
    for (const [, names = "", path = ""] of source.matchAll(/import \{([^}]*)\} from "(\.[^"]+)"/g)) {
      if (!path.includes("/dist/")) continue;
      const module = await import(new URL(path, pathToFileURL(join(repository, script))).href);
      const wanted = names.split(",").flatMap((name) => name.trim().split(" as ")[0] || []);
      expect(Object.keys(module)).toEqual(expect.arrayContaining(wanted));
    }
  });
});

describe("a measured process", () => {
  const run = (program: string, options = {}) =>
    measuredProcess("test", process.execPath, ["--eval", program], options);

  it("gives the object of its last line, or of all of them", async () => {
    expect(await run("console.log('noise'); console.log('{\"seconds\":1}')")).toEqual({
      report: { seconds: 1 },
    });
    const printed = "console.log(JSON.stringify({ rows: [1] }, null, 2))";
    expect(await run(printed, { whole: true })).toEqual({ report: { rows: [1] } });
  });

  it("tells what it died of", async () => {
    expect(await run("console.error('first'); console.error('the reason'); process.exit(1)")).toEqual({
      error: "failed: the reason",
    });
    expect(await run("process.kill(process.pid, 'SIGKILL')")).toEqual({
      error: "was ended by SIGKILL (memory?)",
    });
    expect(await run("setInterval(() => {}, 1000)", { seconds: 1 })).toEqual({
      error: "was not done after 1 s",
    });
    expect(await measuredProcess("test", join(folder, "nothing"), [])).toMatchObject({
      error: expect.stringMatching(/could not be started/),
    });
  });
});

describe("units", () => {
  it("go on where a command ended, each run complete before the next", async () => {
    vi.spyOn(console, "log").mockReturnValue(undefined);
    const file = join(folder, "state.json");
    const measured: string[] = [];
    const unit = (key: string, options = {}) => ({
      key,
      expected: 1,
      measure: async () => ({ order: measured.push(key) }),
      ...options,
    });
    const units = [unit("a"), unit("b", { once: true }), unit("c")];
    const settings = { imageSize: 224 };
    const first = openRuns(file, settings, {}, true);
    expect(
      await measureRuns(first, [units[0], unit("slow", { expected: 90 })], { runs: 1, minutes: 1 }),
    ).toBe(1);
    const second = openRuns(file, settings, {}, false);
    expect(await measureRuns(second, units, { runs: 2, minutes: 1 })).toBe(0);
    expect(measured).toEqual(["a", "b", "c", "a", "c"]);
    expect(openRuns(file, settings, {}, false).runs).toHaveLength(2);
    expect(() => openRuns(file, { imageSize: 64 }, {}, false)).toThrow(/another imageSize: --fresh/);
    expect(openRuns(file, { imageSize: 64 }, {}, true).runs).toEqual([]);
  });
});

describe("tables", () => {
  const work = { products: { conv3x3: 1e9 }, exponentials: 0, scanOperations: 0 };
  const limits = { multiplyAdds: 1e11, bytes: 1e10, exponentials: 1e9 };
  const row = { name: "conv3x3 forward", shape: "56x56x48", cost: { multiplyAdds: 1e9, exponentials: 0 } };
  const run = (ours: number, peer: number) => ({
    "limits/ours": { limits },
    "inference:8/eager": {
      ours: [[ours], [ours]],
      oursPeakBytes: 1e8,
      work,
      peer: { seconds: [peer], peakBytes: 4e8 },
    },
    "inference:8/bf16": { ours: [[0.1], [0.1]], work, peer: { seconds: [0.4] } },
    "inference:8/compile": { ours: [[ours]], work, peer: null, peerError: "was not done after 180 s" },
    "conv3x3:16/eager": {
      ours: [[{ ...row, seconds: ours }], [{ ...row, seconds: ours }]],
      peer: [{ ...row, seconds: peer }],
    },
  });
  const runs = [run(0.1, 1), run(0.125, 1), run(0.16, 2)];

  it("take medians over runs and say how far these lie apart", () => {
    const tables = Object.fromEntries(allTables(runs));
    const [heading, cells] = tables["MedMamba, images a second"];
    const network = Object.fromEntries(heading.map((name: string, i: number) => [name, cells[i]]));
    // 8 images in 0.125 s; half of 80 - 50 by 64; at least 8e9 multiply-adds at 1e11 a second.
    expect(cells.slice(0, 8)).toEqual(["inference:8", "64.0", "23 %", "8.00", "25 %", "-", "8.00x", "80.0"]);
    expect(network).toMatchObject({ "of limit": "64 %", limit: "100 img/s" });
    expect(cells.slice(8, 13)).toEqual(["20.0", "4.00x", "100.0 MB", "400.0 MB", "0.25"]);
    expect(tables.Kernels[1]).toEqual([
      ...["conv3x3 forward", "56x56x48", "16", "125", "24 %", "1000", "50 %", "8.00x", "10.0", "8 %"],
    ]);
    expect(failures(runs)).toEqual(["inference:8, PyTorch compile: was not done after 180 s."]);
  });

  it("take the best products of any run and side for what the machine can do", () => {
    const product = {
      name: "product",
      shape: "1536x1536x1536",
      cost: { multiplyAdds: 4e9, exponentials: 0 },
    };
    const unit = (ours: number, peer: number) => ({
      ...run(0.1, 1),
      "product:1/eager": { ours: [[{ ...product, seconds: ours }]], peer: [{ ...product, seconds: peer }] },
    });
    const tables = Object.fromEntries(allTables([unit(0.03, 0.025), unit(0.02, 0.05)]));
    expect(tables["MedMamba, images a second"][1].slice(-2)).toEqual(["200 img/s", "40 %"]);
  });

  it("leave out what was not measured", () => {
    expect(allTables([{ "limits/ours": { limits } }])).toEqual([]);
    expect(quantile([3, 1, 2], 0.5)).toBe(2);
    expect(quantile([0, 10], 0.99)).toBeCloseTo(9.9, 9);
  });

  it("of a GPU set each precision beside PyTorch's", () => {
    const step = (seconds: number, peakBytes: number) => ({ seconds: [seconds], peakBytes });
    const measured = {
      "training:128/bf16": {
        ours: [step(0.1, 1e9), step(0.1, 1e9)],
        peers: { eager: step(0.5, 4e9) },
        peerErrors: { compile: "failed: no compiler" },
      },
    };
    expect(networkRows([measured])[1]).toEqual([
      ...["training:128", "bf16", "1280", "0 %", "256", "-", "5.00x", "-", "100", "1.0 GB", "4.0 GB", "0.25"],
    ]);
  });
});

it("a roofline has a dot for every kernel and a line for every limit", () => {
  const limits = {
    float32: { multiplyAdds: 2.5e13, bytes: 4e12, exponentials: 3e12 },
    bf16: { multiplyAdds: 3.5e14, bytes: 4e12, exponentials: 3e12 },
  };
  const rates = { gigaflops: 1000, gigabytesPerSecond: 100, gigaexponentialsPerSecond: 200 };
  const common = { shape: "7x7x768", batch: 1, seconds: 1e-3, ofLimit: 0.5 };
  const rows = [
    { ...common, ...rates, name: "scan4 forward", precision: "float32" },
    { ...common, ...rates, gigaexponentialsPerSecond: undefined, name: "conv3x3 forward", precision: "bf16" },
    { ...common, gigabytesPerSecond: 100, name: "layer norm forward", precision: "bf16" },
    { ...common, gigaflops: 1000, name: "tiny inference", precision: "bf16" },
  ];
  const svg: string = roofline({ rows, limits }, "<made up>");
  const dots = (title: string) => svg.split(title).length - 1;
  expect(dots("scan4 forward, 7x7x768, batch 1, float32: 50 % of the limit")).toBe(3);
  expect(dots("conv3x3 forward, 7x7x768")).toBe(2);
  expect(dots("layer norm forward, 7x7x768")).toBe(1);
  expect(dots("tiny inference,")).toBe(0);
  for (const name of ["product, float32", "product, bf16", ">exponentials<", ">copy<"])
    expect(svg).toContain(name);
  expect(svg).toContain("&lt;made up&gt;");
  expect(svg).not.toContain("NaN");
});
