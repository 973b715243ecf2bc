/**
 * The native tests for a GPU, `npm run build:gpu-tests`: without one they say so, with an exit code of their own. What copies
 * their arrays there and back is tried on the emulator, where a kernel reaches no memory but the device's.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repository } from "../support/repository.js";

const program = (name: string) => join(repository, "build", "gpu-tests", name);
const [real, emulated] = [program("medmamba-gpu-tests"), program("medmamba-gpu-tests-emulated")];
const hasGpu = existsSync("/proc/driver/nvidia/version");

function run(file: string, args: string[], environment: Record<string, string> = {}) {
  const options = { encoding: "utf8", env: { ...process.env, ...environment }, timeout: 50_000 } as const;
  return spawnSync(file, args, options);
}

if (!existsSync(emulated))
  console.error(`NOT TESTED: ${emulated} is missing: run \`node scripts/build.mjs tests\`.`);
describe.skipIf(!existsSync(emulated))("the native tests for a GPU, on the emulator", () => {
  it("run by name, with guards around the arrays and without", () => {
    for (const guards of [[], ["--without-guards"]]) {
      const { status, stdout } = run(emulated, [...guards, "cast", "graphs"]);
      expect(stdout).toMatch(/CUDA, CUDA emulator\n\d+ passed, 0 failed\n/);
      expect(status).toBe(0);
    }
  });

  it("say what there is no test of, and that there is no GPU", () => {
    const unknown = run(emulated, ["scans"]);
    expect([unknown.status, unknown.stderr]).toEqual([
      2,
      'medmamba-gpu-tests: there is no test "scans"; --list tells their names\n',
    ]);
    const none = run(emulated, [], { MEDMAMBA_EMULATOR_DEVICES: "0" });
    expect([none.status, none.stderr]).toEqual([
      77,
      "medmamba-gpu-tests: there is no GPU to test on: the NVIDIA driver finds no GPU; CUDA_VISIBLE_DEVICES may hide it\n",
    ]);
  });
});

describe.skipIf(!existsSync(real) || hasGpu)("the native tests for a GPU, without one", () => {
  it("say so", () => {
    const { status, stderr } = run(real, []);
    expect(stderr).toMatch(/^medmamba-gpu-tests: there is no GPU to test on: .*\n$/);
    expect(status).toBe(77);
  });
});
