/** `medmamba convert` and `medmamba download`, as a user runs them. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeDemoDataset } from "../../src/data/index.js";
import { fixture, program } from "../support/repository.js";

const folder = mkdtempSync(join(tmpdir(), "medmamba-convert-"));
const scan = join("scans", "test", "mass", "mass-0000.png");

beforeAll(() =>
  writeDemoDataset(join(folder, "scans"), { size: 32, perClass: { train: 4, val: 1, test: 2 } }),
);
afterAll(() => rmSync(folder, { recursive: true }));

function medmamba(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: folder,
    encoding: "utf8",
    timeout: 50_000,
  });
  return { status, stdout, stderr: stderr.replace(/^note: computing on the CPU, .*\n/, "") };
}

describe("convert", () => {
  it("makes a checkpoint that predict, evaluate and train take", { timeout: 60_000 }, () => {
    const classes = ["--classes", "cyst,mass,normal", "--image-size", "32"];
    const said = medmamba("convert", fixture("pth/training.pth"), "m.safetensors", ...classes);
    expect(said.stderr).toBe("");
    expect(said.stdout).toMatch(/training\.pth \(in model\): MedMamba depths 1,1, dims 4,8/);
    expect(said.stdout).toMatch(/Classes: cyst, mass, normal\. Images: 32 pixels, mean 0\.5,0\.5,0\.5/);
    const predicted = medmamba("predict", "--checkpoint", "m.safetensors", scan, "--json");
    expect(JSON.parse(predicted.stdout).predictions).toHaveLength(1);
    const evaluated = medmamba("evaluate", "--checkpoint", "m.safetensors", "--data", "scans", "--json");
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ samples: 6, classes: ["cyst", "mass", "normal"] });
    const trained = medmamba(
      ...["train", "--data", "scans", "--init", "m.safetensors", "--out", "run", "--epochs", "1", "--json"],
    );
    expect(trained.status, trained.stderr).toBe(0);
  });

  it("prints one object with --json, and replaces nothing without --overwrite", () => {
    const once = medmamba("convert", fixture("pth/plain.pth"), "j.safetensors", "--json", "--device", "cpu");
    expect(once.stderr).toBe("");
    expect(JSON.parse(once.stdout)).toMatchObject({
      path: "j.safetensors",
      variant: null,
      classes: ["0", "1", "2"],
      config: { depths: [1, 1], dims: [4, 8], dState: 2 },
    });
    const again = medmamba("convert", fixture("pth/plain.pth"), "j.safetensors");
    expect(again).toMatchObject({ status: 1, stdout: "" });
    expect(again.stderr).toMatch(/^medmamba: j\.safetensors: is there already: .*\n$/);
    expect(medmamba("convert", fixture("pth/plain.pth"), "j.safetensors", "--force").status).toBe(2);
    expect(medmamba("convert", fixture("pth/plain.pth"), "j.safetensors", "--overwrite").status).toBe(0);
  });

  it("says what it cannot read in one sentence", () => {
    const wrong = (...args: string[]) => {
      const { status, stdout, stderr } = medmamba("convert", ...args);
      expect(stdout).toBe("");
      expect(stderr.trim().split("\n")).toHaveLength(1);
      return [status, stderr];
    };
    expect(wrong(fixture("pth/module.pth"), "no.safetensors")).toEqual([
      1,
      expect.stringContaining('the Python class "torch.nn.modules.container.Sequential"'),
    ]);
    expect(wrong("nowhere.pth", "no.safetensors")).toEqual([
      1,
      expect.stringContaining("nowhere.pth: there is no such file of weights"),
    ]);
    expect(wrong(fixture("pth/plain.pth"), "no.safetensors", "--classes", "a,b")).toEqual([
      2,
      expect.stringContaining("2 classes are named, but the network has 3 outputs"),
    ]);
    expect(existsSync(join(folder, "no.safetensors"))).toBe(false);
  });

  it("is what train and predict point to for a .pth file", () => {
    const init = medmamba("train", "--data", "scans", "--out", "no", "--init", fixture("pth/plain.pth"));
    expect(init).toMatchObject({ status: 1, stdout: "" });
    expect(init.stderr).toMatch(/`medmamba convert .*plain\.pth weights\.safetensors`/);
    const predict = medmamba("predict", "--checkpoint", fixture("pth/plain.pth"), scan);
    expect(predict.stderr).toMatch(/`medmamba convert .*plain\.pth weights\.safetensors`/);
  });
});

describe("download", () => {
  it("says where to bring a file from that cannot be had", () => {
    const offline = medmamba("download", "breastmnist", "--from", "http://127.0.0.1:9", "--out", "sets");
    expect(offline).toMatchObject({ status: 1, stdout: "" });
    expect(offline.stderr).toMatch(
      /^medmamba: breastmnist\.npz could not be downloaded: .*\. It is public at https:\/\/zenodo\.org\/.*: where that cannot be reached, bring it from elsewhere and put it at sets\/breastmnist\.npz\.\n$/,
    );
    expect(medmamba("download", "brestmnist")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("did you mean breastmnist?"),
    });
  });

  it("is what a data set's name is pointed to, and a set under another name is not", () => {
    writeFileSync(join(folder, "organcmnist.npz"), "");
    const train = (data: string) => medmamba("train", "--data", data, "--out", "no").stderr;
    expect(train("organamnist")).toBe(
      "medmamba: organamnist: there is no such data set here; `medmamba download organamnist` gets it as organamnist.npz.\n",
    );
    expect(train("organcmnist")).toMatch(/did you mean organcmnist\.npz\?/);
  });
});
