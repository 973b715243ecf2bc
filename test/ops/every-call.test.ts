/** Every operation and layer, with every wrong kind of value for each argument: errors of this package, and no crash. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { repository } from "../support/repository.js";

it("every operation and layer refuses every wrong kind of argument by an error of the package", () => {
  const script = join(repository, "test", "support", "every-call.mjs");
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [script], {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    timeout: 150_000,
  });
  expect({ status, signal }, `the last call was ${stderr.trim().split("\n").at(-1)}`).toEqual({
    status: 0,
    signal: null,
  });
  const { made, problems } = JSON.parse(stdout) as { made: number; problems: string[] };
  expect(problems).toEqual([]);
  expect(made).toBeGreaterThan(3000);
});
