/** Every file of examples/ is compiled and run, in a folder of its own, the way examples/README.md tells a newcomer to. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { repository } from "./support/repository.js";

const folder = mkdtempSync(join(tmpdir(), "medmamba-examples-"));

function node(file: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
    cwd: folder,
    encoding: "utf8",
    timeout: 120_000,
  });
  if (status !== 0) throw new Error(`${file} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

const example = (name: string, ...args: string[]): string =>
  node(join(repository, "build/examples", `${name}.js`), ...args);

/** The number that stands after some words. */
const numberAfter = (words: string, text: string): number =>
  Number(new RegExp(`${words} ([-+.e\\d]+)`).exec(text)?.[1]?.replace(/[,.]$/, ""));

beforeAll(() => {
  const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  const options = ["--project", join(repository, "examples")];
  const { status, stdout } = spawnSync(process.execPath, [compiler, ...options], { encoding: "utf8" });
  expect(stdout).toBe("");
  expect(status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("examples", () => {
  const covered = ["train", "predict", "fine-tune", "custom-head", "kernels"];

  it("are all run here", () => {
    const files = readdirSync(join(repository, "examples")).filter((name) => name.endsWith(".ts"));
    expect(files.sort()).toEqual(covered.map((name) => `${name}.ts`).sort());
  });

  it("train: learns, and says so on images it has never seen", () => {
    const output = example("train");
    expect(numberAfter("validation AUC", output)).toBeGreaterThan(0);
    expect(numberAfter("\naccuracy", output)).toBeGreaterThan(0.8);
  });

  it("predict: calls the three sample images rightly", () => {
    const lines = example("predict").trim().split("\n");
    expect(lines.map((line) => /: (\w+) \(/.exec(line)?.[1])).toEqual(["cyst", "mass", "normal"]);
  });

  it("fine-tune: takes all but the head over, and gets better", () => {
    const output = example("fine-tune");
    expect(output).toContain("new: head.weight, head.bias;");
    expect(numberAfter("before,", output)).toBeGreaterThan(0.9);
  });

  it("custom-head: its own loss falls and its own module learns", () => {
    const output = example("custom-head");
    const losses = [...output.matchAll(/loss ([.\d]+)/g)].map(([, loss]) => Number(loss));
    expect(losses).toHaveLength(4);
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) / 2);
    expect(Number(/accuracy ([.\d]+) after/.exec(output)?.[1])).toBeGreaterThan(0.7);
  });

  it("kernels: agrees with the formula", () => {
    const output = example("kernels", "256");
    expect(numberAfter("in float64:", output)).toBeLessThan(1e-5);
    expect(output).toMatch(/forward and backward: [.\d]+ ms/);
  });
});
