/** The files of a report: what is in them, that they stand alone, and that nothing of a patient is in them. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors.js";
import { type EvaluationReport, writeReport } from "../../src/reports/evaluation-report.js";
import { reportFiles } from "../../src/reports/report-files.js";
import { scoresOf } from "../../src/reports/scores.js";
import { sectionOrder } from "../../src/reports/sections/section.js";
import { fullReport, type Kind, kinds } from "../support/full-report.js";
import { expectInside, hostile, parseXml, tableOf } from "../support/markup.js";
import { root } from "../support/temporary-folder.js";

const inFolder = (folder: string, file: string) => readFileSync(join(root, folder, file));
const sectionsOf = (page: string) => [...page.matchAll(/<section id="([^"]*)"/g)].map(([, id]) => id);

describe.each(kinds)("a report of %s", (kind) => {
  let files: string[];
  let page: string;
  beforeAll(async () => {
    files = await writeReport(join(root, kind), fullReport(kind));
    page = inFolder(kind, "report.html").toString();
  });

  it("names the files that it has written, each figure as SVG and as PNG", () => {
    expect(readdirSync(join(root, kind)).sort()).toEqual([...files].sort());
    const known: readonly string[] = Object.values(reportFiles);
    for (const file of files) expect(known).toContain(file);
    const figures = files.filter((file) => file.endsWith(".svg"));
    expect(files.filter((file) => file.endsWith(".png"))).toEqual(
      figures.map((file) => file.replace("svg", "png")),
    );
    for (const figure of figures) expect(page).toContain(inFolder(kind, figure).toString());
  });

  it("has its sections in the order of reading", () => {
    const found = sectionsOf(page);
    expect(found).toEqual(sectionOrder.filter((id) => found.includes(id)));
    const all = [
      "summary",
      "scores",
      "classes",
      "curves",
      "calibration",
      "pooled",
      "subgroups",
      "mistakes",
      "seal",
      "data",
      "training",
      "run",
    ];
    for (const id of all) expect(found).toContain(id);
    expect(found.includes("operating-point")).toBe(kind === "two classes");
  });

  it("has its numbers in report.json, whose hash is on the page", () => {
    const bytes = inFolder(kind, "report.json");
    expect(page).toContain(createHash("sha256").update(bytes).digest("hex"));
    const numbers = JSON.parse(bytes.toString());
    const { evaluation, threshold } = fullReport(kind);
    expect(numbers).toMatchObject(JSON.parse(JSON.stringify(scoresOf(evaluation, threshold))));
    const found = numbers.byClass.map(
      ({ sensitivity }: { sensitivity: { value: number } }) => sensitivity.value,
    );
    const written = tableOf(page, /^What calls of/);
    for (const value of found) expect(written.rows.flat().join(" ")).toContain(value.toFixed(3));
    expect(numbers.byClass[0].elsewhere).toHaveLength(5);
    expect(numbers.mistakes.surest).toHaveLength(8);
    expect(bytes.includes("data:image")).toBe(false);
    expect(numbers.subgroups.length).toBeGreaterThan(1);
    expect(numbers.pooled).toMatchObject({ by: "patient", how: "mean", units: 160, leftOut: 1 });
  });

  it("names no patient, and loads and runs nothing", () => {
    for (const file of files) expect(inFolder(kind, file).includes("Smith")).toBe(false);
    expect(page).not.toMatch(/<script|<link|href=(?!"#)|@import|url\(|\son\w+=|src="(?!data:)/);
    expect(page).toContain("default-src 'none'");
  });
});

describe.each(kinds)("a report of %s with names that would break out of it", (kind) => {
  it("escapes them everywhere, and draws inside its figures", async () => {
    const folder = `hostile ${kind}`;
    const files = await writeReport(join(root, folder), {
      ...fullReport(kind, (name) => `${name} ${hostile}`),
      png: false,
    });
    expect(files.some((file) => file.endsWith(".png"))).toBe(false);
    expect(inFolder(folder, "report.html").toString()).not.toMatch(/<script|NaN|undefined/);
    for (const file of files.filter((name) => name.endsWith(".svg"))) {
      const drawn = parseXml(inFolder(folder, file).toString());
      if (file !== "confusion.svg") expectInside(drawn); // its slanted names are turned about their ends
      const [svg] = drawn.elements;
      const title = drawn.elements.find(
        ({ attributes }) => attributes.id === svg!.attributes["aria-labelledby"],
      );
      expect(title?.name).toBe("title");
    }
  });
});

it("PNG are the figures at twice their size, with their lettering", async () => {
  const svg = inFolder("two classes", "roc.svg").toString();
  const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg)!.map(Number);
  const png = sharp(inFolder("two classes", "roc.png"));
  expect(await png.metadata()).toMatchObject({ format: "png", width: 2 * width!, height: 2 * height! });
  // Over the plot there is nothing but the words "AUC ...".
  const strip = await png
    .extract({ left: 100, top: 20, width: 300, height: 26 })
    .greyscale()
    .raw()
    .toBuffer();
  expect(Math.min(...strip)).toBeLessThan(128);
});

it("is the same to the byte when it is written again", async () => {
  await writeReport(join(root, "again"), fullReport("two classes"));
  for (const file of ["report.html", "report.json", "roc.png"])
    expect(inFolder("again", file).equals(inFolder("two classes", file))).toBe(true);
});

it("takes sections of others, in the place of its own where they have the same id", async () => {
  const sections = [
    { id: "seal", heading: "Seal", body: "<p>looked at once</p>" },
    { id: "run", heading: "Run", body: "<p>mine</p>" },
  ] as const;
  await writeReport(join(root, "others"), { ...fullReport("several labels"), png: false, sections });
  const page = inFolder("others", "report.html").toString();
  expect(page).toContain("looked at once");
  expect(page).toContain("<p>mine</p>");
  expect(page).not.toContain("SHA-256 of report.json");
  expect(sectionsOf(page).filter((id) => id === "run")).toHaveLength(1);
});

it.each<[string, Kind, object, RegExp]>([
  ["a judged that is none", "two classes", { judged: "tset" }, /judged is "tset", not one of training/],
  ["cautions that are no text", "two classes", { cautions: [1] }, /cautions/],
  ["PNG that are neither wanted nor not", "two classes", { png: 1 }, /png has to be true or false/],
  ["evidence that is none", "several labels", { mistakes: 3 }, /mistakes has to be an object/],
  ["an unknown part", "several labels", { subgroup: [] }, /subgroup/],
])("refuses %s", async (_, kind, wrong, message) => {
  const contents = { ...fullReport(kind), ...wrong } as EvaluationReport;
  await expect(writeReport(join(root, "refused"), contents)).rejects.toThrow(ArgumentError);
  await expect(writeReport(join(root, "refused"), contents)).rejects.toThrow(message);
});
