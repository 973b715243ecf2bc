/**
 * Whether a prediction is an answer, or "not sure: refer". An image is referred where it is not like the training images, or
 * where the classes that cannot be ruled out at the chosen risk are several, none, or not the one that it is called. By what
 * that is judged is the checkpoint's, found on validation images.
 */
import { type Assurance, isAbsent, risksOf, type StoredOutliers, setsAt } from "../checkpoints/assurance.js";
import { ArgumentError } from "../errors.js";
import { conformalSet } from "../metrics/conformal.js";
import { panelScores } from "../metrics/outlier-panel.js";
import { expectFlags, inWords } from "../settings/given.js";
import type { Task } from "../tasks/index.js";

/** Why a human should look: what programs go by, and `sentence` for people. */
export type ReferralCode =
  | "unlike-training"
  | "several-possible"
  | "none-possible"
  | "called-ruled-out"
  | "labels-undecided";

/** A reason to refer an image. */
export interface Referral {
  /** Which kind of reason. */
  readonly code: ReferralCode;
  /** A clause, without a full stop. */
  readonly sentence: string;
  /** Names of the classes that it is about; empty where it is about the image. */
  readonly classes: readonly string[];
}

/** How unlike the training images an image is. */
export interface OutlierScore {
  /** Higher is stranger. */
  readonly score: number;
  /** Above it an image is referred. */
  readonly limit: number;
  /** By what it is the strangest: "stage 2", "picture". */
  readonly view: string;
}

/** Whether a prediction is to be believed. */
export interface Judgement {
  /** "refer": a human should look, for `reasons`. */
  readonly decision: "answer" | "refer";
  /** Why it is referred; none of an answer. */
  readonly reasons: readonly Referral[];
  /** Names of the classes that cannot be ruled out, most probable first; of several labels those that may be there. */
  readonly set?: readonly string[];
  /** The share of images whose true class is not in the set, at most. */
  readonly risk?: number;
  /** How unlike the training images it is, where the checkpoint can tell. */
  readonly outlier?: OutlierScore;
}

/** How predictions are judged. */
export interface JudgingOptions {
  /** Whether to judge at all; default true. */
  readonly refer?: boolean | undefined;
  /** Share of true classes that sets may miss, one that the checkpoint has sets for; default 0.1, where it has them. */
  readonly risk?: number | undefined;
}

/** The risk of sets, unless another is asked for. */
export const defaultRisk = 0.1;

/** What is judged of an image. */
export interface Judged {
  /** (classes), calibrated */
  readonly probabilities: ArrayLike<number>;
  /** Numbers of the classes that it is called. */
  readonly called: readonly number[];
  /** How unlike the training images it is, where that is known. */
  readonly outlier?: OutlierScore | undefined;
}

/** Judges the predictions of one classifier. */
export interface Judge {
  /** By what it knows other images, if it can. */
  readonly outliers: StoredOutliers | undefined;
  /** (answers) least probabilities at `risk`, where there are sets. */
  readonly sets: { readonly risk: number; readonly least: readonly (number | null)[] } | undefined;
  judge(image: Judged): Judgement;
}

/**
 * Whoever judges the predictions of a classifier; undefined where that has nothing to judge by, or nobody wants it.
 *
 * @throws ArgumentError if sets of the risk are asked for and there are none
 */
export function judgeOf(
  operation: string,
  { classes, assurance }: { classes: readonly string[]; assurance?: Assurance | undefined },
  task: Task,
  { refer = true, risk }: JudgingOptions = {},
): Judge | undefined {
  expectFlags(operation, { refer });
  const severalLabels = task.name === "multi-label";
  if (risk !== undefined) expectRisk(operation, assurance, risk, task);
  if (!refer || assurance === undefined) return undefined;
  const asked = risk ?? defaultRisk;
  const least = setsAt(assurance, asked, severalLabels);
  const outliers = isAbsent(assurance.outliers) ? undefined : assurance.outliers;
  if (least === undefined && outliers === undefined) return undefined;
  const sets = least && { risk: asked, least };
  return {
    outliers,
    sets,
    judge({ probabilities, called, outlier }) {
      const found = sets && (severalLabels ? labelSets : classSet)(classes, probabilities, called, sets);
      const reasons = [...(outlier ? unlikeTraining(outlier, outliers) : []), ...(found?.reasons ?? [])];
      return {
        decision: reasons.length > 0 ? "refer" : "answer",
        reasons,
        ...(found && sets && { set: found.set, risk: sets.risk }),
        ...(outlier && { outlier }),
      };
    },
  };
}

/** @throws ArgumentError if a checkpoint has no sets for a risk */
export function expectRisk(
  operation: string,
  assurance: Assurance | undefined,
  risk: unknown,
  { name }: Pick<Task, "name">,
): void {
  if (typeof risk !== "number" || !(risk > 0 && risk < 1))
    throw new ArgumentError(`${operation}: ${inWords(risk)} is not a risk above 0 and below 1.`);
  const risks = risksOf(assurance, name === "multi-label");
  if (risks.includes(risk)) return;
  const known =
    assurance === undefined
      ? "it was trained without validation images, or by a version before this"
      : isAbsent(assurance.sets)
        ? assurance.sets.reason
        : `it has them for ${risks.join(", ")}`;
  throw new ArgumentError(`${operation}: the checkpoint has no sets for a risk of ${risk}: ${known}.`);
}

/**
 * How unlike the training images an image is.
 *
 * @param features  of images that were computed together, of which it is the one at `image`
 */
export function outlierOf(outliers: StoredOutliers, features: Float32Array, image: number): OutlierScore {
  const width = outliers.views.reduce((sum, { model }) => sum + model.width, 0);
  const { scores, strangest } = panelScores(features.subarray(image * width, (image + 1) * width), outliers);
  const view = outliers.views[strangest[0] ?? 0]?.name ?? "";
  return { score: scores[0] as number, limit: outliers.limit, view };
}

function unlikeTraining(
  { score, limit, view }: OutlierScore,
  outliers: StoredOutliers | undefined,
): Referral[] {
  if (score <= limit) return [];
  const seen = inWhat(view, outliers?.views.map(({ name }) => name) ?? []);
  const sentence = `${seen} unlike the training images (${view}: score ${brief(score)}, limit ${brief(limit)})`;
  return [{ code: "unlike-training", sentence, classes: [] }];
}

/** What is strange of an image, in words for who looks at it: earlier stages of a network see detail, later ones the whole. */
function inWhat(view: string, views: readonly string[]): string {
  if (view === "picture") return "its brightness, contrast or color is";
  const stages = views.filter((name) => name.startsWith("stage "));
  const at = stages.indexOf(view);
  if (at < 0) return "it is";
  return at < stages.length / 2 ? "its fine structure is" : "its coarse structure is";
}

interface FoundSet {
  readonly set: readonly string[];
  readonly reasons: readonly Referral[];
}

type Sets = NonNullable<Judge["sets"]>;

function classSet(
  classes: readonly string[],
  probabilities: ArrayLike<number>,
  called: readonly number[],
  { risk, least }: Sets,
): FoundSet {
  const leastProbability = least.map(Number);
  const found = conformalSet(probabilities, { risk, perClass: true, leastProbability, images: [] });
  const set = found.map((index) => classes[index] as string);
  return {
    set,
    reasons: setReasons(
      set,
      called.map((index) => classes[index] as string),
      risk,
    ),
  };
}

/** What the set of classes that are possible comes to. */
export function setReasons(set: readonly string[], called: readonly string[], risk: number): Referral[] {
  const at = `at a risk of ${percentOf(risk)}`;
  const [only] = set;
  if (only === undefined)
    return [{ code: "none-possible", sentence: `none of the classes is possible ${at}`, classes: [] }];
  if (set.length > 1)
    return [{ code: "several-possible", sentence: `${listed(set, "or")} are possible ${at}`, classes: set }];
  if (called.includes(only)) return [];
  const sentence = `called ${called.join(", ")}, but only ${only} is possible ${at}`;
  return [{ code: "called-ruled-out", sentence, classes: called }];
}

function labelSets(
  classes: readonly string[],
  probabilities: ArrayLike<number>,
  called: readonly number[],
  { risk, least }: Sets,
): FoundSet {
  const possible = classes.map((_, label) => {
    const [there, absent] = [least[2 * label], least[2 * label + 1]];
    if (there === null || absent === null || there === undefined || absent === undefined) return undefined;
    const probability = probabilities[label] as number;
    return { there: probability >= there, absent: 1 - probability >= absent };
  });
  return labelReasons(
    classes,
    possible,
    called.map((label) => classes[label] as string),
    risk,
  );
}

/** Whether each label may be there, and may not; undefined of one of which validation has too few images to say. */
export type PossibleLabels = readonly ({ readonly there: boolean; readonly absent: boolean } | undefined)[];

/** What labels that may be there come to. */
export function labelReasons(
  classes: readonly string[],
  possible: PossibleLabels,
  called: readonly string[],
  risk: number,
): FoundSet {
  const at = `at a risk of ${percentOf(risk)}`;
  const named = (holds: (label: number) => boolean) => classes.filter((_, label) => holds(label));
  const undecided = named(
    (label) => possible[label] !== undefined && possible[label]?.there === possible[label]?.absent,
  );
  const against = named((label) => {
    const found = possible[label];
    if (found === undefined || found.there === found.absent) return false;
    return found.there !== called.includes(classes[label] as string);
  });
  const reasons: Referral[] = [];
  if (undecided.length > 0)
    reasons.push({
      code: "labels-undecided",
      sentence: `${listed(undecided, "and")} cannot be told ${at}`,
      classes: undecided,
    });
  if (against.length > 0)
    reasons.push({
      code: "called-ruled-out",
      sentence: `what is said of ${listed(against, "and")} is ruled out ${at}`,
      classes: against,
    });
  return { set: named((label) => possible[label]?.there !== false), reasons };
}

/** "a, b or c". */
export function listed(names: readonly string[], word: "and" | "or"): string {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} ${word} ${names.at(-1)}`;
}

const brief = (value: number): string => (Math.abs(value) < 100 ? value.toFixed(2) : value.toExponential(1));

/** "10 %" */
export const percentOf = (share: number): string => `${Number((100 * share).toFixed(4))} %`;
