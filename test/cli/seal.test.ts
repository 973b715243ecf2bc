/** What `evaluate` says on the command line of how often test images were looked at. */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { program } from "../support/repository.js";
import { copyOf, ledgerOf, linesOf, trainOnce } from "../support/sealed-study.js";
import { root } from "../support/temporary-folder.js";

beforeAll(trainOnce);

function evaluate(run: string, ...args: string[]) {
  const given = ["evaluate", "--checkpoint", `${run}/best.safetensors`, "--data", "scans", "--device", "cpu"];
  return spawnSync(process.execPath, [program, ...given, ...args], { cwd: root, encoding: "utf8" });
}

it("evaluate says in words how often, and warns of what is broken", () => {
  const run = copyOf("run");
  const { stdout, stderr } = evaluate(run);
  expect(stdout).toMatch(
    /Internal test: .*\n {2}These test images were looked at twice, each time with the same checkpoint\./,
  );
  expect(stderr).toBe("");
  rmSync(ledgerOf(run));
  const without = evaluate(run);
  expect(without.status).toBe(0);
  expect(without.stderr).toBe("warning: The ledger of the run, ledger.jsonl, was removed from its folder.\n");
  expect(without.stdout.replace(/\s+/g, " ")).toContain("is not known, and this look is not counted");
});

it("evaluate says loudly that a look could not be written, in the report, too, and goes on", () => {
  const run = copyOf("run");
  mkdirSync(join(root, run, "ledger.lock"));
  const before = linesOf(run);
  const { stderr, stdout, status } = evaluate(run, "--json", "--report", "report");
  expect(status).toBe(0);
  expect(stderr).toMatch(
    /^warning: This look is not in the ledger, so the next ones will count one too few: .* remove .*ledger.lock/,
  );
  const { testLooks, seal } = JSON.parse(stdout);
  expect(testLooks).toBe(2);
  expect(seal.findings.at(-1)).toMatchObject({ code: "recorded", state: "broken" });
  expect(linesOf(run)).toEqual(before);
});

it("train says it of its own verdict", () => {
  const { stdout, status } = spawnSync(
    process.execPath,
    [program, ..."train --data scans --out run --resume --device cpu".split(" "), "--json"],
    { cwd: root, encoding: "utf8" },
  );
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ testLooks: 2, seal: { test: "internal" } });
});
