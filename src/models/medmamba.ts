/** MedMamba: the Vision Mamba for medical image classification (arXiv 2403.03849). */
import { ArgumentError, ShapeError } from "../errors.js";
import { Linear, ModuleList } from "../nn/layers.js";
import { Module } from "../nn/module.js";
import { PatchEmbed, PatchMerging } from "../nn/patches.js";
import { SSConvSSM } from "../nn/ss-conv-ssm.js";
import { globalAveragePool } from "../ops/reduction.js";
import { softmax } from "../ops/softmax.js";
import { type Device, type DeviceLike, type Precision, resolveDevice } from "../tensor/device.js";
import { GraphedFunction } from "../tensor/graphed-function.js";
import { tidy } from "../tensor/scope.js";
import { noGrad } from "../tensor/tape.js";
import type { Tensor } from "../tensor/tensor.js";

/** Architecture of one MedMamba: plain JSON, kept in checkpoints. */
export interface MedMambaConfig {
  /** Blocks of each stage. */
  depths: readonly number[];
  /** Channels of each stage: even, each twice the one before. */
  dims: readonly number[];
  /** States of each channel of the scan. */
  dState: number;
  /** Side of the square patches, in pixels. */
  patchSize: number;
  /** Channels of the images. */
  inChannels: number;
  /** Outputs of the network. */
  numClasses: number;
  /** DropPath rate of the last block; it grows linearly from 0 at the first. */
  dropPathRate: number;
}

/** Name of a variant. */
export type Variant = "tiny" | "small" | "base" | "small-paper" | "base-paper";

/**
 * Depths and dims by name. Released code and published tables disagree about the depth of S and B: "small" and
 * "base" are what the code builds, "small-paper" and "base-paper" reproduce the published parameter counts.
 */
export const variants: Readonly<Record<Variant, Pick<MedMambaConfig, "depths" | "dims">>> = {
  tiny: { depths: [2, 2, 4, 2], dims: [96, 192, 384, 768] },
  small: { depths: [2, 2, 8, 2], dims: [96, 192, 384, 768] },
  base: { depths: [2, 2, 12, 2], dims: [128, 256, 512, 1024] },
  "small-paper": { depths: [2, 2, 12, 2], dims: [96, 192, 384, 768] },
  "base-paper": { depths: [2, 2, 16, 2], dims: [128, 256, 512, 1024] },
};

/** How images are predicted. */
export interface PredictOptions {
  /**
   * Launch the whole prediction as one graph (`captureGraph`) once images of these shapes have been seen before. Same
   * bits, less of the host's time, and memory that stays reserved for the next prediction. Default: true on a GPU, false on
   * the CPU, where calls cost little; true there gives the same results, too.
   */
  graphs?: boolean | undefined;
}

/**
 * What to build: a variant by name, single settings, or both. Defaults besides it: `dState` 16, `patchSize` 4, `inChannels` 3,
 * `numClasses` 6, `dropPathRate` 0.1.
 */
export interface MedMambaOptions extends Partial<MedMambaConfig> {
  /** Depths and dims by name; default "tiny". Single settings override it. */
  variant?: Variant;
  /** Default "cpu". */
  device?: DeviceLike;
  /** How the device multiplies; default "float32", or that of an opened device. */
  precision?: Precision | undefined;
}

/**
 * The whole architecture from a few settings.
 *
 * @throws ArgumentError naming the setting that cannot be
 */
export function medMambaConfig({
  variant = "tiny",
  device: _,
  precision: __,
  ...settings
}: MedMambaOptions = {}): MedMambaConfig {
  if (!(variant in variants)) {
    throw new ArgumentError(
      `there is no variant "${variant}": choose from ${Object.keys(variants).join(", ")}.`,
    );
  }
  const defaults = { dState: 16, patchSize: 4, inChannels: 3, numClasses: 6, dropPathRate: 0.1 };
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  const config: MedMambaConfig = { ...variants[variant], ...defaults, ...Object.fromEntries(given) };
  const { depths, dims, dropPathRate, ...counts } = config;
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1)
      throw new ArgumentError(`${name} ${value} is not a positive integer.`);
  }
  if (depths.length !== dims.length || depths.length === 0) {
    throw new ArgumentError(`depths [${depths}] and dims [${dims}] need one entry for each stage.`);
  }
  if (depths.some((depth) => !Number.isInteger(depth) || depth < 0)) {
    throw new ArgumentError(`depths [${depths}] are not non-negative integers.`);
  }
  const doubling = dims.every((dim, i) => i === 0 || dim === 2 * (dims[i - 1] ?? 0));
  if (!doubling || dims.some((dim) => !Number.isInteger(dim) || dim < 2 || dim % 2 !== 0)) {
    throw new ArgumentError(
      `dims [${dims}] must be even, each twice the one before: patch merging doubles them.`,
    );
  }
  if (!(dropPathRate >= 0 && dropPathRate < 1))
    throw new ArgumentError(`dropPathRate ${dropPathRate} is not in [0, 1).`);
  return config;
}

/**
 * Modules one after another, each result disposed as soon as the next is queued: a prediction holds one activation at a
 * time, however deep the network is. What a training needs again, the tape holds by itself. `x` stays the caller's.
 */
function chain(modules: readonly (Module & { forward(x: Tensor): Tensor })[], x: Tensor): Tensor {
  let y = x;
  for (const module of modules) {
    const next = module.forward(y);
    if (y !== x) y.dispose();
    y = next;
  }
  return y;
}

/** One resolution: blocks, then patch merging (not after the last stage). */
class Stage extends Module {
  readonly #blocks: ModuleList<SSConvSSM>;
  readonly #downsample: PatchMerging | undefined;

  constructor(dim: number, dState: number, rates: readonly number[], last: boolean, device: Device) {
    super();
    const blocks = rates.map((dropPathRate) => new SSConvSSM(dim, { dState, dropPathRate, device }));
    this.#blocks = this.child("blocks", new ModuleList(blocks));
    this.#downsample = last ? undefined : this.child("downsample", new PatchMerging(dim, { device }));
  }

  override forward(x: Tensor): Tensor {
    return chain([...this.#blocks.items, ...(this.#downsample ? [this.#downsample] : [])], x);
  }
}

/**
 * MedMamba: images (batch, inChannels, height, width) float32 -> logits (batch, numClasses).
 *
 * Initialised as published; call `manualSeed` before for reproducible weights.
 *
 * @throws ArgumentError for a setting that cannot be, DeviceError if the device is not usable or lacks the precision
 */
export class MedMamba extends Module {
  /** The architecture, with all defaults filled in. */
  readonly config: Readonly<MedMambaConfig>;
  readonly #patchEmbed: PatchEmbed;
  readonly #layers: ModuleList<Stage>;
  readonly #head: Linear;
  #prediction: GraphedFunction;

  constructor(options: MedMambaOptions = {}) {
    super();
    const config = medMambaConfig(options);
    const { depths, dims, dState, patchSize, inChannels, numClasses, dropPathRate } = config;
    const device = resolveDevice(options.device, options.precision);
    this.config = config;
    const blocks = depths.reduce((sum, depth) => sum + depth, 0);
    const rate = (block: number) => (blocks > 1 ? (dropPathRate * block) / (blocks - 1) : 0);
    let first = 0;
    this.#patchEmbed = this.child(
      "patch_embed",
      new PatchEmbed(inChannels, dims[0] ?? 0, patchSize, { device }),
    );
    const stages = dims.map((dim, i) => {
      const rates = Array.from({ length: depths[i] ?? 0 }, (_, block) => rate(first + block));
      first += rates.length;
      return new Stage(dim, dState, rates, i === dims.length - 1, device);
    });
    this.#layers = this.child("layers", new ModuleList(stages));
    this.#head = this.child("head", new Linear(dims.at(-1) ?? 0, numClasses, { device }));
    this.#prediction = this.#graphedPrediction();
  }

  /** Where its weights are; inputs have to be on the same. */
  get device(): Device {
    return this.#head.weight.device;
  }

  /**
   * Activation checkpointing: keep only the blocks' inputs for backward, which computes each block again. For large
   * images and batches: far less memory for one more forward pass, and the same bits. Default false.
   */
  set checkpointing(recompute: boolean) {
    for (const module of this.modules()) if (module instanceof SSConvSSM) module.recompute = recompute;
  }

  /**
   * @param images  (batch, inChannels, height, width) float32, normalised
   * @returns       (batch, numClasses) logits
   * @throws ShapeError if the channels differ or the image is too small for the stages
   */
  override forward(images: Tensor): Tensor {
    return tidy(() => this.#head.forward(globalAveragePool(this.#features(images))));
  }

  /**
   * The last stage's features, before pooling.
   *
   * @returns  (batch, height', width', dims.at(-1)), with height' = height / (patchSize * 2^(stages - 1))
   */
  features(images: Tensor): Tensor {
    return tidy(() => this.#features(images));
  }

  /**
   * Class probabilities in evaluation mode, without gradient.
   *
   * @param images  as for `forward`
   * @returns       (batch, numClasses), each row's sum is 1
   * @throws ArgumentError in training mode
   * @throws ShapeError as `forward`
   */
  predict(images: Tensor, { graphs = this.device.graphs }: PredictOptions = {}): Tensor {
    if (this.training)
      throw new ArgumentError(
        "predict: the model is in training mode; call eval() before, or use forward().",
      );
    return graphs ? this.#prediction.call(images) : this.#predict(images);
  }

  #predict(images: Tensor): Tensor {
    return noGrad(() => tidy(() => softmax(this.forward(images))));
  }

  #graphedPrediction(): GraphedFunction {
    return new GraphedFunction(this.device, (images) => this.#predict(images), {
      dependencies: () => this.#memoryOfWeights(),
    });
  }

  override to(device: DeviceLike): this {
    this.releaseGraphs();
    super.to(device);
    this.#prediction = this.#graphedPrediction();
    return this;
  }

  /** Captured predictions read this memory, and no other: weights that change within it stay theirs. */
  #memoryOfWeights(): unknown[] {
    const modes = [...this.modules()].map((module) => module.training);
    return [...Object.values(this.stateDict()).map((tensor) => tensor.handle), ...modes];
  }

  /** Gives the memory of captured predictions back; the next ones start anew. After an error of a prediction, too. */
  releaseGraphs(): void {
    this.#prediction.dispose();
  }

  override train(mode = true): this {
    if (mode) this.releaseGraphs(); // Training wants the memory.
    return super.train(mode);
  }

  override dispose(): void {
    this.releaseGraphs();
    super.dispose();
  }

  #features(images: Tensor): Tensor {
    const { inChannels, patchSize, dims } = this.config;
    const [, channels, height = 0, width = 0] = images.shape;
    if (images.shape.length !== 4 || channels !== inChannels) {
      throw new ShapeError(
        `MedMamba: images are (${images.shape.join(", ")}), but (batch, ${inChannels}, height, width) is needed.`,
      );
    }
    const smallest = patchSize * 2 ** (dims.length - 1);
    if (height < smallest || width < smallest) {
      throw new ShapeError(
        `MedMamba: images of ${height} x ${width} are too small; this model needs ${smallest} x ${smallest}.`,
      );
    }
    const patches = this.#patchEmbed.forward(images);
    const features = chain(this.#layers.items, patches);
    if (features !== patches) patches.dispose();
    return features;
  }
}
