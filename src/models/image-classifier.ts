/** What training and inference ask of a network: `MedMamba` is one, and so is any module that gives logits of images. */
import { ArgumentError } from "../errors.js";
import { Module } from "../nn/module.js";
import { expectCounts, expectNamed, inWords } from "../settings/given.js";
import type { Communicator } from "../tensor/communicator.js";
import { Device } from "../tensor/device.js";
import type { Tensor } from "../tensor/tensor.js";

/** Logits -> probabilities: softmax, or sigmoid where classes do not exclude each other. */
export type Activation = (logits: Tensor) => Tensor;

/** How images are predicted. */
export interface PredictOptions {
  /**
   * Launch the whole prediction as one graph (`captureGraph`) once images of these shapes have been seen before. Same
   * bits, less of the host's time, and memory that stays reserved for the next prediction. Default: true on a GPU, false on
   * the CPU, where calls cost little; true there gives the same results, too.
   */
  graphs?: boolean | undefined;
}

/** What is made of logits, and what is told beside. */
export interface StageOptions {
  /** Logits -> probabilities; default softmax. */
  activation?: Activation | undefined;
  /**
   * Also describe what the stages make of each image: after the probabilities of a row come, stage by stage, the mean of each
   * channel and the logarithm of its standard deviation. Default false.
   */
  stages?: boolean | undefined;
}

/** A network that `fit` and `evaluate` take: a `Module` from images to logits, which says how many classes it has. */
export interface ImageClassifier extends Module {
  /** Plain JSON; checkpoints carry it. */
  readonly config: {
    /** Outputs of the network. */
    readonly numClasses: number;
  };
  /** Where its weights are. */
  readonly device: Device;
  /** Compute blocks again in backward instead of keeping what they need; of networks that can. */
  recompute?: boolean;
  /** Take batch statistics over all ranks; of networks that can. */
  communicator?: Communicator | undefined;
  /** @param images (batch, channels, height, width) float32 @returns (batch, numClasses) logits */
  forward(images: Tensor): Tensor;
  /** Probabilities in evaluation mode, without gradient; of networks that do it otherwise than by `forward`. */
  predict?(images: Tensor, options?: PredictOptions & StageOptions): Tensor;
  /** Numbers by which `predict` describes what each stage makes of an image, where it can be asked for `stages`. */
  readonly stageWidths?: readonly number[];
  /** Gives memory back that was kept for the next prediction; of networks that keep some. */
  releaseGraphs?(): void;
}

/** @throws ArgumentError unless it is such a network */
export function expectClassifier(operation: string, model: ImageClassifier): void {
  if (!(model instanceof Module))
    throw new ArgumentError(
      `${operation}: the model has to be a MedMamba or another module, but is ${inWords(model)}.`,
    );
  const { numClasses } = expectNamed(operation, "the model's config", model.config);
  expectCounts(operation, { "the model's config.numClasses": numClasses });
  if (!(model.device instanceof Device))
    throw new ArgumentError(
      `${operation}: the model has to say its device, such as \`get device() { return this.head.weight.device; }\`.`,
    );
}
