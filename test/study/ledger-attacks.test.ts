/** Attacks on a run's ledger and on its checkpoint: each shows in the report and in the JSON of whoever evaluates next. */
import { cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readHeader, readTensors, writeTensors } from "../../src/weights/safetensors.js";
import {
  copyOf,
  evaluated,
  expectBroken,
  ledgerOf,
  linesOf,
  putLines,
  trainOnce,
} from "../support/sealed-study.js";
import { study } from "../support/small-study.js";
import { root } from "../support/temporary-folder.js";

beforeAll(trainOnce);

describe("an edited ledger", () => {
  const attacks: [string, (run: string) => void, RegExp][] = [
    [
      "a line changed",
      (run) =>
        putLines(
          run,
          linesOf(run).map((line) => line.replace(/"accuracy":[\d.]+/, '"accuracy":0.99')),
        ),
      /^The ledger was changed: line \d does not follow|line 3 is not the one/,
    ],
    [
      "a look removed in the middle",
      (run) => putLines(run, linesOf(run).toSpliced(2, 1)),
      /^The ledger was changed: line 3 does not follow/,
    ],
    [
      "the last look removed",
      (run) => putLines(run, linesOf(run).slice(0, -1)),
      /^The ledger was changed: 1 line was removed at its end/,
    ],
    [
      "its beginning removed",
      (run) => putLines(run, linesOf(run).slice(1)),
      /^The ledger was changed: .*its beginning is gone/,
    ],
    ["emptied", (run) => putLines(run, []), /^The ledger was changed: \d lines were removed at its end/],
    [
      "removed",
      (run) => rmSync(ledgerOf(run)),
      /^The ledger of the run, ledger.jsonl, was removed from its folder/,
    ],
    [
      "that of another run",
      (run) => {
        for (const file of ["ledger.jsonl", "ledger.head"])
          cpSync(join(root, "other", file), join(root, run, file));
      },
      /^The ledger beside the checkpoint is that of another run/,
    ],
    [
      "a folder in its place",
      (run) => {
        rmSync(ledgerOf(run));
        mkdirSync(ledgerOf(run));
      },
      /^The ledger cannot be read: .*ledger.jsonl: is a directory/,
    ],
  ];

  it.each(attacks)("shows: %s", async (_, attack, words) => {
    const run = copyOf("run");
    await evaluated(run);
    attack(run);
    const { json } = await expectBroken("ledger", words, run);
    expect(json.test).toBe("internal");
    // It is no passing thing.
    await evaluated(run);
    await expectBroken("ledger", /./, run);
  });

  it("shows lines removed from its end together with its head, as far as can be", async () => {
    const run = copyOf("run");
    putLines(run, linesOf(run).slice(0, -1));
    rmSync(join(root, run, "ledger.head"));
    const words =
      /ledger.head was removed or damaged, and perhaps lines at its end, as was found when line 3/;
    await expectBroken("ledger", words, run);
    // How many were there, the report of before tells.
    expect(readFileSync(join(root, run, "report.html"), "utf8")).toMatch(
      /had 3 entries when this was written/,
    );
  });

  it("beside a checkpoint that was moved away is not known", async () => {
    mkdirSync(join(root, "moved-away"));
    cpSync(join(root, "run/best.safetensors"), join(root, "moved-away/best.safetensors"));
    const { json, section, unknown, broken } = await evaluated("moved-away");
    expect(json).toMatchObject({ test: "internal", testLooks: null });
    expect(section).toContain("How often the test images were looked at is not known");
    expect(unknown.looks).toMatch(/the ledger of the run is not beside the checkpoint/);
    expect(Object.keys(unknown).sort()).toEqual(["checkpoint", "leaks", "ledger", "looks", "threshold"]);
    expect(broken).toEqual({});
  });
});

describe("a replaced checkpoint", () => {
  it("shows: that of another run", async () => {
    const run = copyOf("run");
    cpSync(join(root, "other/best.safetensors"), join(root, run, "best.safetensors"));
    const found = await expectBroken(
      "checkpoint",
      /^The checkpoint is not of the run whose folder it is in/,
      run,
    );
    expect(found.broken.ledger).toMatch(/is that of another run/);
  });

  it("shows: that of another run, which says that it is of this one", async () => {
    const run = copyOf("run");
    const [own, theirs] = [join(root, "run/best.safetensors"), join(root, "other/best.safetensors")];
    const { metadata } = await readHeader(own);
    await writeTensors(join(root, run, "best.safetensors"), await readTensors(theirs), metadata);
    await expectBroken("checkpoint", /^The checkpoint is not the file that the training wrote/, run);
  });

  it("is found in the ledger, if a run was extended", async () => {
    const run = copyOf("run");
    await study(join(root, run), { epochs: 3 }, { resume: true });
    const { ok, broken } = await evaluated(run);
    expect([ok.checkpoint, broken]).toEqual(["The checkpoint is the file that the training wrote.", {}]);
    expect(linesOf(run).map((line) => JSON.parse(line).event)).toEqual([
      "begun",
      "trained",
      "looked",
      "extended",
      "trained",
      "looked",
      "looked",
    ]);
  });
});
