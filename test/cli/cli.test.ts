/** The built command line, as a user runs it: one process a command, on a data set of a few small drawn images. */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeDemoDataset } from "../../src/data/index.js";
import { program } from "../support/repository.js";

const folder = mkdtempSync(join(tmpdir(), "medmamba-cli-"));
const tiny = ["--dims", "16,32,64,128", "--depths", "1,1,1,1", "--image-size", "32", "--channels", "1"];
const short = [...tiny, "--epochs", "2", "--batch-size", "8", "--threads", "1"];
const inFolder = { cwd: folder, encoding: "utf8", timeout: 50_000 } as const;

/** Keys of `evaluate --json`, in their order, that other programs are built on. */
const evaluationKeys = [
  ..."accuracy balancedAccuracy auc aucPerClass macroF1 macroPrecision macroSensitivity".split(" "),
  ..."macroSpecificity mcc cohenKappa crossEntropy brier ece confusionMatrix classes samples".split(" "),
];

/** What `--device auto` says on a machine without a GPU; see cli-devices.test.ts. */
const noGpu = /^note: computing on the CPU, .*\n/;

function medmamba(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], inFolder);
  return { status, stdout, stderr: stderr.replace(noGpu, "") };
}

/** A command that has to succeed: the object on its stdout. */
function json(...args: string[]) {
  const { status, stdout, stderr } = medmamba(...args, "--json");
  expect(stderr).not.toContain("medmamba:");
  expect(status).toBe(0);
  return JSON.parse(stdout);
}

/** A command that has to fail with one sentence, and nothing on stdout. */
function failure(...args: string[]) {
  const { status, stdout, stderr } = medmamba(...args);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^medmamba: \S/);
  expect(stderr).not.toMatch(/\n\s+at /);
  return { status, stderr };
}

const lossesOf = (run: { history: { trainLoss: number; validation: object }[] }) =>
  run.history.map(({ trainLoss, validation }) => ({ trainLoss, validation }));

let trained: ReturnType<typeof json>;

beforeAll(async () => {
  await writeDemoDataset(join(folder, "scans"), { size: 32, perClass: { train: 16, val: 4, test: 4 } });
  for (const [name, own] of Object.entries({ cyst: "benign", mass: "malignant" })) {
    cpSync(join(folder, "scans/train", name), join(folder, "lesions", own), { recursive: true });
  }
  trained = json("train", "--data", "scans", "--out", "run", ...short);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("train", () => {
  it("writes checkpoints, history, figures and a report, and says where", () => {
    expect(trained).toMatchObject({ checkpoint: "run/best.safetensors", stopped: "completed", epochs: 2 });
    expect(trained.test.samples).toBe(12);
    expect(Object.keys(trained.test).slice(0, evaluationKeys.length)).toEqual(evaluationKeys);
    const written = ["best.safetensors", "last.safetensors", "metrics.jsonl", "run.json"];
    for (const file of [...written, "curves.svg", "confusion.svg", "report.html"]) {
      expect(existsSync(join(folder, "run", file)), file).toBe(true);
    }
    expect(readFileSync(join(folder, "run/metrics.jsonl"), "utf8").trim().split("\n")).toHaveLength(2);
  });

  it("prints lines of at most 80 columns for people", () => {
    const cpu = ["--device", "cpu"];
    const { status, stdout, stderr } = medmamba(
      "train",
      "--data",
      "scans",
      "--out",
      "people",
      ...short,
      ...cpu,
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(
      /^1\/2 {2}loss \d\.\d{3} {2}validation \d\.\d{3} {2}accuracy \d\.\d{3} {2}AUC \d\.\d{3}/m,
    );
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  it("stops on Ctrl-C after a step, and resumes to the same outcome", async () => {
    const args = ["train", "--data", "scans", "--out", "stopped", ...short, "--epochs", "10"];
    const child = spawn(process.execPath, [program, ...args], { cwd: folder });
    let [output, errors] = ["", ""];
    let stopping = false;
    child.stdout.on("data", (text) => {
      output += text;
      if (/^ 1\/10/m.test(output) && !stopping) stopping = child.kill("SIGINT"); // A second one quits at once.
    });
    child.stderr.on("data", (text) => {
      errors += text;
    });
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect(errors).toContain(
      "medmamba: stopped; `medmamba train --out stopped --resume` goes on from there.",
    );
    expect(status).toBe(1);

    const resumed = json("train", "--out", "stopped", "--resume");
    const whole = json(...args.map((arg) => (arg === "stopped" ? "whole" : arg)));
    expect(lossesOf(resumed)).toEqual(lossesOf(whole));
    expect(readFileSync(join(folder, "stopped/best.safetensors"))).toEqual(
      readFileSync(join(folder, "whole/best.safetensors")),
    );
  });

  it("leaves a run alone unless told, and resumes it with its own options only", () => {
    const again = failure("train", "--data", "scans", "--out", "run", ...short);
    expect(again.status).toBe(1);
    expect(again.stderr).toContain("run holds a run already");
    const other = failure("train", "--out", "run", "--resume", "--lr", "0.1", "--epochs", "2", "--no-flip");
    expect(other.status).toBe(2);
    expect(other.stderr).toMatch(/other settings than (--lr 0.1, --no-flip|--no-flip, --lr 0.1):/);
    expect(failure("train", "--out", "nothing", "--resume").stderr).toContain("no run to resume");
  });

  it("starts from weights of other classes, without their head", () => {
    const args = ["--data", "lesions", "--out", "tuned", "--init", "run/best.safetensors", ...short];
    const { status, stdout } = medmamba("train", ...args);
    expect(status).toBe(0);
    expect(stdout).toContain(
      "run/best.safetensors: all but the last layer, which is made anew: there it tells cyst, mass, normal apart",
    );
    const predicted = json("predict", "--checkpoint", "tuned/best.safetensors", "lesions/benign");
    expect(predicted.predictions).toHaveLength(16);
    for (const { label, probabilities } of predicted.predictions) {
      expect(label).toBe(probabilities.malignant >= predicted.threshold ? "malignant" : "benign");
    }
    const evaluated = json("evaluate", "--checkpoint", "tuned/best.safetensors", "--data", "lesions");
    expect(evaluated.atThreshold.threshold).toBe(evaluated.threshold);
  });
});

describe("evaluate", () => {
  const common = ["evaluate", "--checkpoint", "run/best.safetensors"];

  it("has the documented keys first, and agrees with the verdict of the training", () => {
    const scores = json(...common, "--data", "scans", "--report", "report");
    expect(Object.keys(scores).slice(0, evaluationKeys.length)).toEqual(evaluationKeys);
    const sealed = { test: "internal", testLooks: 2, seal: expect.any(Object) };
    expect(trained.uncertainty).toMatchObject({ images: 12, assessedOn: { train: 48, validation: 12 } });
    const { test, uncertainty } = trained;
    expect(scores).toEqual({ ...test, split: "test", uncertainty, ...sealed });
    expect(scores.classes).toEqual(["cyst", "mass", "normal"]);
    expect(readFileSync(join(folder, "report/report.html"), "utf8")).toContain("</html>");
    expect(json(...common, "--data", "scans", "--split", "train").samples).toBe(48);
  });

  it("refuses data of other classes, naming both", () => {
    const { status, stderr } = failure(...common, "--data", "lesions");
    expect(status).toBe(1);
    expect(stderr).toContain(
      '"benign" is not one of cyst, mass, normal, the classes of run/best.safetensors.',
    );
  });
});

describe("predict", () => {
  it("predicts what it can, says what it cannot, and exits with 1", () => {
    writeFileSync(join(folder, "empty.png"), "");
    const image = "scans/test/cyst/cyst-0000.png";
    const args = ["--checkpoint", "run/best.safetensors", image, "empty.png", "gone.png", "--json"];
    const { status, stdout, stderr } = medmamba("predict", ...args);
    expect(status).toBe(1);
    expect(stderr).toBe("medmamba: 2 of 3 images could not be predicted.\n");
    const [first, second, third] = JSON.parse(stdout).predictions;
    expect(first).toMatchObject({ file: image, label: expect.stringMatching(/cyst|mass|normal/) });
    const values = Object.values<number>(first.probabilities);
    expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
    expect(first.probability).toBe(Math.max(...values));
    expect(second).toEqual({ file: "empty.png", error: "empty.png could not be read: the file is empty." });
    expect(third).toEqual({ file: "gone.png", error: "gone.png could not be read: there is no such file." });
  });

  it("survives a reader that goes away", () => {
    const command = `"${process.execPath}" "${program}" predict --device cpu --checkpoint run/best.safetensors scans | head -n 1`;
    const { status, stdout, stderr } = spawnSync("bash", ["-o", "pipefail", "-c", command], inFolder);
    expect({ status, stderr, lines: stdout.trim().split("\n").length }).toEqual({
      status: 0,
      stderr: "",
      lines: 1,
    });
  });
});

describe("doctor", () => {
  it("finds every kernel in agreement with the reference", () => {
    const { ok, checks, processor, device } = json("doctor", "--device", "cpu");
    expect(ok).toBe(true);
    expect(checks.length).toBeGreaterThan(30);
    expect(processor.simdLevels).toContain(device.simd);
  });
});

describe("demo", () => {
  it("runs twice over the same folder, and not over another", () => {
    for (const seed of ["0", "1"]) {
      const { checkpoint, report, predictions } = json(
        "demo",
        "--out",
        "demo",
        "--epochs",
        "1",
        "--seed",
        seed,
      );
      expect(existsSync(join(folder, checkpoint)) && existsSync(join(folder, report))).toBe(true);
      expect(predictions).toHaveLength(1);
    }
    expect(failure("demo", "--out", "run").stderr).toContain("run holds something else than an earlier demo");
  });
});

describe("wrong usage", () => {
  it.each([
    ["no command", [], /Usage: medmamba/],
    ["an unknown command", ["trian"], /unknown command 'trian' \(Did you mean train\?\)/],
    [
      "an unknown option",
      ["train", "--out", "x", "--dpths", "1"],
      /unknown option '--dpths' \(Did you mean --depths\?\)/,
    ],
    ["no --out", ["train", "--data", "scans"], /--out <folder>' not specified/],
    ["no --data", ["train", "--out", "x"], /--data is missing/],
    [
      "a word for a number",
      ["train", "--out", "x", "--epochs", "many"],
      /--epochs.*a whole number of 1 or more/,
    ],
    ["no threads", ["doctor", "--threads", "0"], /--threads.*a whole number of 1 or more/],
    ["no limit", ["doctor", "--memory-limit", "lots"], /--memory-limit.*bytes, such as 8GB .*, or a share/],
    ["an unknown device", ["doctor", "--device", "gpu"], /--device.*Use auto, cpu, cuda/],
    [
      "dims that do not double",
      ["train", "--data", "scans", "--out", "x", "--dims", "16,32,64,96"],
      /twice the one before/,
    ],
    [
      "images too small",
      ["train", "--data", "scans", "--out", "x", "--image-size", "16"],
      /it needs 32 or more/,
    ],
    [
      "weights for other classes",
      ["train", "--data", "scans", "--out", "x", ...tiny, "--class-weights", "1,2"],
      /not 3 positive/,
    ],
  ])("%s: exit code 2", (_, args, message) => {
    const { status, stderr } = medmamba(...(args as string[]));
    expect(stderr).toMatch(message as RegExp);
    expect(status).toBe(2);
    expect(existsSync(join(folder, "x"))).toBe(false);
  });

  it.each(["demo", "train", "evaluate", "predict", "doctor", "bench"])(
    "%s --help has examples, and fits 80 columns",
    (name) => {
      const { status, stdout } = medmamba(name, "--help");
      expect(status).toBe(0);
      expect(stdout).toContain(`$ medmamba ${name}`);
      for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    },
  );
});

describe("files that cannot be used", () => {
  const image = "scans/test/cyst/cyst-0000.png";

  it.each([
    [
      "a path with a typo",
      ["train", "--data", "scasn", "--out", "x"],
      "scasn: there is no such data set; did you mean scans?",
    ],
    [
      "a misspelt checkpoint",
      ["predict", image, "--checkpoint", "run/bset.safetensors"],
      "did you mean run/best.safetensors?",
    ],
    [
      "a run for a checkpoint",
      ["predict", image, "--checkpoint", "run"],
      "run is a folder, not a checkpoint; did you mean",
    ],
    [
      "an image for a checkpoint",
      ["predict", image, "--checkpoint", image],
      `${image}: not a safetensors file`,
    ],
    ["one class", ["train", "--data", "scans/train/cyst", "--out", "x"], "expected a folder for each class"],
    ["a file for --out", ["train", "--data", "scans", "--out", image, ...tiny], `${image} is a file`],
  ])("%s: one sentence and exit code 1", (_, args, message) => {
    const { status, stderr } = failure(...(args as string[]));
    expect(stderr).toContain(message);
    expect(status).toBe(1);
    expect(existsSync(join(folder, "x"))).toBe(false);
  });

  it("says which weights are damaged, cut off, or another program's", () => {
    const bytes = readFileSync(join(folder, "run/best.safetensors"));
    const header = Number(bytes.readBigUInt64LE(0));
    const { begin } = headWeight(bytes.subarray(8, 8 + header).toString());
    const damaged = Buffer.from(bytes);
    damaged.writeFloatLE(Number.NaN, 8 + header + begin);
    writeFileSync(join(folder, "nan.safetensors"), damaged);
    writeFileSync(join(folder, "cut.safetensors"), bytes.subarray(0, bytes.length / 2));
    const foreign = Buffer.from(bytes.toString("latin1").replace("medmamba-1", "medmamba-?"), "latin1");
    writeFileSync(join(folder, "foreign.safetensors"), foreign);
    const says = (file: string) => failure("predict", image, "--checkpoint", file).stderr;
    expect(says("nan.safetensors")).toContain('nan.safetensors: "head.weight" holds NaN');
    expect(says("cut.safetensors")).toContain("cut.safetensors: truncated");
    expect(says("foreign.safetensors")).toContain("foreign.safetensors: this is not a medmamba checkpoint");
  });

  it.runIf(existsSync("/dev/full"))("fails when its output cannot be written", () => {
    const command = `"${process.execPath}" "${program}" evaluate --help > /dev/full`;
    const { status, stderr } = spawnSync("bash", ["-c", command], inFolder);
    expect(stderr).toContain("the output could not be written");
    expect(status).toBe(1);
  });
});

function headWeight(header: string): { begin: number } {
  return { begin: JSON.parse(header)["head.weight"].data_offsets[0] };
}
