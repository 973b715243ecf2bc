/**
 * Other runtimes than Node: the golden results, a demonstration whose checkpoint has the same bits as Node's, predictions of the
 * same numbers, and a worker.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { program, repository } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";
import { bundleTests } from "./bundle.js";

/** How a runtime is started: its program, and what stands before the name of a script. */
interface Runtime {
  readonly name: string;
  readonly command: string;
  readonly given: readonly string[];
}

const packages = join(repository, "test/runtimes/packages/node_modules");
const runtimes: readonly Runtime[] = [
  { name: "Bun", command: join(packages, "@oven/bun-linux-x64/bin/bun"), given: [] },
  {
    name: "Deno",
    command: join(packages, "@deno/linux-x64-glibc/deno"),
    given: ["run", "-A", "--node-modules-dir=manual"],
  },
];
const present = runtimes.filter(({ name, command }) => {
  if (existsSync(command)) return true;
  console.warn(`NOT TESTED: ${name}, because it is missing: npm ci --force --prefix test/runtimes/packages.`);
  return false;
});

/** Of a run that succeeds. */
function outputOf({ command, given }: Omit<Runtime, "name">, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, [...given, ...args], {
    cwd: repository, // Deno looks for node_modules where it is started.
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", MEDMAMBA_TEST_CPU_ALONE: "1" },
  });
  if (error) throw error;
  expect(status, stderr).toBe(0);
  return stdout;
}

const node = { command: process.execPath, given: [] };

/** Scores of outliers are made of logarithms, whose last digits are each engine's own. */
const rounded = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_, one: unknown) =>
    typeof one === "number" ? Number(one.toPrecision(9)) : one,
  );

/** What a runtime makes of the same work as the others. */
function workOf(runtime: Omit<Runtime, "name">, folder: string) {
  const checkpoint = join(folder, "run/best.safetensors");
  outputOf(runtime, [program, "demo", "--epochs", "2", "--out", folder, "--json"]);
  const images = ["cyst", "mass"].map((name) => join(root, "Node/data/test", name));
  return {
    checkpoint: createHash("md5").update(readFileSync(checkpoint)).digest("hex"),
    predictions: rounded(
      JSON.parse(outputOf(runtime, [program, "predict", "--checkpoint", checkpoint, "--json", ...images])),
    ),
    worker: outputOf(runtime, [join(repository, "test/runtimes/worker.mjs")]),
  };
}

describe.skipIf(present.length === 0)("other runtimes", () => {
  let golden = "";
  let work: ReturnType<typeof workOf>;
  beforeAll(async () => {
    golden = await bundleTests("test/models/golden.test.ts");
    work = workOf(node, join(root, "Node"));
  }, 180_000);

  it.each(present.map((runtime) => [runtime.name, runtime] as const))(
    "%s: the golden results",
    (_, runtime) => {
      const counts = /(\d+) passed, (\d+) failed, (\d+) comparisons\n$/.exec(outputOf(runtime, [golden]));
      const [passed, failed, comparisons] = (counts ?? []).slice(1).map(Number);
      expect(failed).toBe(0);
      expect(passed).toBeGreaterThanOrEqual(13);
      expect(comparisons).toBeGreaterThan(1000);
    },
  );

  it.each(present.map((runtime) => [runtime.name, runtime] as const))(
    "%s: training, predictions and a worker, to the bit as in Node",
    (name, runtime) => {
      expect(workOf(runtime, join(root, name))).toEqual(work);
    },
  );
});
