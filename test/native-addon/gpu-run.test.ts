/** `scripts/gpu-run.sh`, rehearsed on the emulator: its cheap steps here, all of them by `scripts/gpu-run.sh --emulator`. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { hasEmulatedCuda } from "../support/backends.js";
import { repository } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";

const script = join(repository, "scripts/gpu-run.sh");
const built = existsSync(join(repository, "build/gpu-tests/medmamba-gpu-tests-emulated"));

function rehearse(only: string, environment: Record<string, string> = {}, ...more: string[]) {
  const out = mkdtempSync(join(root, "run-"));
  const { status, stdout, stderr } = spawnSync(script, ["--emulator", "--only", only, ...more], {
    encoding: "utf8",
    env: { ...process.env, OUT: out, ...environment },
    timeout: 100_000,
  });
  const read = (name: string) => readFileSync(join(out, name), "utf8");
  return { status, stdout, stderr, read };
}

interface Step {
  readonly stage: string;
  readonly name: string;
  readonly outcome: string;
  readonly why?: string;
  readonly numbers?: Readonly<Record<string, number>>;
}
const stepsOf = (summary: string) => JSON.parse(summary).steps as readonly Step[];

describe.skipIf(!hasEmulatedCuda() || !built)("gpu-run", () => {
  it("tells of every step what became of it, in figures and in words", () => {
    const { status, stdout, read } = rehearse("native test cast,memcheck,448,images");
    const steps = stepsOf(read("summary.json"));
    expect(steps[0]).toMatchObject({ stage: "truth", name: "native test cast", outcome: "passed" });
    expect(steps[0]?.numbers).toMatchObject({ failed: 0 });
    expect(steps[0]?.numbers?.passed).toBeGreaterThan(800);
    const leftOut = steps.slice(1).map(({ name, outcome, why }) => [name, outcome, why]);
    expect(leftOut).toContainEqual([
      "training, 448 px, batch 256, bf16",
      "left out",
      "it is too much for the emulator",
    ]);
    expect(leftOut).toContainEqual([
      "training of images",
      "left out",
      "there are no data: --data names them",
    ]);
    expect(leftOut.filter(([name]) => name?.startsWith("memcheck")).length).toBe(3);
    expect(read("summary.md")).toMatch(
      /\| truth \| native test cast \| passed \| [\d.]+ \| passed \d+, failed 0 \|/,
    );
    expect(read("truth.txt")).toContain("CUDA, CUDA emulator");
    expect(stdout).toContain("Nothing is wrong.\n");
    expect(status).toBe(0);
  });

  it("goes on after what fails and what is not done in time, and says so at the end", () => {
    const without = { MEDMAMBA_EMULATOR_MEMORY: "0" };
    const { status, stdout, read } = rehearse("native test cast,native test graphs", without);
    expect(stepsOf(read("summary.json")).map(({ outcome }) => outcome)).toEqual(["failed", "failed"]);
    expect(stdout).toContain("2 of 2 steps: wrong\n");
    expect(status).toBe(1);
    const late = rehearse("native test norms", {}, "--minutes", "0.02");
    expect(stepsOf(late.read("summary.json"))[0]).toMatchObject({
      outcome: "not done in time",
      why: "its limit was 1 s",
    });
    expect(late.status).toBe(1);
  });

  it("refuses what it does not know", () => {
    for (const [given, words] of [
      ["--minute=3", "--minute"],
      ["--minutes=soon", '"soon" is no number of minutes'],
    ] as const) {
      const { status, stderr } = rehearse("none", {}, given);
      expect(stderr).toContain(words);
      expect(status).toBe(2);
    }
  });
});

it("profiles kernels that there are", async () => {
  const { stagesFor } = await import(pathToFileURL(join(repository, "scripts/gpu-stages.mjs")).href);
  const stages = stagesFor({ root: repository, device: "cuda", python: "python3", scan: "chunked" });
  const commands = stages.flatMap(({ steps }: { steps: { command: string[] }[] }) =>
    steps.map((step) => step.command),
  );
  const patterns = commands.flat().filter((word: string) => word.startsWith("regex:"));
  const folder = join(repository, "native/cuda");
  const sources = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), "utf8"))
    .join("\n");
  expect(patterns.length).toBe(3);
  for (const name of patterns
    .join(".*")
    .split(/regex:|\.\*/)
    .filter(Boolean))
    expect(sources, name).toMatch(new RegExp(name === "Pixels" ? "struct Pixels" : `\\b${name}\\(`));
});

it("what is packed for another machine is asked for by name where it is missing", ({ skip }) => {
  if (existsSync(join(repository, "build/gpu-tests/medmamba-gpu-tests"))) skip("it is not missing");
  const { status, stderr } = spawnSync(script, ["--pack"], { encoding: "utf8" });
  expect(stderr).toMatch(/^gpu-pack: .*medmamba-gpu-tests is missing: .*`npm run build:gpu-tests`/);
  expect(status).toBe(1);
});
