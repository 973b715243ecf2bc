/** `--config FILE`: the same as the flags, on every command. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { data } from "../../src/index.js";
import { program } from "../support/repository.js";
import { root, write } from "../support/temporary-folder.js";

function medmamba(...args: string[]) {
  const { status, stderr } = spawnSync(process.execPath, [program, ...args], { cwd: root, encoding: "utf8" });
  return { status, stderr };
}

describe("a config file", () => {
  it.each([
    [
      "YAML",
      "run.yaml",
      "epochs: 7\nbatch-size: 5\nflip: false\ndims: [16, 32]\ndepths: 1,1\nclass_weights: none\nnone:\n".replace(
        "none:\n",
        "",
      ),
    ],
    [
      "JSON",
      "run.json",
      JSON.stringify({
        epochs: 7,
        batchSize: 5,
        flip: false,
        dims: [16, 32],
        depths: "1,1",
        classWeights: "none",
      }),
    ],
  ])("of %s says what flags say, and flags win", async (_, name, text) => {
    const config = await write(name, text);
    // The data are missing: what was planned is in no file, but the message about it comes after all options are read.
    const { status, stderr } = medmamba(
      "train",
      "--data",
      "none",
      "--out",
      "x",
      "--config",
      config,
      "--epochs",
      "many",
    );
    expect([status, stderr]).toEqual([
      2,
      expect.stringContaining("'--epochs <count>' argument 'many' is invalid"),
    ]);
  });

  it("trains as the flags would", async () => {
    await data.writeDemoDataset(join(root, "drawn"), { size: 16, perClass: { train: 4, val: 2, test: 2 } });
    const flags = ["--depths", "1,1", "--dims", "8,16", "--image-size", "16", "--epochs", "1", "--no-flip"];
    const common = ["train", "--data", "drawn", "--device", "cpu"];
    expect(medmamba(...common, "--out", "by-flags", ...flags).status).toBe(0);
    const config = await write(
      "small.yaml",
      "# a small one\ndepths: [1, 1]\ndims: [8, 16]\nimage-size: 16\nepochs: 9\nflip: false\nseed: null\n",
    );
    expect(medmamba(...common, "--out", "by-config", `--config=${config}`, "--epochs", "1").status).toBe(0);
    const plan = (run: string) => readFileSync(join(root, run, "run.json"), "utf8");
    expect(plan("by-config")).toBe(plan("by-flags"));
    const weights = (run: string) => readFileSync(join(root, run, "best.safetensors"));
    expect(weights("by-config").subarray(-20_000).equals(weights("by-flags").subarray(-20_000))).toBe(true);
  });

  it.each([
    [
      "a name that there is not",
      "learning-rate: 1",
      2,
      /c.yaml line 1: learning-rate is no option of train; did you mean lr\?/,
    ],
    ["a name like none", "warp: 1", 2, /warp is no option of train; `medmamba train --help` lists them/],
    [
      "a value that cannot be",
      "epochs: 3\n\nlr: fast",
      2,
      /c.yaml line 3: lr fast cannot be: it has to be a positive number/,
    ],
    [
      "a name that is none of a few",
      "schedule: linear",
      2,
      /c.yaml line 1: schedule linear cannot be: allowed choices are cosine/,
    ],
    [
      "values that do not go together",
      "data: .\nimage-size: 8\nmean: [123, 116, 103]",
      2,
      /mean \[123, 116, 103\] is beyond 1.*\(c.yaml gives options, too.\)/,
    ],
    [
      "a list of lists",
      "lr: {a: 1}",
      2,
      /c.yaml line 1: lr has to be a number, a text or a list, as --lr <rate> takes it/,
    ],
    ["a word for a switch", "resume: yes please", 2, /resume has to be true or false/],
    ["what is no mapping", "- a\n- b", 2, /options are expected, a line each/],
    ["what is no YAML", "a: [1", 2, /c.yaml: Flow sequence/],
    [
      "many aliases",
      `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefghij"
        .split("")
        .map((l, i) => `${l}: &${l} [${`*${"abcdefghi"[i]},`.repeat(9)}]`)
        .join("\n")}`,
      2,
      /c.yaml: /,
    ],
  ])("with %s is refused in one sentence", async (_, text, exit, message) => {
    const config = await write("c.yaml", text);
    const { status, stderr } = medmamba("train", "--out", "x", "--config", config);
    expect(stderr.replaceAll(`${root}/`, "")).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(status).toBe(exit);
  });

  it("that is not there, a folder or too large is named", async () => {
    expect(medmamba("train", "--out", "x", "--config", "none.yaml")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/none.yaml: there is no such config file/),
    });
    expect(medmamba("train", "--out", "x", "--config", root).stderr).toMatch(
      /is not a file: name a YAML or JSON file/,
    );
    await write("large.yaml", "#".repeat(2 << 20));
    expect(medmamba("train", "--out", "x", "--config", "large.yaml").stderr).toMatch(
      /that is no config file/,
    );
  });
});
