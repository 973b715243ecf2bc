/**
 * Everything that decides the outcome of a training run, resolved from options and defaults: plain JSON, kept as
 * `run.json` in the run's folder, so that `--resume` needs no option repeated and can tell which one contradicts.
 */
import { resolve } from "node:path";
import { asUsage, UsageError } from "../cli/console/failure.js";
import { defined } from "../cli/console/options.js";
import { augmentations } from "../data/augmentation.js";
import { definePreprocessing, type Preprocessing, type Resize, type SplitOptions } from "../data/index.js";
import { type MedMambaConfig, medMambaConfig, type Variant, variants } from "../models/medmamba.js";
import type { Precision } from "../tensor/device.js";
import { type Monitor, type TrainingSettings, trainingSettings } from "../training/settings.js";

/** What the command line can say about a run; undefined where it says nothing. */
export interface RunOptions {
  data?: string;
  init?: string;
  variant?: Variant;
  depths?: number[];
  dims?: number[];
  dState?: number;
  patchSize?: number;
  dropPath?: number;
  imageSize?: number;
  channels?: 1 | 3;
  resize?: Resize;
  mean?: number[];
  std?: number[];
  /** Percent for train, val and test. */
  split?: readonly number[];
  epochs?: number;
  batchSize?: number;
  lr?: number;
  warmupEpochs?: number;
  schedule?: TrainingSettings["schedule"];
  weightDecay?: number;
  labelSmoothing?: number;
  classWeights?: TrainingSettings["classWeights"];
  augmentation?: keyof typeof augmentations;
  rotation?: number;
  /** `--no-flip` makes it false; true says nothing. */
  flip?: boolean;
  cropScale?: number;
  averageDecay?: number;
  maxGradNorm?: number;
  monitor?: Monitor;
  patience?: number;
  seed?: number;
  precision?: Precision;
  saveEvery?: number;
  checkpointing?: boolean;
  graphs?: boolean;
}

export interface RunPlan {
  /** Absolute path of the data set. */
  readonly data: string;
  /** Absolute path of the weights to start from. */
  readonly init?: string | undefined;
  /** Without what the data set decides. */
  readonly model: Omit<MedMambaConfig, "numClasses" | "inChannels">;
  readonly preprocessing: Preprocessing;
  /** How images are divided that the data set does not divide itself. */
  readonly split: SplitOptions;
  readonly settings: TrainingSettings;
  readonly saveEvery: number;
  readonly checkpointing: boolean;
  readonly graphs: boolean;
}

/**
 * The plan that options make, over the plan of an earlier run if there is one.
 *
 * @throws UsageError naming what cannot be
 */
export function planRun(options: RunOptions, base?: RunPlan): RunPlan {
  const data = options.data === undefined ? base?.data : resolve(options.data);
  if (data === undefined) throw new UsageError("option --data is missing: which images should be learned?");
  const init = options.init === undefined ? base?.init : resolve(options.init);
  return asUsage(() => {
    const model = planModel(options, base?.model);
    const preprocessing = planPreprocessing(options, base?.preprocessing);
    const smallest = model.patchSize * 2 ** (model.dims.length - 1);
    if (preprocessing.imageSize < smallest) {
      throw new UsageError(
        `--image-size ${preprocessing.imageSize} is too small for this model: it needs ${smallest} or more.`,
      );
    }
    const settings = planSettings(options, base?.settings);
    return {
      data,
      ...(init !== undefined && { init }),
      model,
      preprocessing,
      split: options.split ? planSplit(options.split) : (base?.split ?? planSplit([70, 15, 15])),
      settings,
      saveEvery: options.saveEvery ?? base?.saveEvery ?? 0,
      checkpointing: options.checkpointing ?? base?.checkpointing ?? false,
      graphs: options.graphs ?? base?.graphs ?? false,
    };
  });
}

/** The options, as they are written, that would make another run of this plan. */
export function contradictions(options: RunOptions, plan: RunPlan): string[] {
  const given = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !(name === "flip" && value),
  );
  const before = JSON.stringify(plan);
  const differing = given.filter(
    ([name, value]) => JSON.stringify(planRun({ [name]: value }, plan)) !== before,
  );
  return differing.map(([name, value]) =>
    name === "flip" ? "--no-flip" : `--${hyphenated(name)} ${String(value)}`,
  );
}

function planModel(options: RunOptions, base?: RunPlan["model"]): RunPlan["model"] {
  const { variant, depths, dims, dState, patchSize, dropPath: dropPathRate } = options;
  const named = variant && variants[variant];
  const {
    numClasses: _,
    inChannels: __,
    ...model
  } = medMambaConfig({
    ...base,
    ...named,
    ...defined({ depths, dims, dState, patchSize, dropPathRate }),
  });
  return model;
}

function planPreprocessing(options: RunOptions, base?: Preprocessing): Preprocessing {
  const { imageSize, channels, resize, mean, std } = options;
  // Statistics belong to channels: other channels start from the defaults again.
  const kept =
    base && channels !== undefined && channels !== base.channels ? { mean: undefined, std: undefined } : {};
  return definePreprocessing({
    ...defined({ ...base, ...kept }),
    ...defined({ imageSize, channels, resize, mean, std }),
  });
}

/** The division does not follow the training's seed, so that runs of other seeds are tested on the same images. */
function planSplit([, validation = 0, test = 0]: readonly number[]): SplitOptions {
  return { validationFraction: validation / 100, testFraction: test / 100, seed: 0 };
}

function planSettings(options: RunOptions, base?: TrainingSettings): TrainingSettings {
  const { epochs, batchSize, lr, warmupEpochs, schedule, weightDecay, labelSmoothing, classWeights } =
    options;
  const { averageDecay, maxGradNorm, monitor, patience, seed, precision } = options;
  const { augmentation: named, rotation, flip = true, cropScale } = options;
  const augmentation = {
    ...(named ? augmentations[named] : (base?.augmentation ?? augmentations.standard)),
    ...defined({ rotation, scale: cropScale === undefined ? undefined : ([cropScale, 1] as const) }),
    ...(flip ? {} : { horizontalFlip: 0, verticalFlip: 0 }),
  };
  const rates = { epochs, batchSize, lr, warmupEpochs, schedule, weightDecay, labelSmoothing, classWeights };
  return trainingSettings({
    ...base,
    ...defined({ ...rates, averageDecay, maxGradNorm, monitor, patience, seed, precision }),
    augmentation,
  });
}

const hyphenated = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
