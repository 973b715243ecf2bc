/** MedMamba as a module: its settings, sizes, names, what it refuses. Its numbers are in golden.test.ts. */
import { describe, expect, it } from "vitest";
import { ArgumentError, ShapeError } from "../../src/errors.js";
import {
  MedMamba,
  type MedMambaOptions,
  manualSeed,
  noGrad,
  randn,
  tidy,
  type Variant,
} from "../../src/index.js";
import { medMambaConfig } from "../../src/models/config.js";
import { expectSameBits } from "../support/closeness.js";
import { tinyModel } from "../support/sides.js";

describe("settings", () => {
  it("have defaults, and single ones override a variant", () => {
    expect(medMambaConfig()).toEqual({
      depths: [2, 2, 4, 2],
      dims: [96, 192, 384, 768],
      dState: 16,
      patchSize: 4,
      inChannels: 3,
      numClasses: 6,
      dropPathRate: 0.1,
    });
    const config = medMambaConfig({
      variant: "base",
      depths: [1, 2, 3, 4],
      numClasses: undefined,
      device: "cpu",
    });
    expect(config).toMatchObject({ depths: [1, 2, 3, 4], dims: [128, 256, 512, 1024], numClasses: 6 });
  });

  it.each<[MedMambaOptions, string]>([
    [
      { variant: "huge" as Variant },
      'there is no variant "huge": choose from tiny, small, base, small-paper, base-paper.',
    ],
    [{ numClasses: 0 }, "numClasses 0 is not a positive integer."],
    [{ dState: 1.5 }, "dState 1.5 is not a positive integer."],
    [{ patchSize: -4 }, "patchSize -4 is not a positive integer."],
    [{ depths: [1, 1] }, "depths [1,1] and dims [96,192,384,768] need one entry for each stage."],
    [{ depths: [1, 1, -1, 1] }, "depths [1,1,-1,1] are not non-negative integers."],
    [
      { dims: [96, 192, 384, 700] },
      "dims [96,192,384,700] must be even, each twice the one before: patch merging doubles them.",
    ],
    [
      { depths: [1], dims: [15] },
      "dims [15] must be even, each twice the one before: patch merging doubles them.",
    ],
    [{ dropPathRate: 1 }, "dropPathRate 1 is not in [0, 1)."],
  ])("%o is refused", (options, message) => {
    expect(() => new MedMamba(options)).toThrow(expect.objectContaining({ message }));
    expect(() => new MedMamba(options)).toThrow(ArgumentError);
  });
});

describe("a model", () => {
  // Of the published tables; the code that was released builds "small" and "base" less deep.
  it.each<[Variant, number]>([
    ["tiny", 14.5],
    ["small-paper", 22.8],
    ["base-paper", 47.1],
  ])("%s has as many parameters as published", (variant, millions) => {
    const model = new MedMamba({ variant });
    expect(Math.round(model.parameterCount / 1e5) / 10).toBe(millions);
    model.dispose();
  });

  it("starts with the weights of its seed, in a stable order", async () => {
    const [a, b, other] = [tinyModel({ seed: 4 }), tinyModel({ seed: 4 }), tinyModel({ seed: 5 })];
    const names = (model: MedMamba) => [...model.namedParameters()].map(([name]) => name);
    expect(names(a)).toEqual(names(b));
    for (const [name, weight] of Object.entries(a.stateDict()))
      await expectSameBits(weight, b.stateDict()[name]!, name);
    const [mine, theirs] = [a, other].map((model) => model.stateDict()["head.weight"]!);
    expect(await mine!.data()).not.toEqual(await theirs!.data());
  });

  it("takes images of any size from its smallest on, and gives logits and features", async () => {
    const model = tinyModel().eval();
    for (const [height, width] of [
      [32, 32],
      [47, 70],
    ] as const) {
      noGrad(() =>
        tidy(() => {
          const images = randn([2, 1, height, width]);
          expect(model.forward(images).shape).toEqual([2, 2]);
          expect(model.features(images).shape).toEqual([
            2,
            Math.floor(height / 32),
            Math.floor(width / 32),
            128,
          ]);
        }),
      );
    }
    expect(() => model.forward(randn([2, 1, 31, 64]))).toThrow(
      "MedMamba: images of 31 x 64 are too small; this model needs 32 x 32.",
    );
    expect(() => model.forward(randn([2, 3, 64, 64]))).toThrow(ShapeError);
    expect(() => model.forward(randn([1, 64, 64]))).toThrow(
      "MedMamba: images are (1, 64, 64), but (batch, 1, height, width) is needed.",
    );
  });

  it("in training mode draws paths by the seed, in evaluation mode none", async () => {
    const model = tinyModel({ dropPathRate: 0.5 });
    const images = randn([8, 1, 32, 32]);
    const logits = (seed: number) => {
      manualSeed(seed);
      return noGrad(() => tidy(() => model.forward(images))).data();
    };
    expect(await logits(1)).toEqual(await logits(1));
    expect(await logits(2)).not.toEqual(await logits(1));
    model.eval();
    expect(await logits(2)).toEqual(await logits(1));
    expect([...model.modules()].every(({ training }) => !training)).toBe(true);
  });

  it("gives its memory back", () => {
    const model = tinyModel();
    const before = model.device.memory().tensors;
    const count = Object.keys(model.stateDict()).length;
    model.dispose();
    model.dispose();
    expect(model.device.memory().tensors).toBe(before - count);
    expect(() => model.forward(randn([1, 1, 32, 32]))).toThrow(/used after dispose/);
  });
});
