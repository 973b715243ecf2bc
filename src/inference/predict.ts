/** From image files to class names. */
import { loadImage, type Preprocessing, type Sample } from "../data/index.js";
import type { MedMamba } from "../models/medmamba.js";
import { type EvaluateOptions, predictDataset, unlabelled } from "./evaluate.js";

/** What a prediction needs; a checkpoint is one. */
export interface Classifier {
  /** In either mode; it is evaluated. */
  readonly model: MedMamba;
  /** Names of the model's outputs, in their order. */
  readonly classes: readonly string[];
  /** How images are prepared for the model. */
  readonly preprocessing: Preprocessing;
  /** Two classes: probability of the second from which it is called; otherwise the more probable class is. */
  readonly threshold?: number | undefined;
}

/** What a model makes of one image. */
export interface Prediction {
  /** Name of the class that the image is called. */
  readonly label: string;
  /** Of `label`. */
  readonly probability: number;
  /** Of every class. */
  readonly probabilities: Readonly<Record<string, number>>;
}

/**
 * Classifies images.
 *
 * @param sources  paths, or the bytes of image files
 * @returns        one prediction for each, in their order
 * @throws DataError naming the first image that cannot be read
 */
export async function predictImages(
  classifier: Classifier,
  sources: readonly (string | Uint8Array)[],
  options: EvaluateOptions = {},
): Promise<Prediction[]> {
  const samples = await Promise.all(sources.map((source) => loadImage(source, classifier.preprocessing)));
  const names = sources.map((source, i) => (typeof source === "string" ? source : `image ${i + 1}`));
  return predictSamples(classifier, samples, names, options);
}

/** As `predictImages`, for images that are loaded already; `names` stand in messages. */
export async function predictSamples(
  classifier: Classifier,
  samples: readonly Sample[],
  names: readonly string[],
  options: EvaluateOptions = {},
): Promise<Prediction[]> {
  if (samples.length === 0) return [];
  const { model, classes, threshold } = classifier;
  const probabilities = await predictDataset(model, unlabelled(samples, names, classifier), options);
  return samples.map((_, image) => {
    const own = Array.from(probabilities.subarray(image * classes.length, (image + 1) * classes.length));
    const byThreshold = threshold !== undefined && classes.length === 2;
    const chosen = byThreshold ? Number((own[1] ?? 0) >= threshold) : own.indexOf(Math.max(...own));
    return {
      label: classes[chosen] as string,
      probability: own[chosen] as number,
      probabilities: Object.fromEntries(classes.map((name, label) => [name, own[label] as number])),
    };
  });
}
