/** Tables of settings: defaults, checks, unknown names, and the flags that come from the rows. */
import { describe, expect, it } from "vitest";
import {
  ArgumentError,
  data,
  evaluate,
  type FitOptions,
  fit as fitModel,
  MedMamba,
  trainingSettings,
} from "../../src/index.js";
import { modelRows } from "../../src/models/config.js";
import { flagName, flagsOf } from "../../src/settings/flags.js";
import { count, numbers, oneOf, toggle } from "../../src/settings/kind.js";
import { nearest } from "../../src/settings/nearest.js";
import { complete, setting } from "../../src/settings/table.js";
import { planRun, runFlags, settingTables } from "../../src/study/run-plan.js";
import { trainingRows } from "../../src/training/settings.js";
import { failure } from "../support/failure.js";
import { quickly, sides, tinyModel } from "../support/sides.js";

describe("a table", () => {
  const rows = {
    size: setting({ kind: count, default: 8, words: "of it", flag: "--size <count>" }),
    twice: setting({ kind: count, default: ({ size }) => 2 * Number(size), words: "twice that" }),
    colour: setting({
      kind: oneOf(["red", "blue"]),
      default: "red",
      words: "of it",
      parts: [{ flag: "--no-red", kind: toggle, words: "make it blue", apply: () => "blue" as const }],
    }),
  };

  it("fills in defaults, also such as depend on what is given", () => {
    expect(complete("test", rows, {})).toEqual({ size: 8, twice: 16, colour: "red" });
    expect(complete("test", rows, { size: 3 })).toEqual({ size: 3, twice: 6, colour: "red" });
    expect(complete("test", rows, JSON.parse('{"size": null}'))).toEqual({
      size: 8,
      twice: 16,
      colour: "red",
    });
  });

  it("refuses values that are not of a setting's kind", () => {
    const wrong = (values: object) => () => complete("test", rows, values as never);
    expect(wrong({ size: "8" })).toThrow('test: size "8" must be a positive integer.');
    expect(wrong({ colour: "green" })).toThrow('test: colour "green" must be red or blue.');
    expect(wrong({ size: Number.POSITIVE_INFINITY })).toThrow(ArgumentError);
    expect(wrong({ size: [8] })).toThrow("test: size [8] must be");
  });

  it("gives flags, with the defaults in their help", () => {
    const flags = flagsOf(rows);
    expect(flags.map(({ flag, words }) => [flag, words])).toEqual([
      ["--size <count>", "of it (default: 8)"],
      ["--no-red", "make it blue"],
    ]);
    expect(flags[0]!.change({ size: 8 }, 9)).toEqual({ size: 9 });
    expect(flags[1]!.change({}, false)).toEqual({ colour: "blue" });
  });

  it("reads numbers as people write them, and nothing else as numbers", () => {
    const list = numbers("numbers", "numbers", () => true);
    expect(list.parse("1, 2.5,-3e2")).toEqual([1, 2.5, -300]);
    for (const text of ["", " ", "1,,2", "one", "Infinity", "0x"]) {
      const values = list.parse(text) ?? [];
      expect(values.some(Number.isNaN)).toBe(true);
      expect(count.holds(count.parse(text), {})).toBe(false);
    }
  });
});

describe("unknown names are refused with the nearest one", () => {
  it.each<[string, () => unknown, RegExp]>([
    [
      "in settings",
      () => trainingSettings({ learningRate: 1 } as object),
      /^training: learningRate is no setting; did you mean lr\?$/,
    ],
    ["in another spelling", () => trainingSettings({ batch_size: 1 } as object), /did you mean batchSize\?/],
    ["as others call it", () => trainingSettings({ ema: 0.9 } as object), /did you mean averageDecay\?/],
    [
      "that is like none",
      () => trainingSettings({ warp: 1 } as object),
      /warp is no setting; settings are epochs, batchSize,/,
    ],
    [
      "of a model",
      () => new MedMamba({ numclasses: 2 } as object),
      /^MedMamba: numclasses is no setting; did you mean numClasses\?$/,
    ],
    [
      "of preprocessing",
      () => data.definePreprocessing({ imgSize: 64 } as object),
      /did you mean imageSize\?/,
    ],
    [
      "of augmentation",
      () => trainingSettings({ augmentation: { ...data.augmentations.none, rotaton: 3 } as never }),
      /rotaton is no setting; did you mean rotation\?/,
    ],
    ["of a run", () => planRun({ data: "x", patchsize: 4 }), /did you mean patchSize\?/],
  ])("%s", (_, make, message) => {
    expect(make).toThrow(message);
    expect(make).toThrow(ArgumentError);
  });

  it("of fit, whose options are more than settings", async () => {
    const options = { ...quickly, train: sides(8, 1), onprogress: () => {} } as unknown as FitOptions;
    expect(await failure(ArgumentError, fitModel(tinyModel(), options))).toBe(
      "fit: onprogress is no setting; did you mean onProgress?",
    );
  });

  it("of evaluate and fromArrays", async () => {
    const options = { batchsize: 2 } as object;
    expect(await failure(ArgumentError, evaluate(tinyModel(), sides(2, 1), options))).toBe(
      "evaluate: batchsize is no setting; did you mean batchSize?",
    );
    const arrays = { images: new Uint8Array(4), shape: [1, 2, 2], labels: [0], weight: [1] };
    expect(() => data.fromArrays(arrays)).toThrow(/weight is no setting; did you mean weights\?/);
  });

  it("but what is undefined is not there", () => {
    expect(trainingSettings({ warp: undefined } as object)).toEqual(trainingSettings());
  });
});

describe("missing parts", () => {
  it("of an augmentation are named", () => {
    expect(() => trainingSettings({ augmentation: { rotation: 5 } as never })).toThrow(
      /augmentation: scale, aspect, .* missing/,
    );
  });
});

describe("every setting of a run", () => {
  it("has a name and a flag of its own, and help", () => {
    const flags = Object.values(runFlags).flat();
    const names = flags.map(({ flag }) => flagName(flag));
    expect(new Set(names).size).toBe(names.length);
    for (const { words } of flags) expect(words.length).toBeGreaterThan(3);
    const aliases = Object.values(settingTables).flatMap(({ alsoKnownAs = [] }) => alsoKnownAs);
    expect(new Set(aliases).size).toBe(aliases.length);
    for (const alias of aliases) expect(Object.keys(settingTables)).not.toContain(alias);
  });

  it("has a default that its own check lets pass", () => {
    expect(complete("model", modelRows, {}).depths).toEqual([2, 2, 4, 2]);
    expect(complete("training", trainingRows, {})).toEqual(trainingSettings());
  });
});

describe("nearest", () => {
  it.each([
    ["BATCHSIZE", "batchSize"],
    ["batch-size", "batchSize"],
    ["bathcSize", "batchSize"],
    ["x", undefined],
    ["somethingElse", undefined],
  ])("%s is %s", (name, expected) => {
    expect(nearest(name, ["epochs", "batchSize", "weightDecay"])).toBe(expected);
  });
});

describe("flags of augmentation", () => {
  it("change one thing each, over what is named", () => {
    const planned = (options: object) => planRun({ data: "x", ...options }).settings.augmentation;
    const { standard, none } = data.augmentations;
    expect(planned({})).toEqual(standard);
    expect(planned({ augmentation: "none", brightness: 0.3 })).toEqual({ ...none, brightness: 0.3 });
    expect(planned({ contrast: 0, translation: 0.1, verticalFlip: 0.5, stretch: 1 })).toEqual({
      ...standard,
      contrast: 0,
      translation: 0.1,
      verticalFlip: 0.5,
      aspect: [1, 1],
    });
    expect(planned({ flip: false })).toMatchObject({ horizontalFlip: 0, verticalFlip: 0, rotation: 5 });
    expect(planned({ flip: true })).toEqual(standard);
  });
});
