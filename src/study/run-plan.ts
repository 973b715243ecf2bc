/**
 * Everything that decides the outcome of a training run, resolved from flags and defaults: plain JSON, kept as `run.json` in
 * the run's folder, so that `--resume` needs no flag repeated and can tell which one contradicts.
 *
 * A plan has sections, each with a table of settings; what flags there are follows from the tables.
 */
import { resolve } from "node:path";
import { cacheRows } from "../data/cache-choice.js";
import { limitRows, type ReadingLimits } from "../data/decoding/limits.js";
import { definePreprocessing, type Preprocessing, preprocessingRows } from "../data/preprocessing.js";
import { type Opening, openingRows } from "../data/sources/opening.js";
import type { SplitOptions } from "../data/splitting/stratified.js";
import { ArgumentError } from "../errors.js";
import { type MedMambaConfig, medMambaConfig, modelRows, variantFlag } from "../models/config.js";
import { type Flag, flagName, flagsOf, isNegative } from "../settings/flags.js";
import { countOrZero, fraction, numbers, type Settings, toggle } from "../settings/kind.js";
import { unknownName } from "../settings/nearest.js";
import { complete, type Rows, setting, type ValuesOf } from "../settings/table.js";
import type { Extension } from "../training/resumption.js";
import {
  type ExecutionSettings,
  executionRows,
  type TrainingSettings,
  trainingRows,
  trainingSettings,
} from "../training/settings.js";

/** What a command line or a program says about a run, by the names of flags ("batchSize"); undefined where it says nothing. */
export interface RunOptions {
  /** Path of the data set. */
  readonly data?: string | undefined;
  /** Path of weights to start from. */
  readonly init?: string | undefined;
  readonly [flag: string]: unknown;
}

/** What is done about images and patients that stand in two splits. */
const leakRows = {
  /** Train although a patient has images in two splits, and on images that are also validated or tested on. */
  allowLeaks: setting({
    kind: toggle,
    default: false,
    flag: "--allow-leaks",
    words: "train although patients or images are in two parts of the data",
  }),
};

/** A run, settled. */
export interface RunPlan extends ExecutionSettings, Readonly<ValuesOf<typeof leakRows>> {
  /** Absolute path of the data set. */
  readonly data: string;
  /** Absolute path of the weights to start from. */
  readonly init?: string | undefined;
  /** Without what the data set decides. */
  readonly model: Omit<MedMambaConfig, "numClasses" | "inChannels">;
  readonly preprocessing: Preprocessing;
  /** What the labels of the data set are, and which images it has. */
  readonly opening: Opening;
  /** How images are divided that the data set does not divide itself. */
  readonly split: SplitOptions;
  readonly settings: TrainingSettings;
  /** What bounds the reading of images. */
  readonly limits: ReadingLimits;
  /** Where the run was when its epochs were changed; only a run with the same changes has the same bits. */
  readonly extensions?: readonly Extension[] | undefined;
}

/** The division does not follow the training's seed, so that runs of other seeds are tested on the same images. */
const splitRows = {
  validationFraction: setting({ kind: fraction, default: 0.15, words: "part of the images to validate on" }),
  testFraction: setting({ kind: fraction, default: 0.15, words: "part of the images to test on" }),
  seed: setting({ kind: countOrZero, default: 0, words: "of the division" }),
  keepTogether: setting({ kind: toggle, default: true, words: "images of a patient in one part" }),
};

/** Shares of a division, in percent. */
export const splitFlag: Flag = {
  flag: "--split <percentages>",
  words: "train, val, test of a data set that is not divided (default: 70,15,15)",
  kind: numbers(
    "three percentages that add up to 100",
    "three percentages that add up to 100, such as 70,15,15",
    (values) =>
      values.length === 3 &&
      values.every((value) => value >= 0) &&
      Math.abs(values.reduce((total, value) => total + value, 0) - 100) < 1e-9,
  ),
  change: (settings, percentages) => {
    const [, validation = 0, test = 0] = percentages as readonly number[];
    return { ...settings, validationFraction: validation / 100, testFraction: test / 100 };
  },
};

/** Statistics belong to channels: other channels start from the defaults again. */
const preprocessingFlags = flagsOf(preprocessingRows).map((flag): Flag => {
  if (flagName(flag.flag) !== "channels") return flag;
  const change = (settings: Settings, channels: unknown) =>
    settings.channels === channels ? settings : { ...settings, channels, mean: undefined, std: undefined };
  return { ...flag, change };
});

/** Every setting that a run has. */
export const settingTables: Rows = {
  ...modelRows,
  ...preprocessingRows,
  ...openingRows,
  ...cacheRows,
  ...leakRows,
  ...trainingRows,
  ...executionRows,
  ...limitRows,
};

/** Flags by the section of the plan that they change. */
export const runFlags = {
  model: [variantFlag, ...flagsOf(modelRows)],
  preprocessing: preprocessingFlags,
  opening: flagsOf(openingRows),
  split: [splitFlag],
  leaks: flagsOf(leakRows),
  limits: flagsOf(limitRows),
  settings: flagsOf(trainingRows),
  execution: flagsOf(executionRows),
} as const satisfies Record<string, readonly Flag[]>;

/**
 * The plan that options make, over the plan of an earlier run, or a part of one, if there is one.
 *
 * @throws ArgumentError naming what cannot be, and the nearest flag to one that there is not
 */
export function planRun(options: RunOptions, base?: Partial<RunPlan>): RunPlan {
  const { data: givenData, init: givenInit, ...flags } = options;
  expectKnownFlags(flags);
  const data = givenData === undefined ? base?.data : resolve(givenData);
  if (data === undefined)
    throw new ArgumentError("option --data is missing: which images should be learned?");
  const init = givenInit === undefined ? base?.init : resolve(givenInit);
  const section = (name: keyof typeof runFlags, before: object = {}): Settings => {
    const own: readonly Flag[] = runFlags[name];
    return own.reduce<Settings>((settings, flag) => changed(settings, flag, flags), before as Settings);
  };
  const { numClasses: _, inChannels: __, ...model } = medMambaConfig(section("model", base?.model));
  const preprocessing = definePreprocessing(section("preprocessing", base?.preprocessing));
  const smallest = model.patchSize * 2 ** (model.dims.length - 1);
  if (preprocessing.imageSize < smallest) {
    throw new ArgumentError(
      `--image-size ${preprocessing.imageSize} is too small for this model: it needs ${smallest} or more.`,
    );
  }
  return {
    data,
    ...(init !== undefined && { init }),
    model,
    preprocessing,
    opening: complete("opening", openingRows, section("opening", base?.opening)),
    split: complete("split", splitRows, section("split", base?.split)),
    settings: trainingSettings(section("settings", base?.settings)),
    limits: complete("limits", limitRows, section("limits", base?.limits)),
    ...complete("run", leakRows, section("leaks", base && { allowLeaks: base.allowLeaks })),
    ...complete("run", executionRows, section("execution", base && executionOf(base))),
    ...(base?.extensions && { extensions: base.extensions }),
  };
}

/** The flags, as they are written, that would make another run of this plan. */
export function contradictions({ data, init, ...flags }: RunOptions, plan: RunPlan): string[] {
  const before = JSON.stringify(plan);
  const differs = (option: RunOptions) => JSON.stringify(planRun(option, plan)) !== before;
  const paths = Object.entries({ data, init }).filter(
    ([name, value]) => value !== undefined && differs({ [name]: value }),
  );
  const differing = Object.values(runFlags)
    .flat()
    .filter((flag) => isGiven(flag, flags) && differs({ [flagName(flag.flag)]: flags[flagName(flag.flag)] }));
  return [
    ...paths.map(([name, value]) => `--${name} ${value}`),
    ...differing.map(({ flag }) => {
      const [long] = flag.split(" ");
      return flag.includes("<") ? `${long} ${String(flags[flagName(flag)])}` : `${long}`;
    }),
  ];
}

function changed(settings: Settings, flag: Flag, flags: Settings): Settings {
  return isGiven(flag, flags) ? flag.change(settings, flags[flagName(flag.flag)]) : settings;
}

/** A flag that only takes away says nothing where it is not false. */
function isGiven({ flag }: Flag, flags: Settings): boolean {
  const value = flags[flagName(flag)];
  return isNegative(flag) ? value === false : value !== undefined;
}

function expectKnownFlags(flags: Settings): void {
  const known = Object.values(runFlags)
    .flat()
    .map(({ flag }) => flagName(flag));
  for (const [name, value] of Object.entries(flags)) {
    if (value !== undefined && !known.includes(name))
      throw new ArgumentError(`run: ${unknownName(name, ["data", "init", ...known])}`);
  }
}

function executionOf(plan: Partial<RunPlan>): Partial<ExecutionSettings> {
  const names = Object.keys(executionRows) as (keyof ExecutionSettings)[];
  return Object.fromEntries(names.map((name) => [name, plan[name]]));
}
