/**
 * What is found out about a checkpoint on labelled images: the one way there, of `train` when it is done and of `evaluate`. Scores
 * come first, then what was asked for beside them, then the seal, for which this is a look at the images.
 */
import type { Checkpoint } from "../checkpoints/checkpoint.js";
import { evaluate } from "../inference/evaluate.js";
import { type PooledEvaluation, type Pooling, poolEvaluation } from "../inference/pooling.js";
import type { EvaluationReport } from "../reports/evaluation-report.js";
import { type SubgroupEvidence, subgroupsOf } from "../reports/evidence.js";
import { scoresOf } from "../reports/scores.js";
import { comparisonSection } from "../reports/sections/comparison.js";
import {
  judgedWords,
  lookCautions,
  type SealEvidence,
  sealCautions,
  sealSection,
  type ThresholdOrigin,
  thresholdOrigin,
} from "../reports/sections/seal.js";
import { uncertaintySection } from "../reports/sections/uncertainty.js";
import { type AnyEvaluation, isOfSeveralLabels } from "../reports/several-labels.js";
import { type UncertaintyEvidence, uncertaintyOf } from "../reports/uncertainty-evidence.js";
import { taskOf } from "../tasks/index.js";
import { type ChosenPoint, chosenPoint } from "./chosen-point.js";
import { type Against, comparedWith, keyScores } from "./comparison.js";
import { evaluateOptions, thresholdsOf } from "./evaluating.js";
import { acquaintance, type Judged, type Judging } from "./judged-images.js";
import { lookAt } from "./seal.js";

type AnyMetrics = AnyEvaluation["metrics"];

/** What is asked beside scores. */
export interface VerdictOptions {
  /** Who looks at the images. */
  readonly by: "train" | "evaluate";
  /** A share of the second class to find: a threshold for it, chosen on the validation images. */
  readonly sensitivity?: number | undefined;
  /** A second checkpoint for the same images. */
  readonly against?: Checkpoint | undefined;
  /** By the titles of columns, (images) the group of each. */
  readonly attributes?: Readonly<Record<string, readonly (string | undefined)[]>> | undefined;
  /** Share of true classes that sets may miss, one that the checkpoint has sets for. */
  readonly risk?: number | undefined;
  /** Which images are one, and how they are. */
  readonly pooling?: Pooling | undefined;
}

/** Everything that was found out; plain data. */
export interface Verdict {
  readonly part: Judged["part"];
  readonly evaluation: AnyEvaluation;
  /** Of two classes. */
  readonly threshold: number | undefined;
  readonly chosen?: ChosenPoint | undefined;
  readonly against?: Against | undefined;
  readonly subgroups?: readonly SubgroupEvidence[] | undefined;
  readonly pooled?: PooledEvaluation<AnyMetrics> | undefined;
  /** Of a checkpoint that knows when it does not know. */
  readonly uncertainty?: UncertaintyEvidence | undefined;
  readonly seal: SealEvidence;
}

/** The part of `judge` that processes share: what those do that are not the first. */
export async function evaluateJudged(
  checkpoint: Checkpoint,
  { dataset }: Judged,
  judging: Judging,
): Promise<AnyEvaluation> {
  const options = evaluateOptions(checkpoint, judging);
  return (await evaluate(checkpoint.model, dataset, options)) as AnyEvaluation;
}

/**
 * Judges a checkpoint by images.
 *
 * @throws what `evaluate`, `poolEvaluation` and `openDataset` throw. A ledger that cannot be written is no error but a finding
 */
export async function judge(
  checkpoint: Checkpoint,
  judged: Judged,
  together: Judging,
  { by, sensitivity, against, attributes, risk, pooling }: VerdictOptions,
): Promise<Verdict> {
  const { threshold } = checkpoint;
  const { dataset, part } = judged;
  const evaluation = await evaluateJudged(checkpoint, judged, together);
  // What follows is little beside that, and for one process.
  const judging: Judging = { ...together, group: undefined };
  const ofOneClass = isOfSeveralLabels(evaluation) ? undefined : evaluation;
  const thresholds = thresholdsOf(checkpoint);
  const chosen =
    ofOneClass && sensitivity !== undefined
      ? await chosenPoint(checkpoint, judged, ofOneClass, sensitivity, judging)
      : undefined;
  const known = await acquaintance(checkpoint, judged, judging.signal);
  return {
    part,
    evaluation,
    threshold,
    chosen,
    against: ofOneClass && against && (await comparedWith(against, checkpoint, judged, ofOneClass, judging)),
    subgroups: attributes && subgroupsOf(evaluation, attributes),
    pooled:
      pooling &&
      poolEvaluation<AnyMetrics>(evaluation, dataset, pooling, taskOf(checkpoint), thresholds ?? undefined),
    uncertainty: uncertaintyOf(evaluation, checkpoint, risk),
    // Last: what fails before tells nobody how good it is.
    seal: await lookAt(checkpoint, {
      by,
      acquaintance: known,
      thresholds: chosen ? [chosen.threshold] : thresholds,
      chosenBy: chosen ? `sensitivity ${chosen.criterion.atLeast}` : "training",
      chosenAmong: chosen?.judgedAmongChosen,
      scores: keyScores(evaluation),
    }),
  };
}

/** Who chose the checkpoint's own threshold: a finding about one that was chosen by judged images is of that one. */
export const originOf = ({ chosen, seal }: Pick<Verdict, "chosen" | "seal">): ThresholdOrigin =>
  chosen && chosen.judgedAmongChosen > 0 ? "unknown" : thresholdOrigin(seal);

/** What a summary says where the model leaves most of the work to humans. */
function referralCautions(uncertainty: UncertaintyEvidence | undefined): string[] {
  const share = uncertainty?.referred.value ?? 0;
  if (!uncertainty || share <= 1 / 2) return [];
  const { images } = uncertainty;
  return [`It refers ${Math.round(share * images)} of ${images} images to a human: of little use as it is.`];
}

/**
 * What a report shows of it. Whoever has further evidence adds it to `Verdict`, and what the page makes of it here: `train` and
 * `evaluate` both write their report with this.
 */
export function verdictReport(verdict: Verdict) {
  const { evaluation, threshold, chosen, against, subgroups, pooled, seal, uncertainty } = verdict;
  return {
    evaluation,
    threshold,
    thresholdFrom: originOf(verdict),
    chosen,
    subgroups,
    pooled,
    judged: judgedWords(seal),
    cautions: [...sealCautions(seal), ...lookCautions(seal), ...referralCautions(uncertainty)],
    sections: [
      ...(against ? [comparisonSection(against)] : []),
      ...(uncertainty ? [uncertaintySection(uncertainty)] : []),
      sealSection(seal),
    ],
  } satisfies Partial<EvaluationReport>;
}

/** All of it as plain JSON: the scores with their own keys, the rest beside them. */
export function verdictJson({
  part,
  evaluation,
  threshold,
  chosen,
  against,
  subgroups,
  pooled,
  uncertainty,
  seal,
}: Verdict): object {
  return {
    ...scoresOf(evaluation, threshold),
    split: part,
    test: seal.test,
    testLooks: seal.looks?.total ?? null,
    ...(chosen && { operatingPoint: chosen }),
    ...(against && { against }),
    ...(subgroups && { subgroups }),
    ...(pooled && { pooled: pooledJson(pooled, threshold) }),
    ...(uncertainty && { uncertainty }),
    seal,
  };
}

function pooledJson(pooled: PooledEvaluation<AnyMetrics>, threshold: number | undefined): object {
  const { units, leftOut, pooling } = pooled;
  return { ...pooling, units, leftOut, ...scoresOf(pooled as AnyEvaluation, threshold) };
}
