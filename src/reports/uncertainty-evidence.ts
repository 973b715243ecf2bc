/**
 * Whether a checkpoint knows when it does not know, on labelled images: how many it would refer to a human, how often it is
 * right about the others, and whether its sets hold the truth as often as they promise.
 */
import {
  type Absent,
  type Assurance,
  expectAssurance,
  type FittedTemperature,
  isAbsent,
  setsAt,
} from "../checkpoints/assurance.js";
import type { Evaluation } from "../inference/evaluate.js";
import { defaultRisk, type Judgement, judgeOf, type ReferralCode } from "../inference/uncertainty.js";
import { clustersOf } from "../metrics/clusters.js";
import { type ConformalCoverage, conformalCoverage } from "../metrics/conformal.js";
import type { Estimate } from "../metrics/estimate.js";
import { proportion } from "../metrics/proportion.js";
import { type RiskCoverage, riskCoverage } from "../metrics/risk-coverage.js";
import { expectList, expectNamed, expectNumbers } from "../settings/given.js";
import { type TaskName, taskOf } from "../tasks/index.js";
import { expectAnyEvaluation } from "./given.js";
import { type AnyEvaluation, isOfSeveralLabels } from "./several-labels.js";

/** The checkpoint that was evaluated. */
export interface JudgedCheckpoint {
  /** Names of its outputs. */
  readonly classes: readonly string[];
  /** What it tells. */
  readonly task?: TaskName | undefined;
  /** Two classes: from which probability the second is called. */
  readonly threshold?: number | undefined;
  /** The same of each label, where there may be several. */
  readonly thresholds?: readonly number[] | undefined;
  /** By what it knows. */
  readonly assurance?: Assurance | undefined;
}

/** What is known of one label of several. */
export interface LabelCoverage {
  /** Its name. */
  readonly name: string;
  /** Share of images of which the truth about it is not ruled out; 1 - risk is promised of those with and of those without it. */
  readonly coverage: Estimate;
  /** Share of images of which it is told whether it is there. */
  readonly decided: Estimate;
}

/** What is not like the training images. */
export interface CalledOutliers {
  /** The score above which images are. */
  readonly limit: number;
  /** Share of images of the right kind that are at most called so. */
  readonly promised: number;
  /** Share of the judged images that are called so. */
  readonly called: Estimate;
}

/** Whether a checkpoint knows when it does not know, as plain JSON. */
export interface UncertaintyEvidence {
  /** Images that were judged. */
  readonly images: number;
  /** Images that the checkpoint was assessed on, in training. */
  readonly assessedOn: Assurance["images"];
  /** The share of true answers that sets may miss. */
  readonly risk: number;
  /** By what probabilities were calibrated, or why they were not. */
  readonly calibration: FittedTemperature | Absent;
  /** What the sets do, or why there are none. */
  readonly sets: ConformalCoverage | Absent;
  /** Several labels an image: what the sets do for each of which there are some. */
  readonly labels?: readonly LabelCoverage[] | undefined;
  /** Images that are not like the training images. Of images of the right kind these are false alarms. */
  readonly outliers: CalledOutliers | Absent;
  /** Share of images that a human should look at. */
  readonly referred: Estimate;
  /** Images that each reason applies to; an image may have several. */
  readonly reasons: Readonly<Partial<Record<ReferralCode, number>>>;
  /** Share of all images that are called rightly, in every label. */
  readonly right: Estimate;
  /** The same of those that are not referred. */
  readonly rightOfAnswered: Estimate;
  /** Errors if only the most certain images are answered; of classes that exclude each other. */
  readonly riskCoverage?: RiskCoverage | undefined;
}

/**
 * @param evaluation  of `evaluate` with the checkpoint's assurance
 * @param risk        one that the checkpoint has sets for; default 0.1
 * @returns           undefined of a checkpoint that has nothing to judge by
 * @throws ArgumentError for a risk that it has no sets for
 */
export function uncertaintyOf(
  evaluation: AnyEvaluation,
  checkpoint: JudgedCheckpoint,
  risk?: number,
): UncertaintyEvidence | undefined {
  expectAnyEvaluation("uncertaintyOf", evaluation);
  const { assurance, classes } = expectNamed("uncertaintyOf", "the checkpoint", checkpoint);
  expectAssurance("uncertaintyOf", assurance);
  const { threshold, thresholds = threshold === undefined ? undefined : [threshold] } = checkpoint;
  if (thresholds !== undefined) expectList("uncertaintyOf", "thresholds", thresholds);
  for (const value of thresholds ?? []) expectNumbers("uncertaintyOf", { "a threshold": value });
  const task = taskOf(checkpoint);
  const judge = judgeOf("uncertaintyOf", checkpoint, task, { risk });
  if (assurance === undefined) return undefined;
  const { labels, probabilities, patients, outlierScores } = evaluation;
  const severalLabels = isOfSeveralLabels(evaluation);
  const width = classes.length;
  const images = probabilities.length / width;
  const right = new Uint8Array(images);
  const found: Judgement[] = [];
  for (let image = 0; image < images; image++) {
    const own = probabilities.subarray(image * width, (image + 1) * width);
    const called = task.decide(own, thresholds);
    const score = outlierScores?.[image];
    const outlier =
      judge?.outliers && score !== undefined ? { score, limit: judge.outliers.limit, view: "" } : undefined;
    found.push(judge?.judge({ probabilities: own, called, outlier }) ?? { decision: "answer", reasons: [] });
    const truth = severalLabels
      ? classes.flatMap((_, label) => (labels[image * width + label] === 1 ? [label] : []))
      : [labels[image] as number];
    right[image] = Number(truth.length === called.length && truth.every((label) => called.includes(label)));
  }
  const clusters = clustersOf("uncertaintyOf", images, { patients });
  const flags = (holds: (judged: Judgement, image: number) => boolean) =>
    Uint8Array.from(found, (judged, image) => Number(holds(judged, image)));
  const share: Share = (hits, counted = flags(() => true), nothing = "there are no images") =>
    proportion(counted, hits, clusters, 0.95, nothing);
  const asked = risk ?? defaultRisk;
  return {
    images,
    assessedOn: assurance.images,
    risk: asked,
    calibration: assurance.calibration,
    sets: setsEvidence(evaluation, assurance, asked),
    ...(severalLabels && { labels: labelEvidence(found, evaluation, assurance, asked, share) }),
    outliers: outlierEvidence(assurance, outlierScores, share),
    referred: share(flags(({ decision }) => decision === "refer")),
    reasons: countedReasons(found),
    right: share(right),
    rightOfAnswered: share(
      right,
      flags(({ decision }) => decision === "answer"),
      "every image is referred",
    ),
    ...(!severalLabels && { riskCoverage: riskCoverage(labels, probabilities, classes, { patients }) }),
  };
}

type Share = (hits: Uint8Array, counted?: Uint8Array, nothing?: string) => Estimate;

function setsEvidence(
  evaluation: AnyEvaluation,
  assurance: Assurance,
  risk: number,
): ConformalCoverage | Absent {
  const { sets } = assurance;
  if (isAbsent(sets)) return sets;
  if (isOfSeveralLabels(evaluation)) return { reason: "each label has a set of its own" };
  const least = setsAt(assurance, risk, false);
  if (least === undefined) return { reason: "validation has too few images of a class for this risk" };
  const { labels, probabilities, metrics, patients } = evaluation as Evaluation;
  const leastProbability = least.map(Number);
  const made = { risk, perClass: true, leastProbability, images: sets.images };
  return conformalCoverage(labels, probabilities, metrics.classes, made, { patients });
}

function labelEvidence(
  found: readonly Judgement[],
  { labels, metrics }: AnyEvaluation,
  assurance: Assurance,
  risk: number,
  share: Share,
): LabelCoverage[] {
  const least = setsAt(assurance, risk, true);
  const { classes } = metrics;
  return classes.flatMap((name, label): LabelCoverage[] => {
    if (typeof least?.[2 * label] !== "number" || typeof least[2 * label + 1] !== "number") return [];
    const decided = Uint8Array.from(found, ({ reasons }) =>
      Number(!reasons.some(({ code, classes }) => code === "labels-undecided" && classes.includes(name))),
    );
    const held = Uint8Array.from(found, ({ set = [] }, image) => {
      const there = set.includes(name);
      // Undecided is both, and in the set; or neither, and not in it.
      if (!decided[image]) return Number(there);
      return Number(there === (labels[image * classes.length + label] === 1));
    });
    return [{ name, coverage: share(held), decided: share(decided) }];
  });
}

function outlierEvidence(
  { outliers }: Assurance,
  scores: Float64Array | undefined,
  share: Share,
): UncertaintyEvidence["outliers"] {
  if (isAbsent(outliers)) return outliers;
  if (!scores) return { reason: "the images were evaluated without the checkpoint's assurance" };
  const above = Uint8Array.from(scores, (score) => Number(score > outliers.limit));
  return { limit: outliers.limit, promised: outliers.falseAlarms, called: share(above) };
}

function countedReasons(found: readonly Judgement[]): Partial<Record<ReferralCode, number>> {
  const counts: Partial<Record<ReferralCode, number>> = {};
  for (const { reasons } of found) for (const { code } of reasons) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}
