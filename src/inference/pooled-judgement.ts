/** Whether what is said of several images together is to be believed, from what was found of each of them. */
import { type Assurance, setsAt } from "../checkpoints/assurance.js";
import { expectList } from "../settings/given.js";
import { type Judgement, labelReasons, type Referral, setReasons } from "./uncertainty.js";

/** What predictions are of. */
interface Told {
  readonly classes: readonly string[];
  readonly assurance?: Assurance | undefined;
}

/**
 * Half of the images or more that are not like the training images make the unit so. A class is possible that is in the sets of
 * more than half of the images: of sets that each miss the truth in at most a share of cases, however alike, such a vote misses
 * it in at most twice that share.
 *
 * @param judged  of the unit's images
 * @param called  names of the classes that the unit is called
 * @returns       undefined where one of the images was not judged
 * @see Cherubin, Majority vote ensembles of conformal predictors, Machine Learning 108 (2019) 475
 */
export function pooledJudgement(
  told: Told,
  judged: readonly Partial<Judgement>[],
  called: readonly string[],
  severalLabels: boolean,
): Judgement | undefined {
  if (judged.some(({ decision }) => decision === undefined)) return undefined;
  for (const { reasons = [], set = [] } of judged) {
    expectList("poolPredictions", "a prediction's reasons", reasons);
    expectList("poolPredictions", "a prediction's set", set);
  }
  const strange = judged.filter(({ reasons = [] }) => reasons.some(({ code }) => code === "unlike-training"));
  const reasons: Referral[] = [];
  if (strange.length > 0 && 2 * strange.length >= judged.length) {
    const sentence = `${strange.length} of ${judged.length} images are not like the training images`;
    reasons.push({ code: "unlike-training", sentence, classes: [] });
  }
  const found = pooledSet(told, judged, called, severalLabels);
  const all = [...reasons, ...(found?.reasons ?? [])];
  return {
    decision: all.length > 0 ? "refer" : "answer",
    reasons: all,
    ...(found && { set: found.set, risk: found.risk }),
  };
}

function pooledSet(
  told: Told,
  judged: readonly Partial<Judgement>[],
  called: readonly string[],
  severalLabels: boolean,
): { set: readonly string[]; risk: number; reasons: readonly Referral[] } | undefined {
  const [first] = judged;
  if (first?.risk === undefined || judged.some(({ set, risk }) => set === undefined || risk !== first.risk))
    return undefined;
  const risk = Math.min(1, (judged.length > 1 ? 2 : 1) * first.risk);
  const isInMost = (holds: (image: Partial<Judgement>) => boolean) =>
    2 * judged.filter(holds).length > judged.length;
  const isPossible = (name: string) => isInMost(({ set = [] }) => set.includes(name));
  const { classes, assurance } = told;
  if (!severalLabels) {
    const set = classes.filter(isPossible);
    return { set, risk, reasons: setReasons(set, called, risk) };
  }
  const isUndecided = (name: string, { reasons = [] }: Partial<Judgement>) =>
    reasons.some((reason) => reason.code === "labels-undecided" && reason.classes.includes(name));
  const least = assurance && setsAt(assurance, first.risk, severalLabels);
  const isKnown = (label: number) =>
    [0, 1].every((answer) => typeof least?.[2 * label + answer] === "number");
  const possible = classes.map((name, label) =>
    isKnown(label)
      ? {
          there: isPossible(name),
          absent: isInMost((image) => isUndecided(name, image) === (image.set ?? []).includes(name)),
        }
      : undefined,
  );
  return { risk, ...labelReasons(classes, possible, called, risk) };
}
