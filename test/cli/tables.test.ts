/**
 * A study from a table on the command line: several labels an image, patients, frames, pooling; and that nothing which tells who a
 * patient is comes out anywhere.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { imageExtensions } from "../../src/data/index.js";
import { dicomFile } from "../support/identifying-dicom-file.js";
import { program } from "../support/repository.js";
import { smallArguments } from "../support/small-study.js";
import { picture, root, write } from "../support/temporary-folder.js";

const patients = 16;
/** In every cell of columns that tell who somebody is, and in every text of a DICOM file. */
const secret = "QXZVW";
const findings = ["effusion", "nodule"];

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const outputs: string[] = [];

function medmamba(...args: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: root,
    encoding: "utf8",
  });
  outputs.push(stdout, stderr);
  return { status, stdout, stderr };
}

const json = (...args: string[]) => {
  const outcome = medmamba(...args, "--json");
  expect(outcome.stderr).not.toMatch(/^medmamba: /m);
  return JSON.parse(outcome.stdout) as Record<string, never>;
};

/** Grey with a bright upper half for the first finding, a bright left half for the second. */
function scan(i: number, page = 0): Promise<Buffer> {
  return picture(16, (at) => {
    const [row, column] = [Math.floor(at / 16), at % 16];
    const bright = (i % 2 && row < 8 ? 90 : 0) + ((i >> 1) % 2 && column < 8 ? 90 : 0);
    return 20 + bright + ((at * 7 + i * 13 + page * 5) % 30);
  });
}

const canRead = imageExtensions.includes(".dcm");
if (!canRead)
  console.warn("\n*** DICOM is not read by this version: its part of the privacy test is SKIPPED ***\n");

beforeAll(async () => {
  const rows = [`path,patient,PatientName,StudyDate,age,effusion,nodule`];
  const classRows = ["path,label,patient,frame"];
  for (let i = 0; i < patients; ++i) {
    const known = `${secret}${i},${secret}^${i},2024${secret},${40 + i},${i % 2},${(i >> 1) % 2}`;
    for (const view of [0, 1]) {
      const name = `scans/${i}-${view}.png`;
      await write(name, await scan(i, view));
      rows.push(`${name},${known}`);
      classRows.push(`${name},${i % 2 ? "wet" : "dry"},${secret}${i},`);
    }
  }
  if (canRead) {
    await write("scans/head.dcm", dicomFile({ text: secret, size: 16 }));
    rows.push(`scans/head.dcm,${secret}x,${secret},2024${secret},50,0,0`);
  }
  await write("study.csv", rows.join("\n"));
  await write("classes.csv", classRows.join("\n"));
  const first = await scan(3);
  const raw = await sharp(first).raw().toBuffer();
  const pages = Buffer.concat([raw, raw, raw]);
  await write(
    "stack.tif",
    await sharp(pages, { raw: { width: 16, height: 48, channels: 1, pageHeight: 16 } })
      .toColourspace("b-w")
      .tiff({ compression: "none" })
      .toBuffer(),
  );
});

const trained = ["--data", "study.csv", "--task", "multi-label", "--cache", "./cache", ...smallArguments];

describe("several labels an image", () => {
  it("are trained on, judged by image and by patient, and predicted", () => {
    const run = json("train", "--out", "run", ...trained);
    expect(run.evaluated).toBe("test");
    expect(run.test).toMatchObject({ classes: findings, subsetAccuracy: expect.any(Number) });
    const judge = [
      "evaluate",
      "--checkpoint",
      "run/best.safetensors",
      "--data",
      "study.csv",
      "--device",
      "cpu",
    ];
    const scores = json(...judge, "--split", "all", "--pool", "patient:max", "--report", "report");
    expect(scores).toMatchObject({ samples: 2 * patients + Number(canRead), classes: findings });
    expect(scores.thresholds).toHaveLength(2);
    expect(scores.pooled).toMatchObject({
      by: "patient",
      how: "max",
      units: patients + Number(canRead),
      leftOut: 0,
      classes: findings,
    });
    expect(readFileSync(join(root, "report/report.html"), "utf8")).toContain("Subset accuracy");
    expect(scores.intervals).toMatchObject({ level: 0.95, patients: patients + Number(canRead) });
    const { subgroups } = json(...judge, "--split", "all", "--subgroups", "age");
    expect(new Set((subgroups as unknown as { label: string }[]).map(({ label }) => label))).toEqual(
      new Set(findings),
    );
    expect(medmamba(...judge, "--against", "run/best.safetensors").stderr).toMatch(
      /is for images of one class/,
    );
    const lines = medmamba(...judge, "--pool", "age:mean").stdout;
    expect(lines).toMatch(/Subset accuracy +\d\.\d{3}/);
    expect(lines).toMatch(/By age, mean of the images of each: \d+\n/);
    expect(medmamba(...judge, "--pool", "ward:mean")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(
        /there is no column ward to take images together by; there are patient, image, /,
      ),
    });
  });

  it("are predicted from a table, by patient, without a patient's name", () => {
    const predict = ["predict", "--checkpoint", "run/best.safetensors", "--device", "cpu"];
    const { predictions, pooled } = json(...predict, "study.csv", "--pool", "patient:mean") as unknown as {
      predictions: { file: string; probabilities: Record<string, number> }[];
      pooled: { units: { unit: string; files: string[]; probabilities: Record<string, number> }[] };
    };
    expect(pooled.units).toHaveLength(patients + Number(canRead));
    const [first] = pooled.units;
    expect(first).toMatchObject({
      unit: "patient 1",
      files: predictions.slice(0, 2).map(({ file }) => file),
    });
    const mean = (predictions[0]!.probabilities.nodule! + predictions[1]!.probabilities.nodule!) / 2;
    expect(first?.probabilities.nodule).toBeCloseTo(mean, 6);
    expect(medmamba(...predict, "study.cvs", "--pool", "patient:mean")).toMatchObject({
      status: 1,
      stderr: "medmamba: study.cvs: there is no such image; did you mean study.csv?\n",
    });
    expect(medmamba(...predict, "scans/0-0.png", "--pool", "patient:mean").stderr).toMatch(
      /nothing says which images belong together: name a table/,
    );
  });

  it("of files with several pictures are predicted picture by picture, and as one", () => {
    const predict = ["predict", "--checkpoint", "run/best.safetensors", "--device", "cpu", "stack.tif"];
    const all = json(...predict, "--frames", "all", "--pool", "image:mean") as unknown as {
      predictions: object[];
      pooled: { units: object[] };
    };
    expect(all.predictions).toMatchObject([0, 1, 2].map((frame) => ({ file: "stack.tif", frame })));
    expect(all.pooled.units).toMatchObject([{ unit: "stack.tif", images: 3 }]);
    expect(medmamba(...predict, "--frames", "every:2").stdout).toMatch(
      /stack\.tif frame 0.*\nstack\.tif frame 2/,
    );
    expect(json(...predict).predictions).toHaveLength(1);
    expect(medmamba(...predict, "--frames", "last")).toMatchObject({ status: 2 });
  });

  it("need a table that has them", () => {
    const train = (...args: string[]) =>
      medmamba("train", "--out", "other", ...args, ...smallArguments).stderr;
    expect(train("--data", "study.csv")).toMatch(/say which task they are \(--task\): multi-label/);
    expect(train("--data", "classes.csv", "--task", "multi-label")).toMatch(/this table has a column label/);
    expect(train("--data", "scans", "--task", "multi-label")).toMatch(/for several labels, write a table/);
    expect(train("--data", "study.csv", "--task", "multi-label", "--labels", "effusion,ascites")).toMatch(
      /no column ascites of 0 and 1/,
    );
  });
});

describe("one class an image", () => {
  it("of a table is judged by patient, and wrong lines are all named", async () => {
    const run = json(
      "train",
      "--data",
      "classes.csv",
      "--out",
      "classes",
      "--groups",
      "patient",
      ...smallArguments,
    );
    expect(run.test).toMatchObject({ classes: ["dry", "wet"] });
    const scores = json(
      ...["evaluate", "--checkpoint", "classes/best.safetensors", "--data", "classes.csv", "--split", "all"],
      ...["--pool", "patient:mean", "--device", "cpu"],
    );
    expect(scores.pooled).toMatchObject({ units: patients, samples: patients });
    await write(
      "wrong.csv",
      `path,label,patient,weight\nscans/0-0.png,dry,${secret},0\nscans/1-0.png,moist,${secret},1\nscans/2-0.png,dry,${secret}`,
    );
    const { stderr, status } = medmamba(
      ...["evaluate", "--checkpoint", "classes/best.safetensors", "--data", "wrong.csv", "--device", "cpu"],
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /3 lines are wrong:\n {2}line 2: weight "0".*\n {2}line 3: label "moist".*\n {2}line 4:/,
    );
  });
});

describe("who a patient is", () => {
  it("is in nothing that is written or said", async () => {
    await mkdir(join(root, "run"), { recursive: true });
    if (canRead)
      medmamba("predict", "--checkpoint", "run/best.safetensors", "scans/head.dcm", "--device", "cpu");
    medmamba("train", "--out", "verbose", ...trained, "--verbose");
    expect(outputs.length).toBeGreaterThan(20);
    const files = ["run", "verbose", "classes", "report", "cache"].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) =>
        join(root, folder, name),
      ),
    );
    const written = files.filter((path) => statSync(path).isFile());
    expect(written.length).toBeGreaterThan(30);
    expect(written.filter((path) => path.includes(secret) || readFileSync(path).includes(secret))).toEqual(
      [],
    );
    expect(outputs.filter((text) => text.includes(secret))).toEqual([]);
  });

  it("would be seen if it were", () => {
    expect(readFileSync(join(root, "study.csv")).includes(secret)).toBe(true);
  });
});
