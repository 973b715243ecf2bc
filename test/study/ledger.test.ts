/** The ledger: a chain that shows what was done to it, and that two writers, a full disk or a crash do not break. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { StudyError, WeightsError } from "../../src/errors.js";
import { readLedger, writeEntry } from "../../src/study/ledger.js";
import { type LedgerEvent, looksIn } from "../../src/study/ledger-entries.js";
import { failure } from "../support/failure.js";
import { repository } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";

const images = { images: 4, labelsChecksum: 1, contents: "c0" };
const begun: LedgerEvent = {
  event: "begun",
  run: "r0",
  images: { train: images, val: images, test: images },
  settings: "s0",
  seed: 0,
  leaks: { allowed: false, images: 0, patients: 0 },
};
const looked = (checkpoint = "k0", thresholds: readonly number[] | null = [0.5]): LedgerEvent => ({
  event: "looked",
  by: "evaluate",
  checkpoint,
  images,
  of: { train: 0, val: 0, test: 4 },
  thresholds,
  chosenBy: "training",
  scores: { accuracy: 0.75 },
});

let directory = "";
let count = 0;
const path = (name = "ledger.jsonl") => join(directory, name);
const lines = () => readFileSync(path(), "utf8").split("\n").slice(0, -1);
const put = (all: readonly string[]) => writeFileSync(path(), all.map((line) => `${line}\n`).join(""));

beforeEach(async () => {
  directory = join(root, `ledger-${++count}`);
  mkdirSync(directory);
  await writeEntry(directory, begun);
  for (const checkpoint of ["k0", "k1", "k1"]) await writeEntry(directory, looked(checkpoint));
});

describe("a ledger", () => {
  it("holds in each line the SHA-256 of the line before, as sha256sum gives it, and leaves nothing else behind", async () => {
    const all = lines();
    const hashes = all.map((line) => {
      const { stdout } = spawnSync("sha256sum", { input: line, encoding: "utf8" });
      return stdout ? stdout.slice(0, 64) : createHash("sha256").update(line).digest("hex");
    });
    const entries = all.map((line) => JSON.parse(line));
    expect(entries.map(({ previous }) => previous)).toEqual(["", ...hashes.slice(0, -1)]);
    expect(entries.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(JSON.parse(readFileSync(path("ledger.head"), "utf8"))).toEqual({ entries: 4, hash: hashes[3] });
    const ledger = await readLedger(directory);
    expect(ledger).toMatchObject({ broken: [], doubts: [], head: { entries: 4, hash: hashes[3] } });
    expect(readdirSync(directory).sort()).toEqual(["ledger.head", "ledger.jsonl"]);
  });

  it("counts looks, and apart from them the checkpoints and thresholds that were tried", async () => {
    await writeEntry(directory, looked("k1", [0.3]));
    await writeEntry(directory, { ...looked("k9"), of: { train: 0, val: 4, test: 0 } } as LedgerEvent);
    const { entries } = (await readLedger(directory))!;
    expect(looksIn(entries)).toEqual({ total: 4, earlier: 0, atLeast: false, checkpoints: 2, decisions: 3 });
  });

  it("is undefined where there is none", async () => {
    expect(await readLedger(join(root, "nowhere"))).toBeUndefined();
  });
});

describe("a ledger that was edited", () => {
  const broken = async () => (await readLedger(directory))!.broken.join("; ");

  it.each<[string, (all: string[]) => string[], RegExp]>([
    ["a line changed", (all) => all.with(1, all[1]!.replace("0.75", "0.95")), /line 3 does not follow from/],
    ["the first line changed", (all) => all.with(0, all[0]!.replace("r0", "r1")), /line 2 does not follow/],
    ["a line removed in the middle", (all) => all.toSpliced(2, 1), /line 3 does not follow from/],
    ["a line put in between", (all) => all.toSpliced(2, 0, all[2]!), /^2 lines \(4, 5\) do not follow from/],
    [
      "two lines exchanged",
      (all) => all.with(1, all[2]!).with(2, all[1]!),
      /^3 lines \(2, 3, 4\) do not follow from/,
    ],
    [
      "its beginning removed",
      (all) => all.slice(1),
      /its first line is not where it begins.*its beginning is gone/,
    ],
    ["the last line removed", (all) => all.slice(0, -1), /^1 line was removed at its end/],
    ["all but one removed", (all) => all.slice(0, 1), /^3 lines were removed at its end/],
    ["emptied", () => [], /^4 lines were removed at its end/],
    ["the last line changed", (all) => all.with(3, all[3]!.replace("0.75", "0.95")), /line 4 is not the one/],
    ["a line that is no entry", (all) => all.with(1, "{}"), /line 2 is no entry/],
    ["a line that is no JSON", (all) => all.with(1, "x"), /line 2 is no entry/],
  ])("shows it: %s", async (_, edit, problem) => {
    put(edit(lines()));
    expect(await broken()).toMatch(problem);
    // And goes on showing it, whatever is written after.
    await writeEntry(directory, looked());
    await writeEntry(directory, looked());
    expect(await broken()).not.toBe("");
  });

  it("shows lines removed from the end for ever, though the head is written anew", async () => {
    put(lines().slice(0, -2));
    await writeEntry(directory, looked());
    expect(await broken()).toBe("2 lines were removed at its end, as was found when line 3 was written");
  });

  it("shows that it was removed when somebody goes on writing", async () => {
    rmSync(path());
    await writeEntry(directory, looked());
    expect(await broken()).toMatch(
      /the ledger was removed, as was found when line 1 was written; its beginning is gone/,
    );
  });

  it("says what cannot be known without its head", async () => {
    put(lines().slice(0, -1));
    for (const text of [undefined, "", "{}", "[1]", '{"entries":"4","hash":1}']) {
      rmSync(path("ledger.head"), { force: true });
      if (text !== undefined) writeFileSync(path("ledger.head"), text);
      const { broken, doubts } = (await readLedger(directory))!;
      expect(broken).toEqual([]);
      expect(doubts.join()).toMatch(/ledger.head is gone or damaged: whether lines were taken from the end/);
    }
    // Whoever writes on makes a new head, and says that it is one.
    await writeEntry(directory, looked());
    const { broken: found, doubts } = (await readLedger(directory))!;
    expect(found.join()).toMatch(
      /ledger.head was removed or damaged, .* as was found when line 4 was written/,
    );
    expect(doubts).toEqual([]);
  });
});

describe("writing", () => {
  it("loses no entry where many write at once", async () => {
    const all = Array.from({ length: 20 }, (_, i) => writeEntry(directory, looked(`k${i}`)));
    await Promise.all(all);
    const { entries, broken, doubts } = (await readLedger(directory))!;
    expect([broken, doubts]).toEqual([[], []]);
    expect(entries).toHaveLength(24);
    expect(readdirSync(directory).sort()).toEqual(["ledger.head", "ledger.jsonl"]);
  });

  it("leaves the ledger as it was on a full disk, and says so", async () => {
    const before = [readFileSync(path()), readFileSync(path("ledger.head"))];
    const program = join(repository, "dist/study/ledger.js");
    const script = `import { writeEntry } from ${JSON.stringify(program)};
      process.on("SIGXFSZ", () => {});
      const event = { event: "looked", scores: { padding: "x".repeat(5000) } };
      writeEntry(${JSON.stringify(directory)}, event).catch((error) => console.log(error.code, error.message));`;
    const { stdout } = spawnSync(
      "sh",
      ["-c", `ulimit -f 4; exec "$@"`, "sh", process.execPath, "--input-type=module", "-e", script],
      { encoding: "utf8" },
    );
    expect(stdout).toMatch(/^MEDMAMBA_WEIGHTS .*ledger.jsonl: the file is larger than/);
    expect([readFileSync(path()), readFileSync(path("ledger.head"))]).toEqual(before);
    expect(readdirSync(directory).sort()).toEqual(["ledger.head", "ledger.jsonl"]);
  });

  it("takes over the lock of a process that is gone, and is not kept waiting by what is no lock", async () => {
    writeFileSync(path("ledger.lock"), JSON.stringify({ pid: 2 ** 22 + 1, host: hostname() }));
    await writeEntry(directory, looked());
    writeFileSync(path("ledger.lock"), "");
    utimesSync(path("ledger.lock"), new Date(2020, 1), new Date(2020, 1));
    expect((await writeEntry(directory, looked())).entries).toBe(6);
    mkdirSync(path("ledger.lock"));
    const waiting = writeEntry(directory, looked(), { patience: 50 });
    expect(await failure(StudyError, waiting)).toMatch(
      /ledger.jsonl is being written by another process, which does not finish: if it is gone, remove .*ledger.lock/,
    );
  });

  it("goes on after a line that was cut off, which is recognised as such", async () => {
    truncateSync(path(), readFileSync(path()).length - 10);
    const third = createHash("sha256").update(lines()[2]!).digest("hex");
    writeFileSync(path("ledger.head"), JSON.stringify({ entries: 3, hash: third }));
    const cut = (await readLedger(directory))!;
    expect(cut.broken).toEqual([]);
    expect(cut.doubts.join()).toMatch(/its last line is cut off, as by a crash or a full disk/);
    await writeEntry(directory, looked());
    const { entries, broken, doubts } = (await readLedger(directory))!;
    expect([entries.length, broken, doubts]).toEqual([4, [], []]);
  });

  it("lags behind by no more than its head where a process dies between the two", async () => {
    const head = readFileSync(path("ledger.head"));
    await writeEntry(directory, looked());
    writeFileSync(path("ledger.head"), head);
    expect(await readLedger(directory)).toMatchObject({ broken: [], doubts: [], head: { entries: 5 } });
  });

  it("refuses what is no ledger by its size, before it is read", async () => {
    truncateSync(path(), 2 ** 33);
    expect(await failure(WeightsError, readLedger(directory) as Promise<unknown>)).toMatch(
      /ledger.jsonl has 8589934592 bytes, which no ledger has: put back what was there/,
    );
  });
});
