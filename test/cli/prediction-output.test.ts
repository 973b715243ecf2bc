/** `predict` writing lines, tables, reports and maps: what they hold, what goes on after an interruption, what is refused. */
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { beforeAll, describe, expect, it } from "vitest";
import { UsageError } from "../../src/cli/console/failure.js";
import { expectOutputOptions, type OutputOptions } from "../../src/cli/console/prediction-output.js";
import {
  type Assurance,
  data,
  loadCheckpoint,
  MedMamba,
  type Prediction,
  predictImages,
  reports,
  saveCheckpoint,
} from "../../src/index.js";
import { study, studyFrames, studyImage } from "../support/dicom-study.js";
import { hasDcmtk, hasDicom3tools, iodProblems, reportInWords } from "../support/dicom-tools.js";
import { program } from "../support/repository.js";
import { png, root, write } from "../support/temporary-folder.js";

function predict(args: string, { input }: { input?: string | Buffer } = {}) {
  const given = ["predict", "--checkpoint", "best.safetensors", "--device", "cpu", ...args.split(" ")];
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...given], {
    cwd: root,
    encoding: "utf8",
    input: input ?? "",
  });
  return { status, stdout, stderr };
}

const linesOf = (file: string): Record<string, unknown>[] =>
  readFileSync(join(root, file), "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

/** Of which nothing is sure. */
const unsure: Assurance = {
  images: { train: 99, validation: 60 },
  calibration: { reason: "there are too few" },
  sets: { risks: [0.1], least: [[0.9999, 0.9999]], images: [30, 30] },
  outliers: { reason: "nobody asked" },
};

async function checkpoint(file: string, assurance?: Assurance): Promise<void> {
  const model = new MedMamba({ depths: [1], dims: [8], inChannels: 1, numClasses: 2 });
  await saveCheckpoint(join(root, file), model.stateDict(), {
    config: model.config,
    classes: ["benign", "=mass"],
    threshold: 0.3,
    assurance,
    preprocessing: data.definePreprocessing({ imageSize: 16, channels: 1 }),
  });
  model.dispose();
}

const odd = ["=1+1.png", "-x.png", '@a,"b".png', "two\nlines.png", "ü b.png", "plain.png", "seventh.png"];

beforeAll(async () => {
  await checkpoint("best.safetensors");
  await checkpoint("other.safetensors");
  await checkpoint("unsure.safetensors", unsure);
  for (const [i, name] of odd.entries()) await write(`scans/${name}`, await png(20 * i));
  for (const name of odd) await write(name, await png(7));
  await write("ward/a/scan.dcm", studyImage(1));
  await write("ward/b/scan.dcm", studyImage(2));
  await write("ward/frames", studyFrames(3));
  await write("ward.csv", "path,patient\nward/a/scan.dcm,X9\nward/b/scan.dcm,X9\nward/frames,X9\n");
  await write("ward/photo.png", await png(9));
  await write("ward/broken.dcm", studyImage(4).subarray(0, -10));
});

describe("lines", () => {
  it("are the same as the one object has, each whole when the next comes", () => {
    const { predictions } = JSON.parse(predict("--json scans").stdout);
    const { stdout, status } = predict("--format jsonl scans");
    expect(status).toBe(0);
    const lines = stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    expect(lines.map(({ checkpoint: _, ...line }) => line)).toEqual(predictions);
    for (const line of lines) expect(line.checkpoint).toMatch(/^[0-9a-f]{12}$/);
  });

  it("go into a file that is not replaced unasked", () => {
    expect(predict("--format jsonl --out whole.jsonl scans").status).toBe(0);
    expect(linesOf("whole.jsonl")).toHaveLength(odd.length);
    const again = predict("--format jsonl --out whole.jsonl scans");
    expect([again.status, again.stderr]).toEqual([
      1,
      expect.stringContaining("whole.jsonl is there already: add --resume"),
    ]);
    expect(predict("--format jsonl --out whole.jsonl --overwrite scans").status).toBe(0);
    expect(linesOf("whole.jsonl")).toHaveLength(odd.length);
  });

  it("go on after one that broke off", () => {
    const run = (more: string) =>
      predict(`--frames all --format jsonl --out cut --batch-size 2 ${more} scans ward`);
    run("--overwrite");
    const whole = readFileSync(join(root, "cut"));
    truncateSync(join(root, "cut"), Math.floor(0.8 * whole.length));
    run("--resume");
    expect(readFileSync(join(root, "cut"), "utf8")).toBe(whole.toString());
  });

  it("are of units, where images are taken together, and of the images that could not be read", () => {
    const { stdout } = predict("--format jsonl --pool image:mean --frames all ward/frames ward/broken.dcm");
    const [broken, unit] = stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    expect(broken).toMatchObject({
      file: "ward/broken.dcm",
      error: expect.stringContaining("could not be read"),
    });
    expect(unit).toMatchObject({ unit: "ward/frames", images: 3 });
  });

  it("of another model, of other columns, or damaged are not gone on with", async () => {
    predict("--format csv --out mine.csv plain.png");
    const given = [
      "predict",
      "--checkpoint",
      "other.safetensors",
      "--format",
      "csv",
      "--out",
      "mine.csv",
      "--resume",
      "a.png",
    ];
    const other = spawnSync(process.execPath, [program, ...given], { cwd: root, encoding: "utf8" });
    expect([other.status, other.stderr]).toEqual([
      1,
      expect.stringContaining("mine.csv line 2 is of another checkpoint"),
    ]);
    writeFileSync(join(root, "damaged.jsonl"), '{"file":"a.png"\n');
    expect(predict("--format jsonl --out damaged.jsonl --resume plain.png").stderr).toContain(
      "damaged.jsonl line 1 is no prediction: mend or remove it",
    );
    writeFileSync(join(root, "others.csv"), "path,label\n");
    expect(predict("--format csv --out others.csv --resume plain.png").stderr).toContain(
      "others.csv has other columns than this model's predictions",
    );
    expect(readFileSync(join(root, "others.csv"), "utf8")).toBe("path,label\n");
  });
});

describe("one object", () => {
  it("goes into a file that is not replaced unasked, and may be in a folder of its own", () => {
    expect(predict("--format json --out new/one.json plain.png").status).toBe(0);
    const { predictions } = JSON.parse(readFileSync(join(root, "new/one.json"), "utf8"));
    expect(predictions).toHaveLength(1);
    const again = predict("--format json --out new/one.json plain.png");
    expect([again.status, again.stderr]).toEqual([
      1,
      expect.stringContaining("new/one.json is there already"),
    ]);
    expect(predict("--json --out new/one.json --overwrite plain.png")).toMatchObject({
      status: 0,
      stdout: "",
    });
  });
});

describe("tables", () => {
  it("have every name as it is, and none that a spreadsheet would compute", () => {
    const { stdout } = predict("--format csv --files -", { input: odd.join("\0") });
    const rows = parse(stdout, { columns: true }) as Record<string, string>[];
    expect(rows.map(({ file }) => file?.replace(/^\.\//, ""))).toEqual(odd);
    for (const cells of parse(stdout) as string[][])
      for (const cell of cells) expect(Number.isFinite(Number(cell)) ? "" : cell).not.toMatch(/^[=+\-@\t\r]/);
    expect(rows[0]?.label).toMatch(/^benign$|^'=mass$/);
    const { predictions } = JSON.parse(predict("--json plain.png").stdout);
    const plain = rows.find(({ file }) => file === "plain.png");
    expect(Number(plain?.["probability of =mass"])).toBe(predictions[0].probabilities["=mass"]);
    // A file that is named so is found by what the table calls it.
    expect(existsSync(join(root, rows[0]?.file as string))).toBe(true);
  });

  it("have a reason in the place of what cannot be read", () => {
    const { stdout, status } = predict("--format csv absent.png plain.png");
    const rows = parse(stdout, { columns: true }) as Record<string, string>[];
    expect(status).toBe(1);
    expect(rows.map(({ error }) => error)).toEqual([expect.stringContaining("there is no such file"), ""]);
  });
});

describe("parts", () => {
  it("are all of the images together, and none twice", () => {
    const parts = [1, 2, 3].map((part) => predict(`--format jsonl --shard ${part}/3 scans ward`).stdout);
    const files = (text: string) =>
      text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line).file as string);
    const whole = files(predict("--format jsonl scans ward").stdout);
    expect(parts.flatMap(files).sort()).toEqual([...whole].sort());
    expect(predict("--format jsonl --shard 9/9 plain.png")).toMatchObject({ status: 0, stdout: "" });
  });

  it("come from lists too, a path a line", async () => {
    await write("list.txt", "plain.png\r\n\r\nü b.png\n");
    const { predictions } = JSON.parse(predict("--json --files list.txt").stdout);
    expect(predictions.map(({ file }: { file: string }) => file)).toEqual(["plain.png", "ü b.png"]);
    await write("powershell.txt", Buffer.from("\ufeffplain.png\r\nü b.png\r\n", "utf16le"));
    expect(JSON.parse(predict("--json --files powershell.txt").stdout).predictions).toEqual(predictions);
    expect(predict("--files -").stderr).toContain("the list on standard input names no image.");
  });
});

describe("reports", () => {
  it("are written of every DICOM image, and the others are named with the reason", async () => {
    const { status, stderr, stdout } = predict("--format dicom-sr --out reports ward");
    expect(status).toBe(1);
    expect(stdout).toContain("3 reports written in reports, listed in reports/predictions.jsonl");
    expect(stderr).toContain("ward/photo.png: no report: it is no DICOM file");
    expect(stderr).toContain(
      "1 of 5 images could not be predicted, and 1 reports or maps could not be written.",
    );
    const written = readdirSync(join(root, "reports"));
    const stems = written.map((name) => name.replace(/-[0-9a-f]{8}\.sr\.dcm$/, "")).sort();
    expect(stems).toEqual(["frames", "predictions.jsonl", "scan", "scan"]);
    const records = linesOf("reports/predictions.jsonl");
    expect(records.filter(({ report }) => report)).toHaveLength(3);
    for (const { report } of records) {
      if (typeof report !== "string") continue;
      if (hasDicom3tools) expect(iodProblems(join(root, report))).toEqual([]);
      if (hasDcmtk) expect(reportInWords(join(root, report))).toContain("RESEARCH ONLY");
    }
    // Nothing of the patient, but in the reports.
    const said =
      stdout + stderr + readFileSync(join(root, "reports/predictions.jsonl"), "utf8") + written.join();
    expect(said).not.toMatch(new RegExp(`M.ller|4711|1970|A-77|${study.replaceAll(".", "\\.")}`));
  });

  it("go on where they were", () => {
    predict("--format dicom-sr --out gone ward");
    const whole = readFileSync(join(root, "gone/predictions.jsonl"), "utf8");
    truncateSync(join(root, "gone/predictions.jsonl"), 500);
    expect(predict("--format dicom-sr --out gone ward").stderr).toContain(
      "gone/predictions.jsonl is there already",
    );
    predict("--format dicom-sr --out gone --resume ward");
    expect(readFileSync(join(root, "gone/predictions.jsonl"), "utf8")).toBe(whole);
  });

  it("are of a patient where images are taken together, and of each picture where all are", () => {
    const { stdout } = predict("--format dicom-sr --out pooled --pool patient:mean --frames all ward.csv");
    expect(stdout).toContain("1 report written in pooled");
    const [unit] = linesOf("pooled/predictions.jsonl");
    expect(unit).toMatchObject({ unit: "patient 1", images: 5 });
    if (hasDcmtk)
      expect(reportInWords(join(root, unit?.report as string))).toContain(
        "images taken together by patient:mean",
      );
    predict("--format dicom-sr --out each --frames all ward/frames");
    const names = readdirSync(join(root, "each")).filter((name) => name.endsWith(".sr.dcm"));
    expect(names.map((name) => name.slice(-9))).toHaveLength(3);
    expect(names.every((name) => /^frames-[0-9a-f]{8}-frame-[012]\.sr\.dcm$/.test(name))).toBe(true);
  });

  it("have the codes that were given", async () => {
    await write("codes.csv", "label,code,scheme,meaning\nbenign,30807003,SCT,Benign neoplasm\n");
    predict("--format dicom-sr --out coded --codes codes.csv ward/a");
    const [record] = linesOf("coded/predictions.jsonl");
    if (hasDcmtk)
      expect(reportInWords(join(root, record?.report as string))).toContain(
        '(30807003,SCT,"Benign neoplasm")',
      );
    await write("wrong.csv", "label,code,scheme,meaning\nbening,30807003,SCT,Benign neoplasm\n");
    const wrong = predict("--format dicom-sr --out never/in --explain nor --codes wrong.csv ward/a");
    expect([wrong.status, wrong.stderr]).toEqual([1, expect.stringContaining('did you mean "benign"?')]);
    expect(["never", "nor"].some((folder) => existsSync(join(root, folder)))).toBe(false);
    const none = predict(
      "--format csv --out made/for/nothing.csv --explain made/maps --pool patient:mean plain.png",
    );
    expect([none.status, existsSync(join(root, "made"))]).toEqual([1, false]);
  });
});

/** Commands on the checkpoint of which nothing is sure. */
function unsurely(command: string) {
  const [name = "", ...rest] = command.split(" ");
  const given = [program, name, "--checkpoint", "unsure.safetensors", "--device", "cpu", ...rest];
  return spawnSync(process.execPath, given, { cwd: root, encoding: "utf8" });
}

const verdict = "none of the classes is possible at a risk of 10 %";

describe("what is not sure", () => {
  it("says so first, and why, and how many are so, in every form", () => {
    const lines = unsurely("predict plain.png").stdout.split("\n");
    expect(lines[0]).toMatch(/^plain\.png {2}not sure: refer {3}\((benign|=mass) \d+\.\d %, then /);
    expect(lines[1]).toBe(`  because ${verdict}`);
    const table = unsurely("predict --format csv plain.png ward/broken.dcm");
    expect(table.stdout).toMatch(/^file,decision,frame,label,/);
    expect(table.stdout).toMatch(/\nplain\.png,refer,/);
    expect(table.stderr).toContain("1 of 1 image to be referred");
    const { stdout } = unsurely("predict --format dicom-sr --out unsure-reports ward/a ward/b");
    expect(stdout).toContain("2 of 2 images to be referred");
    expect(unsurely("predict --format jsonl --pool image:mean plain.png").stderr).toContain(
      "1 of 1 unit to be referred",
    );
  });

  it("is not sure where it is explained, in words, numbers and DICOM", () => {
    const { stdout } = unsurely("explain --out unsure-maps --format dicom-sc --fidelity ward/a/scan.dcm");
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^ward\/a\/scan\.dcm {2}not sure: refer {3}\(/);
    expect(lines[1]).toBe(`  because ${verdict}`);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    const told = JSON.parse(readFileSync(join(root, "unsure-maps/scan.json"), "utf8"));
    expect(told).toMatchObject({ decision: "refer", set: [], risk: 0.1, reasons: [{ sentence: verdict }] });
    const capture = readFileSync(join(root, "unsure-maps/scan.sc.dcm"), "latin1");
    expect(capture).toContain(`NOT SURE: REFER. ${verdict}.`);
    expect(unsurely("explain --out unsure-maps --no-refer --json ward/a/scan.dcm").stdout).not.toContain(
      "decision",
    );
  });

  it.each(["predict", "explain --out never"])("has no sets for other risks: %s", (command) => {
    const { status, stderr } = unsurely(`${command} --risk 0.01 plain.png`);
    expect(status).not.toBe(0);
    expect(stderr).toContain("--risk: the checkpoint has no sets for a risk of 0.01: it has them for 0.1.");
    expect(stderr).not.toContain("predictStream");
  });
});

describe("an output that is gone on with", () => {
  it.each(["csv", "jsonl"])("stays a failure while it has errors: %s", (format) => {
    const again = `--format ${format} --out failed.${format} --resume plain.png ward/broken.dcm ward/photo.png`;
    const first = predict(again);
    expect([first.status, first.stdout]).toEqual([1, expect.stringContaining("2 images predicted")]);
    const second = predict(again);
    expect([second.status, second.stderr]).toEqual([1, expect.stringContaining("1 of 3 earlier lines has")]);
    expect(second.stdout).toContain("3 lines were there already.");
  });

  it("stays one while reports are missing", () => {
    const again = "--format dicom-sr --out unreported --resume ward/photo.png";
    expect(predict(again).status).toBe(1);
    const second = predict(again);
    expect([second.status, second.stderr]).toEqual([
      1,
      expect.stringContaining("1 of 1 earlier line has an error"),
    ]);
    expect(second.stdout).toContain("1 line was there already.");
  });
});

describe("a report of a program", () => {
  it("is the one that the command writes", async () => {
    predict("--format dicom-sr --out commanded ward/a");
    const [name = ""] = readdirSync(join(root, "commanded")).filter((file) => file.endsWith(".sr.dcm"));
    const path = join(root, "best.safetensors");
    const checkpoint = await loadCheckpoint(path);
    const file = join(root, "ward/a/scan.dcm");
    const model = { ...checkpoint, checkpointHash: await reports.checkpointHash(path) };
    const [prediction] = await predictImages(checkpoint, [file]);
    const source = await reports.dicomSource(file);
    const { sopInstance } = reports.structuredReport([{ source }], prediction as Prediction, model);
    const written = readFileSync(join(root, "commanded", name), "latin1");
    expect(written).toContain(sopInstance);
    checkpoint.model.dispose();
  });
});

describe("maps", () => {
  it("are drawn beside predictions, of images of one name too, and not over what is there", () => {
    const { predictions } = JSON.parse(predict("--json --explain maps ward").stdout);
    const maps = predictions.map(({ map }: { map?: string }) => map).filter(Boolean);
    expect(new Set(maps).size).toBe(4);
    for (const map of maps) expect(existsSync(join(root, map))).toBe(true);
    expect(predictions.filter(({ error }: { error?: string }) => error)).toHaveLength(1);
    appendFileSync(join(root, maps[0]), "mine");
    const again = predict("--explain maps ward");
    expect([again.status, again.stderr]).toEqual([
      1,
      expect.stringContaining("is there already: choose another folder with --explain"),
    ]);
    expect(readFileSync(join(root, maps[0]), "latin1").endsWith("mine")).toBe(true);
    expect(predict("--explain maps --overwrite ward/a").stdout).toContain("heat maps are in maps");
  });
});

describe("what contradicts itself", () => {
  const refused = (options: OutputOptions) => () => expectOutputOptions(options);

  it.each<[OutputOptions, string]>([
    [
      { format: "dicom-sr" },
      "--format dicom-sr writes a file for each image: name a folder for them with --out.",
    ],
    [{ out: "x" }, "--out needs a --format"],
    [{ json: true, format: "csv" }, "--json is --format json, which --format csv contradicts."],
    [{ codes: "codes.csv" }, "it goes with --format dicom-sr"],
    [{ method: "occlusion" }, "it goes with --explain"],
    [{ format: "csv", resume: true }, "--resume goes on with a file of lines"],
    [
      { format: "csv", out: "x", resume: true, overwrite: true },
      "--resume and --overwrite contradict each other.",
    ],
    [{ format: "csv", pool: "image:mean", shard: { part: 1, of: 2 } }, "--pool needs all images at once"],
  ])("is refused: %j", (options, words) => {
    expect(refused(options)).toThrow(UsageError);
    expect(refused(options)).toThrow(words);
  });

  it("ends with 2", () => {
    expect(predict("--shard 3/2 scans")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--shard 3/2 is no part of a number of parts"),
    });
    expect(predict("--format csv")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("name images, folders or tables, or a list of them with --files."),
    });
  });
});
