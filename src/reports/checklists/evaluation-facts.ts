/**
 * What an evaluation says, from the JSON that `evaluate --json` prints, or the same before it is printed. A file may hold anything:
 * what is no number there is not taken for one, and what is missing stays unknown.
 */
import type { EvaluationFacts, ScoreFact, SealFacts, SubgroupFact, UncertaintyFacts } from "./facts.js";

/** Scores of any task by the names that they have in words. */
const titles: Readonly<Record<string, string>> = {
  auc: "AUC",
  accuracy: "Accuracy",
  balancedAccuracy: "Balanced accuracy",
  subsetAccuracy: "All labels right",
  meanAveragePrecision: "Mean average precision",
  macroF1: "Macro F1",
  mcc: "Matthews correlation",
  cohenKappa: "Cohen's kappa",
  brier: "Brier score",
  ece: "Calibration error",
};

const atThreshold: Readonly<Record<string, string>> = {
  sensitivity: "sensitivity",
  specificity: "specificity",
  positivePredictiveValue: "positive predictive value",
  negativePredictiveValue: "negative predictive value",
  positiveLikelihoodRatio: "positive likelihood ratio",
  negativeLikelihoodRatio: "negative likelihood ratio",
};

/** Lists that are longer are none of an evaluation. */
const most = 1000;

type Json = Readonly<Record<string, unknown>>;

const objectIn = (value: unknown): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
const listIn = (value: unknown): readonly unknown[] =>
  Array.isArray(value) && value.length <= most ? value : [];
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const isText = (value: unknown): value is string => typeof value === "string";

/**
 * @param scores      what `evaluate --json` prints
 * @param isExternal  whether they are of other data than the training's, where the scores themselves do not say
 * @returns           undefined where it is not that: without a number of samples, classes and the part that was judged
 */
export function evaluationFacts(scores: unknown, isExternal?: boolean): EvaluationFacts | undefined {
  const { test } = objectIn(scores);
  const external = test === undefined ? isExternal : externalOf(test);
  const {
    samples,
    classes,
    split,
    intervals,
    operatingPoint,
    calibration,
    subgroups,
    confusionMatrix,
    ...rest
  } = objectIn(scores);
  const names = listIn(classes).filter(isText);
  const part = (["train", "val", "test", "all"] as const).find((name) => name === split);
  if (!isNumber(samples) || names.length === 0 || part === undefined) return undefined;
  const ends = objectIn(intervals);
  const each = (name: string) => perClass(rest[name], ends[name], names.length);
  return {
    part,
    ...(external !== undefined && { external }),
    samples,
    patients: isNumber(ends.patients) ? ends.patients : null,
    classes: names,
    scores: Object.fromEntries(
      Object.entries(titles).flatMap(([name, title]) =>
        name in rest ? [[title, scoreOf(rest[name], ends[name])]] : [],
      ),
    ),
    ...optional("sensitivity", each("sensitivity")),
    ...optional("specificity", each("specificity")),
    ...optional("confusion", matrixOf(confusionMatrix, names.length)),
    ...optional("operating", operatingOf(objectIn(operatingPoint))),
    ...optional("calibration", lineOf(objectIn(objectIn(calibration).line))),
    ...optional("subgroups", Array.isArray(subgroups) ? listIn(subgroups).flatMap(groupsOf) : undefined),
  };
}

/** By what `test` calls the images that were judged. */
const externalOf = (test: unknown): boolean | undefined =>
  test === "external" ? true : test === "internal" ? false : undefined;

/** How the test images were kept apart, where the evaluation says so under `seal`. */
export function sealFacts(scores: unknown): SealFacts | undefined {
  const { looks, findings } = objectIn(objectIn(scores).seal);
  const { total } = objectIn(looks);
  if (!isNumber(total)) return undefined;
  const states = new Map(
    listIn(findings).map((finding) => [objectIn(finding).code, objectIn(finding).state]),
  );
  return {
    looks: total,
    intact: states.get("ledger") === "ok",
    sameImages: states.get("split") === "ok",
  };
}

/** What the checkpoint does about images that it should not answer, where the evaluation says so under `uncertainty`. */
export function uncertaintyFacts(scores: unknown): UncertaintyFacts | undefined {
  const { calibration, risk, sets, labels, outliers, referred, rightOfAnswered } = objectIn(
    objectIn(scores).uncertainty,
  );
  if (!isNumber(risk)) return undefined;
  const { temperature } = objectIn(calibration);
  const { promised } = objectIn(outliers);
  const hasSets = Array.isArray(labels) ? labels.length > 0 : !isText(objectIn(sets).reason);
  return {
    ...(isNumber(temperature) && { temperature }),
    ...(hasSets && { risk }),
    ...(isNumber(promised) && { falseAlarms: promised }),
    ...(referred !== undefined && { referred: estimateOf(referred) }),
    ...(rightOfAnswered !== undefined && { rightOfAnswered: estimateOf(rightOfAnswered) }),
  };
}

const optional = <Name extends string, T>(name: Name, value: T | undefined) =>
  (value === undefined ? {} : { [name]: value }) as { readonly [name in Name]?: T };

/** A number and, beside it, its ends or the reason why there are none. */
function scoreOf(value: unknown, interval: unknown): ScoreFact {
  const [lower, upper] = listIn(interval);
  const { reason } = objectIn(interval);
  return {
    value: isNumber(value) ? value : null,
    ...(isNumber(lower) && isNumber(upper) && { interval: [lower, upper] as const }),
    ...(isText(reason) && { reason }),
  };
}

/** An estimate: value, lower and upper in one object. */
function estimateOf(estimate: unknown): ScoreFact {
  const { value, lower, upper, reason } = objectIn(estimate);
  return scoreOf(value, isText(reason) ? { reason } : [lower, upper]);
}

function perClass(values: unknown, intervals: unknown, count: number): readonly ScoreFact[] | undefined {
  const [list, ends] = [listIn(values), listIn(intervals)];
  return list.length === count ? list.map((value, i) => scoreOf(value, ends[i])) : undefined;
}

function matrixOf(matrix: unknown, count: number): EvaluationFacts["confusion"] {
  const rows = listIn(matrix).map((row) => listIn(row).filter(isNumber));
  const isSquare = rows.length === count && rows.every((row) => row.length === count);
  return isSquare ? rows : undefined;
}

function operatingOf({ threshold, ...point }: Json): EvaluationFacts["operating"] {
  if (!isNumber(threshold)) return undefined;
  const scores = Object.entries(atThreshold).flatMap(([name, title]) =>
    name in point ? [[title, estimateOf(point[name])] as const] : [],
  );
  return { threshold, scores: Object.fromEntries(scores) };
}

function lineOf({ slope, intercept }: Json): EvaluationFacts["calibration"] {
  if (slope === undefined || intercept === undefined) return undefined;
  return { slope: estimateOf(slope), intercept: estimateOf(intercept) };
}

function groupsOf(group: unknown): SubgroupFact[] {
  const { attribute, value, label, samples, scores } = objectIn(group);
  if (!isText(attribute) || !isText(value) || !isNumber(samples)) return [];
  return Object.entries(objectIn(scores)).map(([metric, score]) => ({
    attribute,
    value,
    ...(isText(label) && { label }),
    samples,
    metric,
    inside: estimateOf(objectIn(score).inside),
    difference: estimateOf(objectIn(score).difference),
  }));
}
