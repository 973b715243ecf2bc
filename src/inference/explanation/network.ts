/** What an explanation asks of a network: probabilities, features with their gradient, and the gradient at the image. */
import { ArgumentError } from "../../errors.js";
import type { ImageClassifier } from "../../models/image-classifier.js";
import { MedMamba } from "../../models/medmamba.js";
import { sum } from "../../ops/reduction.js";
import { slice } from "../../ops/shape.js";
import type { Task } from "../../tasks/index.js";
import { tensor } from "../../tensor/creation.js";
import { tidy } from "../../tensor/scope.js";
import { noGrad } from "../../tensor/tape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { probabilitiesOf } from "../probabilities.js";
import type { StageFeatures } from "./class-activation.js";

/** The side of features, in places, below which a map is too coarse to point at anything: `defaultStage`. */
const coarsest = 7;

/** @throws ArgumentError for a network of one's own, which has no stages */
export function expectStages(method: string, model: ImageClassifier): MedMamba {
  if (model instanceof MedMamba) return model;
  throw new ArgumentError(
    `explain: method "${method}" needs the stages of a MedMamba, and this is another network: use method "occlusion".`,
  );
}

/** The last stage whose features still have 7 places or more a side at this image size; else the first. */
export function defaultStage({ config }: MedMamba, imageSize: number): number {
  const side = (stage: number) => Math.floor(imageSize / (config.patchSize * 2 ** stage));
  return Math.max(
    0,
    config.dims.findLastIndex((_, stage) => side(stage) >= coarsest),
  );
}

/**
 * Runs `body` with the network in evaluation mode and its weights taken off the tape, so that their gradients stay as they
 * are; afterwards the network is as it was.
 */
export async function atRest<T>(model: ImageClassifier, body: () => Promise<T>): Promise<T> {
  const wasTraining = model.training;
  const trained = [...model.parameters()].filter(({ requiresGrad }) => requiresGrad);
  model.eval();
  for (const parameter of trained) parameter.requiresGrad = false;
  try {
    return await body();
  } finally {
    for (const parameter of trained) parameter.requiresGrad = true;
    model.train(wasTraining);
  }
}

/**
 * Probabilities of normalised images.
 *
 * @param images  (n, channels, size, size)
 * @returns       (n, classes)
 */
export async function hostProbabilities(
  model: ImageClassifier,
  images: Float32Array,
  [channels, size]: readonly [number, number],
  task: Task,
): Promise<Float32Array> {
  const shape = [images.length / (channels * size * size), channels, size, size];
  const output = tidy(() =>
    probabilitiesOf(model, tensor(images, shape, { device: model.device }), task, { graphs: false }),
  );
  return output.data().finally(() => output.dispose());
}

/**
 * The features of one image after a stage, and the gradient of a class's logit with respect to them.
 *
 * @param image  (channels, size, size) normalised
 */
export async function featuresAndGradient(
  model: MedMamba,
  image: Float32Array,
  { imageSize, stage, label }: { imageSize: number; stage: number; label: number },
): Promise<{ features: StageFeatures; gradient: Float32Array }> {
  const input = [1, model.config.inChannels, imageSize, imageSize];
  const features = noGrad(() =>
    tidy(() => model.features(tensor(image, input, { device: model.device }), { stage })),
  );
  try {
    const [, height = 0, width = 0, channels = 0] = features.shape;
    const gradient = await gradientAt(features, (leaf) =>
      logitOf(model.logits(leaf, { from: stage }), label),
    );
    return { features: { height, width, channels, data: await features.data() }, gradient };
  } finally {
    features.dispose();
  }
}

/**
 * The gradient of what `scalar` makes of a tensor, with respect to the tensor.
 *
 * @param at  of any shape; it gets a gradient, which is given back with it
 */
export async function gradientAt(at: Tensor, scalar: (leaf: Tensor) => Tensor): Promise<Float32Array> {
  at.requiresGrad = true;
  tidy(() => scalar(at).backward());
  const { grad } = at;
  if (!grad) throw new Error("The scalar does not depend on the tensor.");
  return grad.data().finally(() => grad.dispose());
}

/** One logit of one image, as a scalar. */
const logitOf = (logits: Tensor, label: number): Tensor => sum(slice(logits, 1, label, label + 1));
