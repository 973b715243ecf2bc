/** The checklists: that they are whole, and that what counts as answered is answered with the run's own numbers. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { statementRows } from "../../../src/reports/card/statements.js";
import { checklists } from "../../../src/reports/checklists/all.js";
import { answerChecklist } from "../../../src/reports/checklists/checklist.js";
import type { RunFacts } from "../../../src/reports/checklists/facts.js";
import {
  answeredChecklists,
  checklistSection,
  shareInWords,
} from "../../../src/reports/sections/checklists.js";
import { repository } from "../../support/repository.js";
import { wholeFacts } from "../../support/run-facts.js";

/** Numbers of items as the published tables have them; a letter after a slash is a part. */
const published: Readonly<Record<string, string>> = {
  "TRIPOD+AI":
    "1 2 3/abc 4 5/ab 6/abc 7 8/abc 9/abc 10 11 12/abcdefg 13 14 15 16 17 18/abcdef 19 20/abc 21 22 23/ab 24 25 26 27/abc",
  "CLAIM 2024": Array.from({ length: 44 }, (_, i) => i + 1).join(" "),
  "STARD-AI": `${Array.from({ length: 14 }, (_, i) => i + 1).join(" ")} 15/abcd 16/abc 17/ab 18 19 20 21 22 23 24 25 26/ab ${Array.from({ length: 13 }, (_, i) => i + 27).join(" ")} 40/ab`,
};

const numbersOf = (text: string): string[] =>
  text.split(" ").flatMap((item) => {
    const [number = "", parts] = item.split("/");
    return parts === undefined ? [number] : Array.from(parts, (letter) => number + letter);
  });

const allStated = Object.fromEntries(
  Object.keys(statementRows).map((name) => [name, `Statement of ${name}.`]),
);

describe.each(checklists)("$name", (list) => {
  it("has every item of the published list once, in its order", () => {
    expect(list.items.map(({ number }) => number)).toEqual(numbersOf(published[list.name] ?? ""));
    expect(list.doi).toMatch(/^10\.\d{4}\//);
    expect(list.publication).toMatch(/20\d\d;/);
  });

  it("has words for each, and for each somebody who answers", () => {
    for (const { number, subject, answer, asks = [] } of list.items) {
      expect(subject.trim().length, number).toBeGreaterThan(5);
      expect(answer !== undefined || asks.length > 0, number).toBe(true);
      expect(asks.filter((name) => !(name in statementRows))).toEqual([]);
    }
  });

  it("is answered by nobody from nothing", () => {
    const { counts, items } = answerChecklist(list, {});
    expect(counts.run + counts.stated).toBe(0);
    expect(counts.open + counts.partly).toBe(items.length);
  });

  it("says in each state what belongs to it", () => {
    for (const { number, state, text, stated, write } of answerChecklist(list, wholeFacts).items) {
      if (state === "run") expect([text?.length, write], number).toEqual([expect.any(Number), undefined]);
      if (state === "run" || state === "partly") expect(text?.trim().length, number).toBeGreaterThan(20);
      if (state === "open") expect([text, stated], number).toEqual([undefined, undefined]);
      if (state === "open" || state === "partly") expect(write?.length, number).toBeGreaterThan(0);
      expect(text ?? "", number).not.toMatch(/undefined|NaN|\[object/);
    }
  });

  it("is whole with everything that people can state", () => {
    const { counts, shareWithStatements, share, items } = answerChecklist(list, wholeFacts, allStated);
    expect([counts.partly, counts.open, shareWithStatements]).toEqual([0, 0, 1]);
    expect(share).toBe(counts.run / items.length);
    expect(share).toBe(answerChecklist(list, wholeFacts).share); // Statements are not the run's.
  });
});

it("every statement about a study is asked for by an item", () => {
  const asked = new Set(checklists.flatMap(({ items }) => items.flatMap(({ asks = [] }) => asks)));
  const ofStudies = Object.keys(statementRows).slice(Object.keys(statementRows).indexOf("background"));
  expect(ofStudies.filter((name) => !asked.has(name as never))).toEqual([]);
});

describe("answers", () => {
  const answer = (list: number, number: string, facts: RunFacts = wholeFacts) => {
    const found = answeredChecklists(facts)[list]?.items.find((item) => item.number === number);
    return `${found?.state}: ${found?.text}`;
  };
  const [tripod, claim, stard] = [0, 1, 2];

  it("have the numbers of the run", () => {
    expect(answer(tripod, "21")).toMatch(
      /^run: training 701 images of 350 patients \(benign 401, malignant 300\); validation 151 images of 75 patients .*; test 149 images of 74 patients/,
    );
    expect(answer(tripod, "23a")).toContain("AUC 0.913 (95 % interval 0.861 to 0.952)");
    expect(answer(tripod, "23a")).toContain("sex F (146 images): AUC 0.917");
    expect(answer(tripod, "12a")).toMatch(
      /by patient, where patients are known, and by class, 15 % for validation and 15 % for test \(seed 3\).*1 evaluation on/s,
    );
    expect(answer(tripod, "15")).toContain("malignant is called from 0.431 on");
    expect(answer(tripod, "13")).toContain("a temperature of 1.310");
    expect(answer(claim, "22")).toMatch(/14448642 parameters.*112 x 112 pixels/s);
    expect(answer(claim, "25")).toMatch(
      /AdamW, 17 epochs, 32 images a step; learning rate 0\.0007.*Seed 41/s,
    );
    expect(answer(claim, "26")).toContain(
      "area under the ROC curve on the validation images was kept: 13 of 17",
    );
    expect(answer(claim, "23")).toMatch(
      /medmamba 9\.8\.7 \(MIT license\).*v20\.1\.2, linux x64.*A processor/s,
    );
    expect(answer(claim, "39")).toMatch(
      /Called wrongly: 22 of 149 images; of 79 benign: 68 called benign, 11/,
    );
    expect(answer(stard, "25")).toMatch(
      /age median 57 \(quartiles 43 and 68\); sex F 698, M 2, not known of 1/,
    );
    expect(answer(stard, "40b")).toMatch(/^run: .*1 evaluation so far, chain whole/);
  });

  it("do not count what the run knows in part", () => {
    for (const number of ["1", "4", "10", "12c", "20a", "20b", "22", "26"])
      expect(answer(tripod, number), number).toMatch(/^partly/);
    for (const number of ["11", "21", "33", "35", "40", "43"])
      expect(answer(claim, number), number).toMatch(/^partly/);
    for (const number of ["13", "14", "22", "24", "32", "33", "40a"])
      expect(answer(stard, number), number).toMatch(/^partly/);
  });

  it("change with what is known", () => {
    const { evaluation, audit, seal, uncertainty, ...others } = wholeFacts;
    const unjudged = { ...others };
    for (const number of ["28", "29", "32", "37", "38", "39"])
      expect(answer(claim, number, unjudged), number).toMatch(/^open/);
    expect(answer(stard, "40b", { ...others, evaluation: evaluation! })).toMatch(/^partly/);
    expect(answer(stard, "25", { ...others, evaluation: evaluation! })).toMatch(/^partly/);
    expect(answer(tripod, "27a", others)).toMatch(/^partly/);
    const broken = { ...wholeFacts, seal: { looks: 4, intact: false, sameImages: false } };
    expect(answer(stard, "40b", broken)).toMatch(/4 evaluations so far, chain broken, test images others/);
    expect(answer(tripod, "26", broken)).toMatch(
      /looked at 4 times\. The seal of the test images does not hold/,
    );
    const external = { ...wholeFacts, evaluation: { ...evaluation!, external: true, part: "all" as const } };
    expect(answer(claim, "33", external)).toMatch(/^run: On 149 external test images/);
    expect(answer(claim, "32", external)).toMatch(/^open/);
    expect(answer(tripod, "16", external)).toMatch(/^partly/);
    const { subgroups: _, ...whole } = evaluation!;
    const ungrouped = { ...wholeFacts, evaluation: whole };
    for (const number of ["14", "23a"]) expect(answer(tripod, number, ungrouped)).toMatch(/^partly/);
    expect(answer(stard, "21", ungrouped)).toMatch(/^open/);
    const divided = { ...wholeFacts, division: { ...wholeFacts.division, given: true } };
    for (const number of ["12a", "16"])
      expect(answer(tripod, number, divided)).toMatch(/^partly: .*came divided/);
    const leaky = { ...wholeFacts, division: { ...wholeFacts.division, leaksAllowed: true } };
    expect(answer(claim, "20", leaky)).toMatch(/Not ensured/);
    const unknown = { ...wholeFacts, evaluation: { ...evaluation!, patients: null } };
    expect(answer(claim, "29", unknown)).toContain("images count as patients");
  });
});

it("docs/evidence.md tells the shares that there are, and which statements make them 60 %", () => {
  const text = readFileSync(join(repository, "docs/evidence.md"), "utf8");
  const facts = { ...wholeFacts, explanation: { method: "occlusion", images: 8 } }; // As a report with pictures has them.
  for (const { name, items, counts, share } of answeredChecklists(facts)) {
    const percent = Math.round(100 * share);
    const row = `| ${name} | ${counts.run} of ${items.length} (${percent} %) | ${counts.partly} | ${counts.open} |`;
    expect(text).toContain(row);
  }
  const names =
    "acquisition referenceStandard funding objectives dataSource eligibility exclusions sampleSize limitations registration dataAvailability blinding ethics background";
  const stated = Object.fromEntries(names.split(" ").map((name) => [name, "Stated."]));
  expect(Object.keys(stated).length).toBe(14);
  for (const { name, shareWithStatements } of answeredChecklists(facts, stated))
    expect(shareWithStatements, name).toBeGreaterThanOrEqual(0.6);
});

describe("the section", () => {
  const { id, heading, body } = checklistSection(wholeFacts, { funding: "Nobody <paid> & nobody asked." });

  it("has the share in the heading of each list, as its rows count", () => {
    expect([id, heading]).toEqual(["checklists", "Reporting checklists"]);
    for (const list of answeredChecklists(wholeFacts, { funding: "Nobody." })) {
      const table = body.split("<details open>").find((part) => part.includes(`Items of ${list.name}`)) ?? "";
      const rows = table.split("<tr>").slice(2);
      expect(rows.length).toBe(list.items.length);
      const fromRun = rows.filter((row) => row.includes("✓ from the run")).length;
      const stated = rows.filter((row) => row.includes("✎ stated")).length;
      const percent = Math.round((100 * fromRun) / rows.length);
      expect(stated).toBe(1);
      expect(shareInWords(list)).toMatch(
        `${list.name}: the run answers ${fromRun} of ${rows.length} items (${percent} %)`,
      );
      expect(table).toContain(shareInWords(list));
      const open = rows.filter((row) => /◐|☐/.test(row));
      expect(open.every((row) => row.includes("<strong>You must write this:</strong> "))).toBe(true);
      expect(rows.filter((row) => row.includes("You must write")).length).toBe(open.length);
    }
  });

  it("is open for print, and scrolls by keyboard", () => {
    expect(body.match(/<details/g)?.length).toBe(3);
    expect(body.match(/<details open>/g)?.length).toBe(3);
    expect(body.match(/<div class="scroll" role="region" aria-label="[^"]+" tabindex="0">/g)?.length).toBe(3);
    expect(body).not.toContain("<script");
  });

  it("escapes what comes from outside", () => {
    expect(body).toContain("Nobody &lt;paid&gt; &amp; nobody asked.");
    const odd = { ...wholeFacts, classes: ["<img src=x>", '"&'] };
    const markup = checklistSection(odd).body;
    expect(markup).not.toContain("<img");
    expect(markup).toContain("&lt;img src=x&gt; and &quot;&amp;");
  });
});
