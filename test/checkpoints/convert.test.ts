/** Weights that PyTorch wrote become checkpoints whose logits are PyTorch's. */
import { readFileSync } from "node:fs";
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  ArgumentError,
  convert,
  data,
  initialWeights,
  loadCheckpoint,
  MedMamba,
  noGrad,
  readCheckpoint,
  safetensors,
  tensor,
  tidy,
  variants,
  WeightsError,
} from "../../src/index.js";
import { readPth } from "../../src/weights/pth/read.js";
import { writeTensors } from "../../src/weights/safetensors.js";
import { failure } from "../support/failure.js";
import { fixture } from "../support/repository.js";
import { root, write } from "../support/temporary-folder.js";

const file = (name: string): string => fixture(`pth/${name}.pth`);
const expected = JSON.parse(readFileSync(fixture("pth/expected.json"), "utf8")) as {
  logits: Record<string, number[][]>;
};
const architecture = { depths: [1, 1], dims: [4, 8], dState: 2, patchSize: 4, inChannels: 3, numClasses: 3 };

/** As make_pth.py draws them. */
const images = () =>
  tensor(
    Float32Array.from({ length: 2 * 3 * 16 * 16 }, (_, i) => ((37 * i) % 256) / 255),
    [2, 3, 16, 16],
  );

describe("convert", () => {
  it.each([
    ["plain", []],
    ["training", ["model"]],
    ["parallel", ["state_dict", "module."]],
    ["averaged", ["ema", "module", "_orig_mod."]],
  ])("gives PyTorch's logits from %s.pth", async (name, found) => {
    const output = join(root, `${name}.safetensors`);
    const classes = ["cyst", "mass", "normal"];
    const conversion = await convert(file(name), output, { classes, preprocessing: { imageSize: 16 } });
    expect(conversion).toMatchObject({ path: output, found, alternatives: [], leftOut: [], classes });
    expect(conversion.config).toEqual({ ...architecture, dropPathRate: 0.1 });
    const checkpoint = await loadCheckpoint(output);
    expect(checkpoint.classes).toEqual(classes);
    expect(checkpoint.preprocessing).toEqual(data.definePreprocessing({ imageSize: 16 }));
    expect(checkpoint.provenance).toEqual({
      source: { file: `${name}.pth`, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    const logits = await noGrad(() => tidy(() => checkpoint.model.forward(images()))).data();
    const theirs = expected.logits[name]?.flat() ?? [];
    expect(Math.max(...theirs.map((value, i) => Math.abs(value - (logits[i] ?? NaN))))).toBeLessThan(1e-5);
    expect(Math.max(...theirs.map(Math.abs))).toBeGreaterThan(0.1);
    checkpoint.model.dispose();
  });

  it("gives the golden logits from the golden weights", async () => {
    const golden = await safetensors.load(fixture("model_64.safetensors"));
    const { metadata } = await safetensors.readHeader(fixture("model_64.safetensors"));
    const own = new MedMamba({ depths: [1, 1, 2, 1], dims: [16, 32, 64, 128], numClasses: 5 });
    const names = Object.keys(own.stateDict());
    expect(metadata.num_classes).toBe("5");
    const bare = join(root, "bare.safetensors");
    await safetensors.save(bare, Object.fromEntries(names.map((name) => [name, golden[name]!])));
    const { config, variant } = await convert(bare, join(root, "golden.safetensors"));
    expect(config).toEqual(own.config);
    expect(variant).toBeUndefined();
    const { model, classes } = await loadCheckpoint(join(root, "golden.safetensors"));
    expect(classes).toEqual(["0", "1", "2", "3", "4"]);
    const logits = await noGrad(() => tidy(() => model.forward(golden.images!))).data();
    const theirs = await golden["out.logits"]!.data();
    expect(Math.max(...theirs.map((value, i) => Math.abs(value - (logits[i] ?? NaN))))).toBeLessThan(1e-4);
  });

  it("tells every published variant by its shapes", async () => {
    for (const [name, { depths, dims }] of Object.entries(variants)) {
      const { architectureOf, variantOf } = await import("../../src/models/architecture.js");
      const shapes = new Map<string, number[]>([
        ["patch_embed.proj.weight", [dims[0]!, 1, 4, 4]],
        ["head.weight", [7, dims.at(-1)!]],
      ]);
      for (const [stage, depth] of depths.entries()) {
        for (let block = 0; block < depth; ++block) {
          shapes.set(`layers.${stage}.blocks.${block}.self_attention.A_logs`, [4 * dims[stage]!, 16]);
          shapes.set(`layers.${stage}.blocks.${block}.self_attention.in_proj.weight`, [
            2 * dims[stage]!,
            dims[stage]! / 2,
          ]);
        }
        if (stage < 3)
          shapes.set(`layers.${stage}.downsample.reduction.weight`, [2 * dims[stage]!, 4 * dims[stage]!]);
      }
      const config = architectureOf("x.pth", shapes);
      expect(config).toMatchObject({ depths, dims, numClasses: 7, inChannels: 1, dState: 16, patchSize: 4 });
      expect(variantOf(config)).toBe(name);
    }
  });

  it("makes what a training starts from", async () => {
    const output = join(root, "start.safetensors");
    await convert(file("plain"), output);
    const model = new MedMamba({ ...architecture, numClasses: 2 });
    expect(await initialWeights(output, model)).toEqual({ head: false, classes: 3 });
    expect((await readCheckpoint(output)).classes).toEqual(["0", "1", "2"]);
  });

  it("replaces no file unless asked to, and never its input", async () => {
    const output = await write("there.safetensors", "precious");
    expect(await failure(WeightsError, convert(file("plain"), output))).toBe(
      "/there.safetensors: is there already: name another file, or replace it by --overwrite (in a program, overwrite: true).",
    );
    expect(await failure(WeightsError, convert(file("other"), output, { overwrite: true }))).toMatch(
      /MedMamba/,
    );
    expect(await readFile(output, "utf8")).toBe("precious");
    await convert(file("plain"), output, { overwrite: true });
    expect((await readCheckpoint(output)).config).toMatchObject(architecture);
    const input = join(root, "same.pth");
    await copyFile(file("plain"), input);
    expect(await failure(WeightsError, convert(input, input, { overwrite: true }))).toMatch(
      /is the file to convert/,
    );
    expect(await failure(WeightsError, convert(output, join(root, "again.safetensors")))).toMatch(
      /is a checkpoint of this package already/,
    );
    expect(await failure(WeightsError, convert(file("plain"), join(root, "no/where.safetensors")))).toMatch(
      /no such file or directory/,
    );
  });

  it("says what is missing, odd or other than a MedMamba's", async () => {
    const output = join(root, "no.safetensors");
    expect(await failure(WeightsError, convert(file("other"), output))).toMatch(
      /other\.pth: these are not the weights of a MedMamba: there is no patch_embed\.proj\.weight, but conv1\.weight \(4, 3, 7, 7\), fc\.bias \(2\)\.$/,
    );
    const { tensors } = await readPth(file("plain"));
    const changed = async (change: (copy: typeof tensors) => void) => {
      const copy = new Map(tensors);
      change(copy);
      const path = join(root, "changed.safetensors");
      await writeTensors(path, copy);
      return failure(WeightsError, convert(path, output));
    };
    const block = "layers.1.blocks.0";
    expect(await changed((copy) => copy.delete("head.weight"))).toMatch(/head\.weight is missing/);
    expect(await changed((copy) => copy.delete(`${block}.ln_1.weight`))).toMatch(
      /the weights are of another model: 1 missing \(layers\.1\.blocks\.0\.ln_1\.weight\)/,
    );
    expect(await changed((copy) => copy.set("layers.0.extra", tensors.get("head.bias")!))).toMatch(
      /1 unexpected \(layers\.0\.extra\)/,
    );
    expect(await changed((copy) => copy.set("head.weight", tensors.get("patch_embed.proj.weight")!))).toMatch(
      /head\.weight is \(4, 3, 4, 4\)/,
    );
    expect(await changed((copy) => copy.delete(`${block}.self_attention.in_proj.weight`))).toMatch(
      /in_proj\.weight is missing, where \(16, 4\) is described/,
    );
    const bias = { dtype: "float32", shape: [3] } as const;
    const nan = new Uint8Array(Float32Array.of(0, NaN, 1).buffer);
    expect(await changed((copy) => copy.set("head.bias", { ...bias, data: nan }))).toMatch(
      /"head\.bias" holds NaN: these weights are damaged/,
    );
    const complex = { dtype: "complex64", shape: [3], data: new Uint8Array(24) } as const;
    expect(await changed((copy) => copy.set("head.bias", complex))).toMatch(
      /"head\.bias" is of complex64, which no network here computes with: save it as float32/,
    );
    const wrong = (options: object) => failure(ArgumentError, convert(file("plain"), output, options));
    expect(await wrong({ classes: ["a", "b"] })).toMatch(
      /2 classes are named, but the network has 3 outputs/,
    );
    expect(await wrong({ classes: ["a", "b", "a"] })).toMatch(/names one class twice/);
    expect(await wrong({ preprocessing: { std: [0, 1, 1] } })).toMatch(/std .* must be positive/);
    expect(await wrong({ imageSize: 3 })).toMatch(/imageSize/);
  });

  it("names what it leaves out", async () => {
    const averaged = await readPth(file("averaged"));
    const others = new Map([
      ...averaged.tensors,
      ["n_averaged", averaged.tensors.get("_orig_mod.head.bias")!],
    ]);
    const input = join(root, "swa.safetensors");
    await writeTensors(input, others);
    const { leftOut, found } = await convert(input, join(root, "swa-out.safetensors"));
    expect({ leftOut, found }).toEqual({ leftOut: ["n_averaged"], found: ["_orig_mod."] });
  });
});
