/** MedMamba: the Vision Mamba for medical image classification (arXiv 2403.03849). */
import { ArgumentError, ShapeError } from "../errors.js";
import { Linear, ModuleList } from "../nn/layers.js";
import { Module } from "../nn/module.js";
import { PatchEmbed, PatchMerging } from "../nn/patches.js";
import { SSConvSSM } from "../nn/ss-conv-ssm.js";
import { log } from "../ops/activation.js";
import { add, mul, sub } from "../ops/arithmetic.js";
import { expectTensor } from "../ops/check.js";
import { globalAveragePool } from "../ops/reduction.js";
import { concat, reshape, to } from "../ops/shape.js";
import { softmax } from "../ops/softmax.js";
import { expectFlags, expectFunction, inWords, optionsOf } from "../settings/given.js";
import { Communicator } from "../tensor/communicator.js";
import type { Device } from "../tensor/device.js";
import { type DeviceLike, resolveDevice } from "../tensor/devices.js";
import { GraphedFunction } from "../tensor/graphed-function.js";
import { allOrNothing, tidy } from "../tensor/scope.js";
import { noGrad } from "../tensor/tape.js";
import type { Tensor } from "../tensor/tensor.js";
import { type MedMambaConfig, type MedMambaOptions, medMambaConfig } from "./config.js";
import type { Activation, ImageClassifier, PredictOptions, StageOptions } from "./image-classifier.js";

/**
 * Modules one after another, each result disposed as soon as the next is queued: a prediction holds one activation at a
 * time, however deep the network is. What a training needs again, the tape holds by itself. `x` stays the caller's.
 */
function chain(modules: readonly Layer[], x: Tensor): Tensor {
  let y = x;
  for (const module of modules) {
    const next = module.forward(y);
    if (y !== x) y.dispose();
    y = next;
  }
  return y;
}

/**
 * Of each channel its mean over the pixels and the logarithm of its standard deviation.
 *
 * @param x  (batch, height, width, channels)
 * @returns  (batch, 2 channels) float32: all means, then all logarithms
 */
function channelStatistics(x: Tensor): Tensor {
  return tidy(() => {
    const values = to(x, "float32");
    const [batch = 0, , , channels = 0] = values.shape;
    const means = globalAveragePool(values);
    const distances = sub(values, reshape(means, [batch, 1, 1, channels]));
    const variances = globalAveragePool(mul(distances, distances));
    return concat([means, mul(log(add(variances, 1e-8)), 0.5)], 1);
  });
}

type Layer = Module & { forward(x: Tensor): Tensor };

/** One resolution: blocks, then patch merging (not after the last stage). */
class Stage extends Module {
  readonly blocks: readonly Layer[];
  readonly merging: PatchMerging | undefined;

  constructor(dim: number, dState: number, rates: readonly number[], last: boolean, device: Device) {
    super();
    const blocks = rates.map((dropPathRate) => new SSConvSSM(dim, { dState, dropPathRate, device }));
    this.blocks = this.child("blocks", new ModuleList(blocks)).items;
    this.merging = last ? undefined : this.child("downsample", new PatchMerging(dim, { device }));
  }

  override forward(x: Tensor): Tensor {
    return chain([...this.blocks, ...(this.merging ? [this.merging] : [])], x);
  }
}

/**
 * MedMamba: images (batch, inChannels, height, width) float32 -> logits (batch, numClasses).
 *
 * Initialised as published; call `manualSeed` before for reproducible weights.
 *
 * @throws ArgumentError for a setting that cannot be, DeviceError if the device is not usable or lacks the precision
 */
export class MedMamba extends Module implements ImageClassifier {
  /** The architecture, with all defaults filled in. */
  readonly config: Readonly<MedMambaConfig>;
  readonly #patchEmbed: PatchEmbed;
  readonly #layers: ModuleList<Stage>;
  readonly #head: Linear;
  #activation: Activation = softmax;
  #stages = false;
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
    const parts = allOrNothing(() => ({
      patchEmbed: new PatchEmbed(inChannels, dims[0] ?? 0, patchSize, { device }),
      stages: dims.map((dim, i) => {
        const rates = Array.from({ length: depths[i] ?? 0 }, (_, block) => rate(first + block));
        first += rates.length;
        return new Stage(dim, dState, rates, i === dims.length - 1, device);
      }),
      head: new Linear(dims.at(-1) ?? 0, numClasses, { device }),
    }));
    this.#patchEmbed = this.child("patch_embed", parts.patchEmbed);
    this.#layers = this.child("layers", new ModuleList(parts.stages));
    this.#head = this.child("head", parts.head);
    this.#prediction = this.#graphedPrediction();
  }

  /** Where its weights are; inputs have to be on the same. */
  get device(): Device {
    return this.#head.weight.device;
  }

  /**
   * Whether backward computes each block again from its input, which is then all that is kept of it (activation
   * checkpointing). For large images and batches: far less memory for one more forward pass, and the same bits. Default
   * false.
   */
  get recompute(): boolean {
    return this.#blocks().some((block) => block.recompute);
  }

  /** Sets it for all blocks. */
  set recompute(recompute: boolean) {
    expectFlags("MedMamba", { recompute });
    for (const block of this.#blocks()) block.recompute = recompute;
  }

  /**
   * In training, what batch statistics are those of: all ranks' batches together, each rank a part, so that several ranks compute
   * what one would with the whole batch, to rounding. Default undefined: of the process's own batch.
   */
  get communicator(): Communicator | undefined {
    return this.#blocks()[0]?.communicator;
  }

  /** Sets it for all blocks. @throws ArgumentError for what is no communicator */
  set communicator(communicator: Communicator | undefined) {
    if (communicator !== undefined && !(communicator instanceof Communicator))
      throw new ArgumentError(
        `MedMamba: communicator has to be one of an engine, but is ${inWords(communicator)}.`,
      );
    for (const block of this.#blocks()) block.communicator = communicator;
  }

  #blocks(): SSConvSSM[] {
    return [...this.modules()].filter((module) => module instanceof SSConvSSM);
  }

  /** @deprecated `recompute` */
  get checkpointing(): boolean {
    return this.recompute;
  }

  /** @deprecated `recompute` */
  set checkpointing(recompute: boolean) {
    this.recompute = recompute;
  }

  /**
   * @param images  (batch, inChannels, height, width) float32, normalised
   * @returns       (batch, numClasses) logits
   * @throws ShapeError if the channels differ or the image is too small for the stages
   */
  override forward(images: Tensor): Tensor {
    return tidy(() => this.logits(this.features(images)));
  }

  /**
   * What the blocks of a stage make of images, before patches are merged for the next one: `logits` goes on from there.
   *
   * The result belongs to the graph, as every intermediate result does. For the gradient with respect to it, make it a leaf:
   *
   *     const features = model.features(images, { stage: 1 }).detach();
   *     features.requiresGrad = true;
   *     sum(slice(model.logits(features, { from: 1 }), 1, label, label + 1)).backward();
   *     features.grad; // of the label's logits
   *
   * @param images         as for `forward`
   * @param options.stage  from 0; default the last
   * @returns              (batch, height', width', dims[stage]), with height' = height / (patchSize * 2^stage)
   * @throws ShapeError as `forward`, ArgumentError if there is no such stage
   */
  features(images: Tensor, options: { stage?: number } = {}): Tensor {
    const { stage = this.#layers.items.length - 1 } = optionsOf("features", options, { stage: true });
    this.#expectImages(images);
    this.#expectStage("features", stage);
    return tidy(() => chain([this.#patchEmbed, ...this.#path(-1, stage)], images));
  }

  /**
   * From the features of a stage on to the end: `logits(features(images, { stage }), { from: stage })` is `forward(images)`,
   * with the same bits.
   *
   * @param features      of `features`; they stay the caller's
   * @param options.from  their stage, from 0; default the last
   * @returns             (batch, numClasses)
   * @throws ArgumentError if there is no such stage, ShapeError if the features are not of its channels
   */
  logits(features: Tensor, options: { from?: number } = {}): Tensor {
    const { from = this.#layers.items.length - 1 } = optionsOf("logits", options, { from: true });
    this.#expectStage("logits", from);
    expectTensor("logits", "features", features);
    const channels = this.config.dims[from];
    if (features.shape.length !== 4 || features.shape[3] !== channels) {
      throw new ShapeError(
        `logits: features are (${features.shape.join(", ")}), but (batch, height, width, ${channels}) is needed after stage ${from}.`,
      );
    }
    const last = this.#layers.items.length - 1;
    return tidy(() => this.#head.forward(globalAveragePool(chain(this.#path(from, last), features))));
  }

  /** The modules between the blocks of one stage (-1: the patches) and those of another, these included. */
  #path(after: number, stage: number): Layer[] {
    return this.#layers.items.slice(after + 1, stage + 1).flatMap(({ blocks }, i) => {
      const merging = this.#layers.items[after + i]?.merging;
      return merging ? [merging, ...blocks] : blocks;
    });
  }

  #expectStage(operation: string, stage: number): void {
    const count = this.#layers.items.length;
    if (!Number.isInteger(stage) || stage < 0 || stage >= count)
      throw new ArgumentError(
        `${operation}: there is no stage ${inWords(stage)}; they are 0 to ${count - 1}.`,
      );
  }

  /** Numbers by which `predict` describes each stage, where it is asked for `stages`: two a channel. */
  get stageWidths(): readonly number[] {
    return this.config.dims.map((dim) => 2 * dim);
  }

  /**
   * Class probabilities in evaluation mode, without gradient.
   *
   * @param images  as for `forward`
   * @returns       (batch, numClasses), with softmax each row's sum is 1; with `stages` (batch, numClasses + the sum of
   *                `stageWidths`)
   * @throws ArgumentError in training mode
   * @throws ShapeError as `forward`
   */
  predict(images: Tensor, options: PredictOptions & StageOptions = {}): Tensor {
    const names = { graphs: true, activation: true, stages: true } as const;
    const {
      graphs = this.device.graphs,
      activation = softmax,
      stages = false,
    } = optionsOf("predict", options, names);
    expectFlags("predict", { graphs, stages });
    expectFunction("predict", activation, "activation");
    if (this.training)
      throw new ArgumentError(
        "predict: the model is in training mode; call eval() before, or use forward().",
      );
    this.#activation = activation;
    this.#stages = stages;
    return graphs ? this.#prediction.call(images) : this.#predict(images);
  }

  #predict(images: Tensor): Tensor {
    return noGrad(() =>
      tidy(() => (this.#stages ? this.#withStages(images) : this.#activation(this.forward(images)))),
    );
  }

  /** The same bits as without, and beside them what the stages make of the images on the way. */
  #withStages(images: Tensor): Tensor {
    this.#expectImages(images);
    const parts: Tensor[] = [];
    let x = this.#patchEmbed.forward(images);
    for (const stage of this.#layers.items.keys()) {
      x = tidy(() => chain(this.#path(stage - 1, stage), x));
      parts.push(channelStatistics(x));
    }
    return concat([this.#activation(this.#head.forward(globalAveragePool(x))), ...parts], 1);
  }

  #graphedPrediction(): GraphedFunction {
    return new GraphedFunction(this.device, (images) => this.#predict(images), {
      dependencies: () => this.#dependencies(),
    });
  }

  override to(device: DeviceLike): this {
    this.releaseGraphs();
    super.to(device);
    this.#prediction = this.#graphedPrediction();
    return this;
  }

  /** Captured predictions read this memory, and no other, and end so. */
  #dependencies(): unknown[] {
    const modes = [...this.modules()].map((module) => module.training);
    return [
      this.#activation,
      this.#stages,
      ...Object.values(this.stateDict()).map((tensor) => tensor.handle),
      ...modes,
    ];
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

  #expectImages(images: Tensor): void {
    const { inChannels, patchSize, dims } = this.config;
    expectTensor("MedMamba", "the batch of images", images);
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
  }
}
