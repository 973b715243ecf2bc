/**
 * Other runtimes than Node: the golden results, a demonstration whose checkpoint has the same bits as Node's, predictions of the
 * same numbers, and a worker.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { repository } from "../support/repository.js";
import { bundleTests } from "./bundle.js";
import { outputOf } from "./output.js";
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

/** Deno looks for node_modules where it is started. */
const said = ({ command, given }: Omit<Runtime, "name">, args: readonly string[]) =>
  outputOf(command, [...given, ...args]);

describe.skipIf(present.length === 0)("other runtimes", () => {
  let golden = "";
  let work: ReturnType<typeof workOf>;
  beforeAll(async () => {
    golden = await bundleTests("test/models/golden.test.ts");
    work = workOf((args) => outputOf(process.execPath, args), "Node");
  }, 180_000);

  it.each(present.map((runtime) => [runtime.name, runtime] as const))(
    "%s: the golden results",
    (_, runtime) => {
      const counts = /(\d+) passed, (\d+) failed, (\d+) comparisons\n$/.exec(said(runtime, [golden]));
      const [passed, failed, comparisons] = (counts ?? []).slice(1).map(Number);
      expect(failed).toBe(0);
      expect(passed).toBeGreaterThanOrEqual(13);
      expect(comparisons).toBeGreaterThan(1000);
    },
  );

  it.each(present.map((runtime) => [runtime.name, runtime] as const))(
    "%s: training, predictions and a worker, to the bit as in Node",
    (name, runtime) => {
      expect(workOf((args) => said(runtime, args), name)).toEqual(work);
    },
  );
});
