/** `medmamba report`: checklists and model card of a run, from the command line. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { program } from "../support/repository.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root, write } from "../support/temporary-folder.js";

const call = (...args: string[]) =>
  spawnSync(process.execPath, [program, ...args], { cwd: root, encoding: "utf8" });
const report = (...args: string[]) => call("report", ...args, "--device", "cpu", "--threads", "1");

interface Result {
  readonly files: readonly string[];
  readonly checklists: readonly {
    readonly name: string;
    readonly items: number;
    readonly run: number;
    readonly stated: number;
    readonly share: number;
    readonly toWrite: readonly { readonly number: string; readonly statements: readonly string[] }[];
  }[];
}

interface Looks {
  readonly facts: { readonly seal: { readonly looks: number } };
}

function resultOf(...args: string[]): Result {
  const { stdout, stderr } = report(...args, "--json");
  expect(stderr).not.toContain("medmamba:");
  return JSON.parse(stdout) as Result;
}

beforeAll(async () => {
  await writeScans(join(root, "scans"), { count: 40 });
  const rows = ["benign", "malignant"].flatMap((label, which) =>
    Array.from({ length: 40 }, (_, i) => {
      const image = `scans/${label}/${String(i).padStart(2, "0")}.png`;
      return `${image},${label},Huber-${which}-${i >> 1},${i % 7 === 3 ? "F" : "M"},${30 + i},Huber`;
    }),
  );
  await write("study.csv", ["path,label,patient,sex,age,doctor", ...rows].join("\n"));
  await writeScans(join(root, "other"), { count: 12, seed: 7 });
  await study(join(root, "run"), { ...smallRecipe, data: join(root, "study.csv") });
}, 60_000);

describe("report", () => {
  it("fills checklists and card from a run alone", () => {
    const { files, checklists } = resultOf("run", "--out", "report");
    expect(files).toEqual(["checklists.html", "model-card.html", "model-card.json", "model-card.xml"]);
    expect(checklists.map(({ name, items }) => [name, items])).toEqual([
      ["TRIPOD+AI", 52],
      ["CLAIM 2024", 44],
      ["STARD-AI", 48],
    ]);
    for (const { run, items, share, toWrite } of checklists) {
      expect(share).toBe(run / items);
      expect(run).toBeGreaterThan(0.25 * items);
      expect(run + toWrite.length).toBe(items);
    }
    for (const file of files) {
      const text = readFileSync(join(root, "report", file), "utf8");
      expect(text, file).not.toMatch(/huber/i);
      expect(text, file).not.toContain(root);
    }
    const page = readFileSync(join(root, "report/checklists.html"), "utf8");
    expect(page).toContain("The data were divided at random by patient");
    expect(page).toMatch(/sex F \d+, M \d+/);
    const { stdout } = report("run", "--out", "report");
    expect(stdout).toMatch(
      /TRIPOD\+AI: the run answers \d+ of 52 items \(\d+ %\)\n {2}\d+ more partly; \d+ you/,
    );
    for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  it("takes the scores that evaluate printed", async () => {
    const anew = resultOf("run", "--out", "report");
    const before = readFileSync(join(root, "report/model-card.json"), "utf8");
    const args = "evaluate --checkpoint run/best.safetensors --data study.csv --subgroups sex,age --json";
    const scores = call(...args.split(" "), "--device", "cpu", "--threads", "1").stdout;
    await write("scores.json", scores);
    expect(resultOf("run", "--scores", "scores.json", "--out", "report").checklists).toEqual(anew.checklists);
    const { auc } = JSON.parse(scores) as { auc: number };
    const card = readFileSync(join(root, "report/model-card.json"), "utf8");
    expect(card).toContain(`\\"estimate\\":${auc}`);
    expect(card.length).toBe(before.length);
  });

  it("counts apart what a card file states", async () => {
    await write(
      "card.yaml",
      "funding: Nobody.\nconflicts: None.\nintended-use: To learn.\nkeywords: [a, b]\n",
    );
    const { checklists } = resultOf("run", "--card", "card.yaml", "--out", "stated");
    expect(checklists.map(({ stated }) => stated)).toEqual([2, 1, 2]);
    expect(readFileSync(join(root, "stated/model-card.html"), "utf8")).toContain("To learn.");
  });

  it("takes the audit of its own data alone, and counts no look for another's", async () => {
    const looks = () => readFileSync(join(root, "run/ledger.jsonl"), "utf8").split("\n").length;
    await write("own.json", call("audit", "study.csv", "--json").stdout);
    await write("others.json", call("audit", "other", "--json").stdout);
    const before = looks();
    const { status, stderr } = report("run", "--audit", "others.json", "--out", "audited");
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(
        /^medmamba: --audit: the audit is of other data \(12 images of benign and 12 images of malignant\) than the run \(40 images of benign and 40 .*: name the audit of the run's data\.\n$/,
      ),
    ]);
    expect(looks()).toBe(before);
    expect(resultOf("run", "--audit", "own.json", "--out", "audited").checklists).toHaveLength(3);
  });

  it("judges other data as an external test", () => {
    const { checklists } = resultOf("run/best.safetensors", "--data", "other", "--out", "external");
    expect(checklists[1]?.toWrite.map(({ number }) => number)).not.toContain("33");
    const page = readFileSync(join(root, "external/checklists.html"), "utf8");
    expect(page).toContain("On 24 external test images");
  });

  it("is a look at the test images, which the ledger counts", () => {
    const looks = () =>
      (JSON.parse(report("run", "--out", "looks", "--json").stdout) as Looks).facts.seal.looks;
    const before = looks();
    expect(looks()).toBe(before + 1);
    const page = readFileSync(join(root, "looks/checklists.html"), "utf8");
    expect(page).toContain(`${before + 1} evaluations so far, chain whole`);
  });

  it("writes an empty card, whose every key it takes", async () => {
    const { stdout } = call("report", "--statements");
    const names = stdout.match(/^[\w-]+(?=:)/gm) ?? [];
    expect(names.length).toBeGreaterThan(60);
    expect(names).toContain("intended-use");
    await write("full.yaml", names.map((name) => `${name}: stated`).join("\n"));
    const { checklists } = resultOf("run", "--card", "full.yaml", "--out", "full");
    expect(checklists.flatMap(({ toWrite }) => toWrite)).toEqual([]);
    await write("empty.yaml", stdout);
    expect(resultOf("run", "--card", "empty.yaml", "--out", "full").checklists[0]?.stated).toBe(0);
  });

  it.each([
    ["no run", [], 1, /which run\? Name its folder, or a checkpoint/],
    ["a folder without a run", ["scans"], 1, /scans holds no run: there is no run\.json/],
    ["a checkpoint without data", ["run/best.safetensors"], 1, /name them with --data/],
    [
      "one without a folder",
      ["run/best.safetensors", "--data", "study.csv"],
      1,
      /folder to write to with --out/,
    ],
    [
      "scores that are none",
      ["run", "--scores", "study.csv", "--out", "x"],
      1,
      /study\.csv is no scores file/,
    ],
    ["an audit that is none", ["run", "--audit", "nothing.json", "--out", "x"], 1, /nothing\.json/],
    ["an odd column", ["run", "--subgroups", "sexx", "--out", "x"], 1, /no column sexx; did you mean sex\?/],
  ])("says what to do about %s", (_, args, status, sentence) => {
    const found = report(...args);
    expect(found.stderr).toMatch(sentence);
    expect(found.status).toBe(status);
    expect(found.stdout).toBe("");
  });

  it("names the line of a card file that it cannot take", async () => {
    const tried = async (text: string) => {
      await write("odd.yaml", text);
      return report("run", "--card", "odd.yaml", "--out", "x");
    };
    const unknown = await tried("funding: a\nintendeduses: b\n");
    expect(unknown.stderr).toMatch(
      /odd\.yaml line 2: a card has no intendeduses; did you mean intended-use\?/,
    );
    expect(unknown.status).toBe(2);
    expect((await tried("qqqqqqqqq: b\n")).stderr).toMatch(
      /`medmamba report --statements` lists what it can/,
    );
    expect((await tried("- a\n")).stderr).toMatch(/statements are expected, a line each/);
    expect((await tried("funding:\n  by: me\n")).stderr).toMatch(/funding has to be text or a list of text/);
    expect((await tried("a: &x [1]\nb: [")).status).toBe(2);
  });
});
