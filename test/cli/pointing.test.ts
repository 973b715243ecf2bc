/** The command line points the way: to help, to the option that was meant, to a folder that can be written to. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
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
