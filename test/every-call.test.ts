/** Every function and class, with every wrong kind of value for each argument: errors of this package, and no crash. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as mm from "../src/index.js";
import { repository } from "./support/repository.js";

const tables = [
  "operations",
  "networks",
  "metrics",
  "evidence",
  "cards",
  "training",
  "distributed",
  "data",
  "dicom",
];
const tried = new Set<string>();

describe.sequential("every wrong kind of argument is refused by an error of the package", () => {
  it.each(tables)("in %s", (table) => {
    const script = join(repository, "test", "support", "every-call.mjs");
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [script, table], {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
      timeout: 150_000,
      killSignal: "SIGKILL",
    });
    const last = stderr.split("\n").findLast((line) => /^(new )?[\w.]+.*\(/.test(line));
    expect({ status, signal }, `the last call was ${last}`).toEqual({ status: 0, signal: null });
    const result = JSON.parse(stdout) as { made: number; problems: string[]; tried: string[] };
    expect(result.problems).toEqual([]);
    expect(result.made).toBeGreaterThan(40 * result.tried.length);
    for (const name of result.tried) tried.add(name.replace(/^new |,.*$/g, ""));
  });

  it("and the tables have everything that is exported", () => {
    const spaces = Object.entries(mm).filter(
      ([, value]) => Object.prototype.toString.call(value) === "[object Module]",
    );
    const all = [["", mm] as const, ...spaces.map(([name, space]) => [`${name}.`, space as object] as const)];
    const functions = all.flatMap(([prefix, space]) =>
      Object.entries(space)
        .filter(([, value]) => typeof value === "function" && !(value.prototype instanceof Error))
        .map(([name]) => prefix + name),
    );
    expect(functions.length).toBeGreaterThan(100);
    const names = [...tried].flatMap((name) => [name, name.replace(/\.\w+$/, "")]);
    // Those are in `reports`, and the abstract classes in what extends them.
    const elsewhere = Object.keys(mm.reports).map((name) => `metrics.${name}`);
    expect(functions.filter((name) => !names.includes(name) && !elsewhere.includes(name))).toEqual([]);
  });
});
