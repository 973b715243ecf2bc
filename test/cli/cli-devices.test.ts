/** Devices and precisions on the command line: what is said, what is remembered, what is refused. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { writeDemoDataset } from "../../src/data/index.js";
import { devices } from "../../src/index.js";
import { cudaLibrary } from "../../src/native/cuda-library.js";
import { hasEmulatedCuda } from "../support/backends.js";
import { program } from "../support/repository.js";
import { root } from "../support/temporary-folder.js";

const hasGpu = devices().some(({ name, usable }) => name !== "cpu" && usable);

function medmamba(...args: string[]) {
  const options = { cwd: root, encoding: "utf8", timeout: 120_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], options);
  return { status, stdout, stderr };
}

const tiny = ["--dims", "8,16", "--depths", "1,1", "--image-size", "16", "--channels", "1"];
const train = ["train", "--data", "scans", ...tiny, "--epochs", "1", "--batch-size", "8"];

beforeAll(() => writeDemoDataset(join(root, "scans"), { size: 16, perClass: { train: 4, val: 2, test: 2 } }));

describe.skipIf(hasGpu)("a machine without a GPU", () => {
  it("computes on the CPU with --device auto, says so once and why, and does nothing else", () => {
    const [auto, cpu] = ["auto", "cpu"].map((device) =>
      medmamba(...train, "--out", device, "--device", device, "--json"),
    );
    expect([auto!.status, cpu!.status]).toEqual([0, 0]);
    expect(
      auto!.stderr.match(
        /^note: computing on the CPU, because (no NVIDIA driver|the NVIDIA driver|there is no CUDA library).*\.$/gm,
      ),
    ).toHaveLength(1);
    expect(cpu!.stderr).not.toContain("note:");
    // Not again above everything that is done with what was trained.
    const evaluate = ["evaluate", "--checkpoint", "auto/best.safetensors", "--data", "scans"];
    const predict = ["predict", "--checkpoint", "auto/best.safetensors", "scans/test/cyst/cyst-0000.png"];
    for (const command of [evaluate, predict]) expect(medmamba(...command).stderr).toBe("");
    expect(medmamba(...predict, "--verbose").stderr).toMatch(/^note: computing on the CPU, because /);
    const losses = ({ stdout }: { stdout: string }) =>
      JSON.parse(stdout).history.map((record: { trainLoss: number }) => record.trainLoss);
    expect(losses(auto!)).toEqual(losses(cpu!));
  });

  it("fails with --device cuda: with the reason, and how to come by one", () => {
    const { status, stdout, stderr } = medmamba(...train, "--out", "gpu", "--device", "cuda", "--json");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^medmamba: device "cuda" is not usable: /);
    const missing = existsSync(cudaLibrary())
      ? /driver [\d.]+ or newer|no GPU|kernel module/
      : /npm run build:cuda/;
    expect(stderr).toMatch(missing);
    expect(existsSync(join(root, "gpu"))).toBe(false);
  });
});

describe("a precision", () => {
  it("is one of three, and one that the device has", () => {
    const unknown = medmamba("doctor", "--precision", "fp8");
    expect(unknown.status).toBe(2);
    expect(unknown.stderr).toContain("Allowed choices are float32, tf32, bf16");
    const lacking = medmamba(...train, "--out", "none", "--device", "cpu", "--precision", "tf32");
    expect({ status: lacking.status, stdout: lacking.stdout }).toEqual({ status: 1, stdout: "" });
    expect(lacking.stderr).toMatch(/^medmamba: device "cpu" cannot be used as asked: the CPU has .*"tf32"/);
  });
});

describe.skipIf(!hasEmulatedCuda())("the emulated GPU, which --help does not mention", () => {
  const onGpu = ["--device", "cuda-emulated"];

  it("is trained on in bf16 unless told otherwise, which is said and remembered", () => {
    const run = medmamba(...train, ...onGpu, "--out", "half");
    expect({ status: run.status, stderr: run.stderr }).toEqual({ status: 0, stderr: "" });
    expect(run.stdout.match(/^Precision bf16, the default on a GPU; .*$/gm)).toHaveLength(1);
    expect(JSON.parse(readFileSync(join(root, "half/run.json"), "utf8")).settings.precision).toBe("bf16");
    const contradiction = medmamba("train", "--out", "half", "--resume", ...onGpu, "--precision", "float32");
    expect(contradiction.status).toBe(2);
    expect(contradiction.stderr).toContain("other settings than --precision float32");
    const resumed = medmamba("train", "--out", "half", "--resume", ...onGpu);
    expect(resumed.status).toBe(0);
    expect(resumed.stdout).toMatch(/^Precision bf16$/m);
  });

  it("is trained on in float32 when told", () => {
    const run = medmamba(...train, ...onGpu, "--out", "whole", "--precision", "float32");
    expect(run.status).toBe(0);
    expect(run.stdout).not.toContain("Precision");
    expect(JSON.parse(readFileSync(join(root, "whole/run.json"), "utf8")).settings.precision).toBe("float32");
  });

  it("evaluates and predicts close to the CPU, in any precision", () => {
    const checkpoint = ["--checkpoint", "whole/best.safetensors", "--json"];
    const loss = (...options: string[]) => {
      const { status, stdout } = medmamba("evaluate", ...checkpoint, "--data", "scans", ...options);
      expect(status).toBe(0);
      return JSON.parse(stdout).crossEntropy as number;
    };
    const expected = loss("--device", "cpu");
    expect(loss(...onGpu)).toBeCloseTo(expected, 5);
    expect(loss(...onGpu, "--precision", "bf16")).toBeCloseTo(expected, 1);
    const image = "scans/test/cyst/cyst-0000.png";
    const predicted = medmamba("predict", ...checkpoint, ...onGpu, "--precision", "tf32", image);
    expect(predicted.status).toBe(0);
    expect(JSON.parse(predicted.stdout).predictions).toHaveLength(1);
  });

  it.each(["float32", "tf32", "bf16"])("is checked by doctor in %s", (precision) => {
    const { status, stdout } = medmamba("doctor", ...onGpu, "--precision", precision, "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, device: { name: "cuda-emulated:0", precision } });
  });

  it("is not in --help", () => {
    expect(medmamba("train", "--help").stdout).not.toContain("emulated");
  });
});
