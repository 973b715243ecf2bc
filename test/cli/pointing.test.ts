/** The command line points the way: to help, to the option that was meant, to a folder that can be written to. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { packageVersion } from "../../src/native/package-version.js";
import { program } from "../support/repository.js";
import { smallArguments, smallRecipe, study, writeScans } from "../support/small-study.js";
import { root } from "../support/temporary-folder.js";

function medmamba(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: root,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

beforeAll(async () => {
  await writeScans(join(root, "scans"));
  await study(join(root, "run"), { ...smallRecipe, data: join(root, "scans") });
});

describe("predict", () => {
  const predict = (...args: string[]) =>
    medmamba("predict", "--checkpoint", "run/best.safetensors", "--device", "cpu", ...args);

  it("predicts the others where a folder has no images, and fails where there are none at all", () => {
    mkdirSync(join(root, "hollow/deep"), { recursive: true });
    const { status, stdout, stderr } = predict("hollow", "scans/benign/00.png");
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /^hollow +could not be read: it is a directory.\nscans\/benign\/00.png +(benign|malignant)/,
    );
    expect(stderr).toMatch(
      /^warning: hollow has no images in it; .*\nmedmamba: 1 of 2 images could not be predicted/,
    );
    expect(predict("hollow")).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringMatching(/^medmamba: hollow has no images in it; /),
    });
  });

  it.skipIf(process.getuid?.() === 0)("says in plain words what may not be read", () => {
    writeFileSync(join(root, "closed.png"), "", { mode: 0 });
    expect(predict("closed.png").stdout).toContain("could not be read: permission denied.");
  });
});

describe("a path", () => {
  it.each([
    ["train", "--data", "", "--out", "x"],
    ["train", "--data", "scans", "--out", "x", "--init", " "],
    ["evaluate", "--data", "scans", "--checkpoint", ""],
    ["evaluate", "--data", "scans", "--checkpoint", "run/best.safetensors", "--report", ""],
  ])("that is empty is said to be so: %s %s %s %s %s %s %s", (...args) => {
    expect(medmamba(...args)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^medmamba: the path of the .* is empty: name /),
    });
  });

  it("with letters that terminals obey is shown without them", () => {
    const { stderr } = medmamba("train", "--data", "scans\u001b[31m", "--out", "x");
    expect(stderr).toMatch(/^medmamba: scans\ufffd\[31m: there is no such data set/);
  });
});

describe("a run's own report", () => {
  it("is not replaced by that of an evaluation", () => {
    const before = readFileSync(join(root, "run/report.html"));
    const given = ["--checkpoint", "run/best.safetensors", "--data", "scans", "--report", "run"];
    expect(medmamba("evaluate", ...given)).toMatchObject({
      status: 1,
      stderr:
        "medmamba: run holds a run, whose own report would be replaced: choose another folder with --report.\n",
    });
    expect(readFileSync(join(root, "run/report.html")).equals(before)).toBe(true);
  });
});

describe("help", () => {
  it("is had by help COMMAND, the version by -V", () => {
    expect(medmamba("help", "train")).toEqual(medmamba("train", "--help"));
    expect(medmamba("help")).toEqual(medmamba("--help"));
    expect(medmamba("-V")).toEqual({ status: 0, stdout: `${packageVersion}\n`, stderr: "" });
    expect(medmamba("help", "trian")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("Did you mean train"),
    });
  });

  it.each([
    ["--learning-rate", "--lr"],
    ["--wd", "--weight-decay"],
    ["--img-size", "--image-size"],
    ["--max-epochs", "--epochs"],
    ["--batchsize", "--batch-size"],
  ])("for %s names %s", (given, meant) => {
    const { status, stderr } = medmamba("train", "--data", "scans", "--out", "none", given, "1");
    expect(status).toBe(2);
    expect(stderr.split("\n")[0]).toBe(`medmamba: unknown option '${given}' (Did you mean ${meant}?)`);
  });
});

describe("a folder that cannot be written to", () => {
  // /proc is read-only for everybody, and its folders cannot be made.
  it.skipIf(process.platform !== "linux")("is named before data are read", () => {
    writeFileSync(join(root, "file"), "");
    for (const folder of ["/proc/none/run", "file/run"]) {
      const trained = medmamba("train", "--data", "scans", "--out", folder, ...smallArguments);
      expect(trained.status).toBe(1);
      expect(trained.stderr).toMatch(
        /^medmamba: nothing can be written to .*(\/proc|file).*: choose another folder with --out\.\n$/,
      );
      const report = ["--report", folder, "--device", "cpu"];
      const evaluated = medmamba(
        "evaluate",
        "--checkpoint",
        "run/best.safetensors",
        "--data",
        "scans",
        ...report,
      );
      expect(evaluated.stderr).toMatch(
        /^medmamba: nothing can be written to .*: choose another folder with --report\.\n$/,
      );
    }
  });
});

describe("a report, which is passed on", () => {
  it("says of data and checkpoint only what they are called", () => {
    const [data, checkpoint] = [join(root, "scans"), join(root, "run/best.safetensors")];
    const args = ["--checkpoint", checkpoint, "--data", data, "--report", "report", "--device", "cpu"];
    expect(medmamba("evaluate", ...args).status).toBe(0);
    for (const folder of ["run", "report"]) {
      const page = readFileSync(join(root, folder, "report.html"), "utf8");
      expect(page).toContain("run/best.safetensors");
      expect(page).not.toContain(root);
    }
  });

  it("leaves no folder behind where there is nothing to report", () => {
    medmamba("evaluate", "--checkpoint", "run/best.safetensors", "--data", "run", "--report", "nothing");
    expect(existsSync(join(root, "nothing"))).toBe(false);
  });
});
