/** The errors that a classifier is surest of: the first to look at, since no threshold takes them away. */
import { expectCounts, expectNumbers, optionsOf } from "../settings/given.js";
import { expectAnyEvaluation } from "./given.js";
import { type AnyEvaluation, isOfSeveralLabels, labelsApart } from "./several-labels.js";

/** One wrong answer. */
export interface Mistake {
  /** Number of the image among those that were judged, from 0. */
  readonly image: number;
  /** What it is: a class, or "with" or "without" a label. */
  readonly truth: string;
  /** What it is called. */
  readonly called: string;
  /** The class or label whose evidence a heat map of it shows. */
  readonly explained: string;
  /** Probability of what it is called. */
  readonly probability: number;
  /** How far beyond the decision that is, 0 to 1. */
  readonly confidence: number;
}

/** Mistakes, and out of how many. */
export interface Mistakes {
  /** The surest ones, by falling confidence. */
  readonly surest: readonly Mistake[];
  /** Wrong answers in all: images, or labels of images where an image has several. */
  readonly wrong: number;
  /** Answers in all. */
  readonly answers: number;
}

/** Which are wanted. */
export interface MistakeOptions {
  /** Most that are given; default 8. */
  readonly count?: number;
  /** Of two classes: from which probability the second is called; the more probable one unless given. */
  readonly threshold?: number | undefined;
}

/**
 * The surest mistakes, of each true class in turn, so that none crowds out the others.
 *
 * @throws ArgumentError unless the evaluation is what `evaluate` gave, the count a whole number of 1 or more
 */
export function mistakesOf(evaluation: AnyEvaluation, options: MistakeOptions = {}): Mistakes {
  const { count = 8, threshold } = optionsOf("mistakesOf", options, { count: true, threshold: true });
  expectAnyEvaluation("mistakesOf", evaluation);
  expectCounts("mistakesOf", { count });
  if (threshold !== undefined) expectNumbers("mistakesOf", { threshold });
  const several = isOfSeveralLabels(evaluation);
  const all = several ? labelMistakes(evaluation) : classMistakes(evaluation, threshold);
  return {
    surest: inTurn(all, count).sort(bySureness),
    wrong: all.length,
    answers: evaluation.labels.length,
  };
}

const bySureness = (a: Mistake, b: Mistake): number => b.confidence - a.confidence || a.image - b.image;

/** How far a probability lies beyond a threshold, on its side: 0 at the threshold, 1 at 0 or 1. */
const beyond = (score: number, threshold: number): number =>
  score >= threshold
    ? threshold >= 1
      ? 1
      : (score - threshold) / (1 - threshold)
    : threshold <= 0
      ? 1
      : (threshold - score) / threshold;

function classMistakes(evaluation: AnyEvaluation, threshold: number | undefined): Mistake[] {
  const { labels, probabilities, metrics } = evaluation;
  const { classes } = metrics;
  const width = classes.length;
  return Array.from(labels).flatMap((label, image): Mistake[] => {
    const row = probabilities.subarray(image * width, (image + 1) * width);
    let called = row.indexOf(Math.max(...row));
    let confidence = row[called]!;
    if (threshold !== undefined && width === 2) {
      called = Number(row[1]! >= threshold);
      confidence = beyond(row[1]!, threshold);
    }
    if (called === label) return [];
    const [truth, name] = [classes[label]!, classes[called]!];
    return [{ image, truth, called: name, explained: name, probability: row[called]!, confidence }];
  });
}

function labelMistakes(evaluation: AnyEvaluation): Mistake[] {
  if (!isOfSeveralLabels(evaluation)) return [];
  const { thresholds } = evaluation.metrics;
  return labelsApart(evaluation).flatMap(({ name, positive, scores }, at) =>
    Array.from(scores).flatMap((score, image): Mistake[] => {
      const called = score >= thresholds[at]!;
      if (called === Boolean(positive[image])) return [];
      const words = [`without ${name}`, `with ${name}`] as const;
      const probability = called ? score : 1 - score;
      const confidence = beyond(score, thresholds[at]!);
      return [
        {
          image,
          truth: words[positive[image] ? 1 : 0],
          called: words[called ? 1 : 0],
          explained: name,
          probability,
          confidence,
        },
      ];
    }),
  );
}

/** The surest of each truth, then the second of each, until there are enough. */
function inTurn(mistakes: readonly Mistake[], count: number): Mistake[] {
  const byTruth = new Map<string, Mistake[]>();
  for (const mistake of mistakes.toSorted(bySureness)) {
    const own = byTruth.get(mistake.truth);
    if (own) own.push(mistake);
    else byTruth.set(mistake.truth, [mistake]);
  }
  const chosen: Mistake[] = [];
  for (let rank = 0; chosen.length < Math.min(count, mistakes.length); rank++)
    chosen.push(...[...byTruth.values()].flatMap((own) => own[rank] ?? []));
  return chosen.slice(0, count);
}
