/**
 * Other runtimes than Node: the golden results, a demonstration whose checkpoint has the same bits as Node's, predictions of the
 * same numbers, and a worker.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { repository } from "../support/repository.js";
import { bundleTests } from "./bundle.js";
import { workOf } from "./work.js";

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

describe.skipIf(present.length === 0)("other runtimes", () => {
  let golden = "";
  let work: ReturnType<typeof workOf>;
  beforeAll(async () => {
    golden = await bundleTests("test/models/golden.test.ts");
    work = workOf((args) => outputOf({ command: process.execPath, given: [] }, args), "Node");
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
      expect(workOf((args) => outputOf(runtime, args), name)).toEqual(work);
    },
  );
});
