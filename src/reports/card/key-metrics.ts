/** The numbers of a model card: what it is good for, whether for everyone, and how far it can be relied on. */

import { characteristics } from "../checklists/answers-of-data.js";
import { scores as scoresInWords, statistics } from "../checklists/answers-of-results.js";
import type { RunFacts, ScoreFact } from "../checklists/facts.js";
import { estimate, judgedInWords, partInWords, sentences } from "../checklists/words.js";
import type { KeyMetric, MetricResult } from "./applied-model-card.js";

const notMeasured = "Not measured.";

/** As the examples of the schema write numbers: with a 95 % interval, or alone. */
function result(Label: string, { value, interval }: ScoreFact): MetricResult[] {
  if (value === null) return [];
  const [lower, upper] = interval ?? [];
  const json = interval
    ? { kind: "estimate_ci", estimate: value, lower, upper, level: 95 }
    : { kind: "single", value };
  return [{ Label, ValueJson: JSON.stringify(json) }];
}

const count = (Label: string, value: number): MetricResult => ({
  Label,
  ValueJson: JSON.stringify({ kind: "single", value, unit: "count" }),
});

/** What all three have in common: the images that were judged, and how. */
function testing(facts: RunFacts): Omit<KeyMetric, "MetricGoal" | "Results" | "Interpretation"> {
  const { evaluation, parts, externalPart, seal } = facts;
  if (!evaluation) {
    return {
      TestType: notMeasured,
      TestingDataDescription: notMeasured,
      ValidationProcessAndJustification: notMeasured,
    };
  }
  const part = evaluation.external
    ? externalPart
    : evaluation.part === "all"
      ? undefined
      : parts?.[evaluation.part];
  const judged = part ? `${partInWords("Judged were", part)}.` : `Judged were ${evaluation.samples} images.`;
  return {
    TestType: evaluation.external
      ? "External test on stored images"
      : evaluation.external === false && evaluation.part === "test"
        ? "Internal test on stored images that were set aside"
        : `Scores on ${judgedInWords(facts)}, which is no test`,
    TestingDataDescription: sentences(judged, characteristics(facts)),
    ValidationProcessAndJustification: sentences(
      statistics(facts),
      "Epoch and thresholds were chosen on validation images.",
      seal &&
        `The ledger of the run counts ${seal.looks} evaluations on the test images; its chain is ${seal.intact ? "whole" : "broken"}.`,
    ),
  };
}

/** Discrimination, and decisions at the threshold. */
export function usefulness(facts: RunFacts): KeyMetric {
  const { evaluation } = facts;
  const { scores = {}, operating } = evaluation ?? {};
  const found = [
    ...Object.entries(scores).flatMap(([name, score]) => result(name, score)),
    ...Object.entries(operating?.scores ?? {}).flatMap(([name, score]) =>
      result(`${name} at threshold ${operating?.threshold.toFixed(3)}`, score),
    ),
  ];
  return {
    MetricGoal: "How well images are told apart, and what calls are worth at the threshold",
    Results: {
      MetricResult: found.length > 0 ? found : [count("Images judged", evaluation?.samples ?? 0)],
    },
    Interpretation: scoresInWords(facts) ?? notMeasured,
    ...testing(facts),
  };
}

/** Differences between groups. */
export function fairnessMetric(facts: RunFacts): KeyMetric {
  const groups = facts.evaluation?.subgroups ?? [];
  const found = groups.flatMap(({ attribute, value, label, metric, difference }) =>
    result(
      `${metric === "auc" ? "AUC" : metric} of ${attribute} ${value}${label === undefined ? "" : `, ${label}`}, less that of all others`,
      difference,
    ),
  );
  const apart = groups.filter(
    ({ difference: { interval } }) => interval && (interval[0] > 0 || interval[1] < 0),
  );
  return {
    MetricGoal: "Whether scores are alike for groups of patients",
    Results: { MetricResult: found.length > 0 ? found : [count("Groups compared", groups.length)] },
    Interpretation:
      groups.length === 0
        ? "No groups were compared: whether the model is as good for everyone is not known."
        : `${groups.length} scores of groups were compared with those of all others; the interval of the difference leaves 0 out in ${apart.length}. An interval with 0 in it is no proof of fairness, and of twenty comparisons one is expected to leave 0 out by chance.`,
    ...testing(facts),
  };
}

/** Whether probabilities come true, and what is done with images that are unlike those of the training. */
export function reliability(facts: RunFacts): KeyMetric {
  const { evaluation, uncertainty } = facts;
  const { calibration, scores = {} } = evaluation ?? {};
  const { risk, falseAlarms, referred, rightOfAnswered } = uncertainty ?? {};
  const error = scores["Calibration error"];
  const found = [
    ...(calibration ? result("Calibration slope (1 is right)", calibration.slope) : []),
    ...(calibration ? result("Calibration intercept (0 is right)", calibration.intercept) : []),
    ...(error ? result("Calibration error", error) : []),
    ...(referred ? result("Share of images referred to a human", referred) : []),
    ...(rightOfAnswered ? result("Share of the others called rightly", rightOfAnswered) : []),
  ];
  return {
    MetricGoal: "Whether probabilities come true, and whether the model says when it does not know",
    Results: {
      MetricResult: found.length > 0 ? found : [count("Images judged", evaluation?.samples ?? 0)],
    },
    Interpretation: sentences(
      calibration && `Calibration slope ${estimate(calibration.slope)}.`,
      falseAlarms === undefined
        ? "Nothing is known by which images unlike those of the training are refused."
        : `Images unlike those of the training are referred, at no more than ${(100 * falseAlarms).toFixed(0)} % false alarms as promised.`,
      risk !== undefined &&
        `Prediction sets miss the truth of at most ${(100 * risk).toFixed(0)} of 100 images like the validation images, as promised.`,
    ),
    ...testing(facts),
  };
}
