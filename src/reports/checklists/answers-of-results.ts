/** What a run says of its scores: which, how sure, for whom, and what it cannot do. */
import type { Answer } from "./checklist.js";
import type { EvaluationFacts, RunFacts, SubgroupFact } from "./facts.js";
import { counted, decimal, estimate, judgedInWords, listed, sentences } from "./words.js";

const methodNote =
  "Proportions have Wilson's intervals and their differences between groups Newcombe's, areas DeLong's, ratios those of their logarithm, other scores percentiles of 2,000 bootstrap samples";

/** How numbers and their intervals were made. */
export function statistics({ evaluation }: RunFacts): string | undefined {
  if (!evaluation) return undefined;
  const by =
    evaluation.patients === null
      ? "images count as patients, since whom they are of is not known"
      : `by patient (${evaluation.patients}): images of one patient are drawn or added up together`;
  return `${methodNote}, ${by}. All are 95 % intervals; a number without one has its reason beside it.`;
}

/** Which measures. */
export function measures(facts: RunFacts): string | undefined {
  const { evaluation } = facts;
  if (!evaluation) return undefined;
  const names = Object.keys(evaluation.scores);
  return sentences(
    `Discrimination and decisions: ${listed(names)}${evaluation.sensitivity ? ", sensitivity and specificity of each class" : ""}.`,
    "Plots: ROC curves, confusion matrix, reliability diagram.",
    evaluation.calibration && "Calibration: slope and intercept of the calibration line, calibration error.",
    evaluation.operating &&
      "At the threshold: sensitivity, specificity, predictive values, likelihood ratios.",
    "AUC tells how well images are ranked whatever the threshold, sensitivity and specificity what the threshold makes of it, calibration whether probabilities come true.",
  );
}

/** Measures and how they were estimated. */
export function methods(facts: RunFacts): string | undefined {
  const [which, how] = [measures(facts), statistics(facts)];
  return which === undefined || how === undefined ? undefined : `${which} ${how}`;
}

/** The numbers with their intervals. */
export function scores(facts: RunFacts): string | undefined {
  const { evaluation } = facts;
  if (!evaluation) return undefined;
  const all = Object.entries(evaluation.scores).map(([name, score]) => `${name} ${estimate(score)}`);
  if (all.length === 0) return undefined;
  return `On ${evaluation.samples} ${judgedInWords(facts)}: ${all.join("; ")}.`;
}

/** Sensitivity and specificity, of the threshold or of each class. */
export function accuracy(facts: RunFacts): string | undefined {
  const { evaluation } = facts;
  const found = scores(facts);
  if (!evaluation || found === undefined) return undefined;
  const { operating, classes, sensitivity, specificity } = evaluation;
  const atThreshold =
    operating &&
    `At the threshold ${decimal(operating.threshold)}: ${Object.entries(operating.scores)
      .map(([name, score]) => `${name} ${estimate(score)}`)
      .join("; ")}.`;
  const each = classes.flatMap((name, i) => {
    const [first, second] = [sensitivity?.[i], specificity?.[i]];
    return first && second
      ? [`${name}: sensitivity ${estimate(first)}, specificity ${estimate(second)}`]
      : [];
  });
  return sentences(found, atThreshold, each.length > 0 && `Of each class: ${each.join("; ")}.`);
}

/** Scores with those of groups; without groups not all that is asked. */
export function scoresByGroup(facts: RunFacts): Answer | undefined {
  const found = accuracy(facts);
  if (found === undefined) return undefined;
  const groups = groupsInWords(facts.evaluation?.subgroups);
  return groups === undefined ? { partly: found } : `${found} ${groups}`;
}

function groupsInWords(groups: readonly SubgroupFact[] | undefined): string | undefined {
  if (!groups || groups.length === 0) return undefined;
  const each = groups.map(
    ({ attribute, value, label, samples, metric, inside, difference }) =>
      `${attribute} ${value}${label === undefined ? "" : `, ${label}`} (${counted(samples, "image")}): ${metric === "auc" ? "AUC" : metric} ${estimate(inside)}, difference from all others ${estimate(difference)}`,
  );
  return `By groups: ${each.join("; ")}.`;
}

const attributesOf = ({ subgroups = [] }: EvaluationFacts): string[] => [
  ...new Set(subgroups.map(({ attribute }) => attribute)),
];

/** What was done for fairness: nothing in training, and looking in the evaluation. */
export function fairness({ evaluation, training }: RunFacts): Answer | undefined {
  if (!evaluation || !training) return undefined;
  const none =
    "Training knew no attribute of a patient, and did nothing to make scores of groups alike: no weights, samples or thresholds by group.";
  const attributes = attributesOf(evaluation);
  if (attributes.length === 0)
    return { partly: `${none} Groups were not compared: no column was named to compare by.` };
  return `${none} So that unequal scores are seen, each group of ${listed(attributes)} was compared with all other images, with the interval of the difference.`;
}

/** Comparisons between groups as an analysis of variability. */
export function variability(facts: RunFacts): Answer | undefined {
  const { evaluation } = facts;
  if (!evaluation) return undefined;
  const groups = groupsInWords(evaluation.subgroups);
  if (groups === undefined) return undefined;
  return `${groups} These comparisons are exploratory: none was fixed before the run.`;
}

/** The same as a look at robustness, of which it is not all. */
export function robustness(facts: RunFacts): Answer | undefined {
  const groups = groupsInWords(facts.evaluation?.subgroups);
  return groups === undefined ? undefined : { partly: groups };
}

const clusters = /^(site|center|centre|hospital|scanner|manufacturer|device|country|institution)$/i;

/** How hospitals and the like were treated. */
export function heterogeneity(facts: RunFacts): string | undefined {
  const { evaluation, training } = facts;
  if (!evaluation || !training) return undefined;
  const found = attributesOf(evaluation).filter((name) => clusters.test(name));
  return sentences(
    "One set of weights serves all images; no parameter depends on a hospital or device.",
    evaluation.patients !== null && "Intervals count patients, of whom several images are not independent.",
    found.length > 0
      ? `Scores are compared between the values of ${listed(found)}.`
      : "Heterogeneity of performance between hospitals, devices or countries was not examined.",
  );
}

/** What was found of it. */
export function heterogeneityResults(facts: RunFacts): string | undefined {
  const { evaluation } = facts;
  if (!evaluation) return undefined;
  const own = evaluation.subgroups?.filter(({ attribute }) => clusters.test(attribute));
  return groupsInWords(own) ?? "Not examined: no column of hospitals, devices or countries was compared.";
}

/** What was called what. */
export function confusion({ evaluation }: RunFacts): string | undefined {
  if (!evaluation?.confusion) return undefined;
  const { classes } = evaluation;
  const rows = evaluation.confusion.map((row, truth) => {
    const cells = row.map((count, called) => `${count} called ${classes[called]}`);
    return `of ${row.reduce((sum, count) => sum + count, 0)} ${classes[truth]}: ${cells.join(", ")}`;
  });
  return `${rows.join("; ")}.`;
}

/** The same as an analysis of errors. */
export function failures(facts: RunFacts): string | undefined {
  const found = confusion(facts);
  const matrix = facts.evaluation?.confusion;
  if (found === undefined || !matrix) return undefined;
  const all = matrix.flat().reduce((sum, count) => sum + count, 0);
  const right = matrix.reduce((sum, row, i) => sum + (row[i] ?? 0), 0);
  return sentences(
    `Called wrongly: ${all - right} of ${counted(all, "image")};`,
    found,
    groupsInWords(facts.evaluation?.subgroups),
  );
}

/** Errors and groups, as far as both were looked at. */
export function errorsAndFairness(facts: RunFacts): Answer | undefined {
  const found = failures(facts);
  if (found === undefined) return undefined;
  return facts.evaluation?.subgroups?.length ? found : { partly: found };
}

/** Images that are neither yes nor no. */
export function indeterminate(facts: RunFacts): string | undefined {
  const { evaluation, uncertainty } = facts;
  if (!evaluation) return undefined;
  const { risk, falseAlarms, referred, rightOfAnswered } = uncertainty ?? {};
  const refer =
    risk === undefined && falseAlarms === undefined
      ? "Each image has an answer: the model has no indeterminate results."
      : '`predict` may answer "not sure: refer"; the scores here take each image\'s most probable answer, so that none is left out.';
  return sentences(
    refer,
    referred && `Referred would be ${estimate(referred)} of the images.`,
    rightOfAnswered && `Of the others ${estimate(rightOfAnswered)} are called rightly.`,
    "An image whose label is empty or none of the classes is refused when the data are opened, so that no reference is indeterminate in the run.",
  );
}

/** The network sees pixels alone. */
export function indexBlinding({ evaluation }: RunFacts): string | undefined {
  if (!evaluation) return undefined;
  return "The network is given pixels alone: no label, no clinical fact, no column of the table. Labels are compared with its answers afterwards.";
}

/** Predictors are pixels. */
export function predictors({ network, preprocessing }: RunFacts): string | undefined {
  if (!network || !preprocessing) return undefined;
  return `The only predictors are the pixels of the image, all of them, at ${preprocessing.imageSize} x ${preprocessing.imageSize}; none was selected beforehand, and nothing of the patient beside the image is an input.`;
}

/** The same, but for how and when images were made. */
export function predictorDefinition(facts: RunFacts): Answer | undefined {
  const found = predictors(facts);
  return found === undefined ? undefined : { partly: found };
}

/** The same where somebody may have chosen or cut images. */
export function predictorAssessment(facts: RunFacts): Answer | undefined {
  const found = predictors(facts);
  if (found === undefined) return undefined;
  return { partly: `${found} In the run nobody interprets them.` };
}

/** Judged on images of the same source. */
export function internalTest(facts: RunFacts): Answer | undefined {
  const { evaluation, training } = facts;
  if (evaluation?.external !== false || evaluation.part !== "test") return undefined;
  const found = scores(facts);
  if (found === undefined) return undefined;
  const best = training?.best;
  const onValidation =
    typeof best?.auc === "number" &&
    `On the validation images that chose the epoch, AUC was ${decimal(best.auc)}.`;
  return sentences("Internal test.", found, onValidation);
}

/** Judged on others. */
export function externalTest(facts: RunFacts): Answer | undefined {
  const { evaluation } = facts;
  if (evaluation?.external === undefined) return undefined;
  if (!evaluation.external) return { partly: "This report has no test on external data." };
  return scores(facts);
}

/** How the answers of the run are kept. */
export function outputStorage({ seal, evaluation }: RunFacts): Answer | undefined {
  if (!evaluation) return undefined;
  if (!seal)
    return {
      partly: "`evaluate --json` writes scores and intervals to a file that can be kept and examined.",
    };
  return `Every evaluation on the test images is entered in the run's ledger, whose entries are chained by hashes: ${counted(seal.looks, "evaluation")} so far, chain ${seal.intact ? "whole" : "broken"}, test images ${seal.sameImages ? "those that the checkpoint was sealed with" : "others than the checkpoint was sealed with"}. \`evaluate --json\` writes scores and intervals to a file.`;
}

/** What is done with images that are not as they should be. */
export function poorInput({ uncertainty, software }: RunFacts): Answer | undefined {
  if (!software) return undefined;
  const refused = "An image that cannot be decoded is not answered: `predict` says why in its place.";
  if (uncertainty?.falseAlarms === undefined) return { partly: refused };
  const share = (100 * uncertainty.falseAlarms).toFixed(0);
  return `${refused} One unlike the training images is answered "not sure: refer" with that reason, at no more than ${share} % false alarms as promised; a missing image has no answer.`;
}

/** The method of heat maps, where there are some; whole with how they were checked. */
export function explanation({ explanation }: RunFacts): Answer | undefined {
  if (!explanation || explanation.images === 0) return undefined;
  const { method, images, check } = explanation;
  const maps = `Heat maps by ${method} of ${counted(images, "image")} stand in the report.`;
  return check === undefined ? { partly: maps } : `${maps} ${check}`;
}

/** What labels there are; not how they came about. */
export function outcome({ task, classes }: RunFacts): Answer | undefined {
  if (!classes) return undefined;
  const kind =
    task === "multi-label" ? "any number of these labels an image" : "one of these categories an image";
  return { partly: `Labels are as the data have them: ${kind}, ${listed(classes)}.` };
}

/** What users do; not what they have to know. */
export function interaction({ software }: RunFacts): Answer | undefined {
  if (!software) return undefined;
  return {
    partly:
      "Users name image files; nothing in an image is marked, cropped or chosen by them, and the answer is theirs to judge.",
  };
}

/** The index test itself touches nobody. */
export function harms({ evaluation }: RunFacts): Answer | undefined {
  if (!evaluation) return undefined;
  return { partly: "The model computed on stored images; no patient was examined for it." };
}

/** Limits that can be read off the numbers. */
export function limitations(facts: RunFacts): Answer | undefined {
  const found = limits(facts);
  return found.length === 0 ? undefined : { partly: found.join(" ") };
}

const small = 20;

/** The same as sentences; also for the model card. */
export function limits({ evaluation, audit, seal, division, classes = [] }: RunFacts): string[] {
  if (!evaluation) return [];
  const rare = (evaluation.confusion ?? []).flatMap((row, i) => {
    const count = row.reduce((sum, cell) => sum + cell, 0);
    return count < small ? [`${classes[i] ?? i} (${count})`] : [];
  });
  const slope = evaluation.calibration?.slope;
  const off = slope?.interval && (slope.interval[1] < 1 || slope.interval[0] > 1);
  const few = (evaluation.subgroups ?? []).filter(({ samples }) => samples < small);
  const fewNames = [...new Set(few.map(({ attribute, value }) => `${attribute} ${value}`))];
  return [
    evaluation.external !== true &&
      "This report has no test on external data: how the model does elsewhere it does not say.",
    evaluation.patients === null &&
      "Whom images are of is not known: intervals take images for patients and may be too narrow.",
    rare.length > 0 && `Fewer than ${small} images of ${listed(rare)}.`,
    fewNames.length > 0 && `Fewer than ${small} images in the groups ${listed(fewNames)}.`,
    off && slope && `Probabilities are off systematically: calibration slope ${estimate(slope)}.`,
    audit && !audit.ok && "The audit found what makes scores wrong: see its report.",
    division?.leaksAllowed && "Leaks between parts were allowed.",
    seal && seal.looks > 1 && `The test images were looked at ${seal.looks} times.`,
    seal && !(seal.intact && seal.sameImages) && "The seal of the test images does not hold.",
  ].filter((sentence) => typeof sentence === "string");
}
