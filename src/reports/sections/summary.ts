/**
 * What an evaluation comes to, in words that need no statistics: so many of a hundred are found, so many of a hundred are called
 * wrongly, and what to be careful about. Each number has its interval, or the reason why it has none.
 */
import { calibrationLine } from "../../metrics/calibration-line.js";
import { type Estimate, transformed } from "../../metrics/estimate.js";
import { escapeMarkup } from "../figures/svg.js";
import { type Finding, findingsOf, kindOf, peopleOf, type TaskKind, whose } from "../findings.js";
import { counted, decimal, ofHundred, ofHundredWithin, rangeWords } from "../numbers.js";
import type { AnyEvaluation } from "../several-labels.js";
import type { ReportSection } from "./section.js";

/** Which images were judged, in the words of CLAIM 2024. */
export type JudgedImages = "training" | "validation" | "internal test" | "external test";
/** All there are. */
export const judgedImages: readonly JudgedImages[] = [
  "training",
  "validation",
  "internal test",
  "external test",
];

/** What is said of one class or label. */
export interface SummaryFinding {
  readonly name: string;
  /** Images that have it. */
  readonly samples: number;
  /** Probability from which it is called; null where the most probable class is. */
  readonly threshold: number | null;
  readonly sensitivity: Estimate;
  /** Share of those without it that are called. */
  readonly falseAlarms: Estimate;
  /** Share of the calls that is right. */
  readonly precision: Estimate;
  readonly prevalence: Estimate;
  readonly area: Estimate;
}

/** What the summary says, as plain JSON. */
export interface SummaryEvidence {
  readonly kind: TaskKind;
  /** What is counted: "image", "patient", or what images were pooled by. */
  readonly unit: string;
  readonly samples: number;
  /** Not known unless known of all images. */
  readonly patients?: number | undefined;
  /** Share called rightly; of several labels, of images with all labels right. */
  readonly right: Estimate;
  /** The commonest class, and its share: what calling everything so would get right. Not of several labels. */
  readonly commonest?: { readonly name: string; readonly share: number };
  readonly findings: readonly SummaryFinding[];
  /** A sentence for everything to be careful about. */
  readonly cautions: readonly string[];
}

/** What is known beside the evaluation. */
export interface SummaryOptions {
  /** Of two classes: from which probability the second is called. */
  readonly threshold?: number | undefined;
  /** Which images these are. */
  readonly judged?: JudgedImages | undefined;
  /** What else to be careful about, as sentences. */
  readonly cautions?: readonly string[];
  /** What is counted, where that is not images: what they were pooled by. */
  readonly unit?: string;
}

/** @param right  share called rightly, with its interval */
export function summaryOf(
  evaluation: AnyEvaluation,
  right: Estimate,
  options: SummaryOptions = {},
): SummaryEvidence {
  const { threshold, judged, cautions = [] } = options;
  const kind = kindOf(evaluation);
  const { samples, patients } = peopleOf(evaluation);
  const unit = options.unit ?? (patients === samples ? "patient" : "image");
  const found = findingsOf(evaluation, threshold);
  const findings = found.map(summarized);
  const counts = countsOf(evaluation);
  const most = counts?.indexOf(Math.max(...counts)) ?? -1;
  const commonest =
    counts === undefined
      ? undefined
      : { name: evaluation.metrics.classes[most]!, share: counts[most]! / samples };
  const facts = { kind, unit, samples, patients, right, ...(commonest && { commonest }), findings };
  return {
    ...facts,
    cautions: [
      ...aboutImages(facts, judged),
      ...aboutNumbers(facts),
      ...aboutFew(findings, facts),
      ...aboutWidth(findings, kind),
      ...findings.flatMap(aboutArea),
      ...(kind === "two classes" ? aboutProbabilities(found[0]!, evaluation) : []),
      ...cautions,
    ],
  };
}

const summarized = ({ name, threshold, diagnostic, area }: Finding): SummaryFinding => ({
  name,
  samples: diagnostic.truePositives + diagnostic.falseNegatives,
  threshold: threshold ?? null,
  sensitivity: diagnostic.sensitivity,
  falseAlarms: transformed(diagnostic.specificity, (share) => 1 - share),
  precision: diagnostic.positivePredictiveValue,
  prevalence: diagnostic.prevalence,
  area,
});

function countsOf({ metrics }: AnyEvaluation): number[] | undefined {
  if (!("confusionMatrix" in metrics)) return undefined;
  return metrics.confusionMatrix.map((row) => row.reduce((total, count) => total + count, 0));
}

// ---- what to be careful about --------------------------------------------------------------------------------------

/** Images have labels; of classes they are one. */
const having = (kind: TaskKind): string => (kind === "several labels" ? "with" : "of class");
const lacking = (kind: TaskKind): string => (kind === "several labels" ? "without" : "not of class");

type Facts = Omit<SummaryEvidence, "cautions">;

/** Of fewer samples than this hardly anything can be said; the same as a subgroup's. */
const few = 20;
/** An interval wider than this, of a share, leaves open what the share is. */
const wide = 0.2;

const origins: Readonly<Record<JudgedImages, string>> = {
  training:
    "These are images that the classifier was trained on: the numbers say how well it remembers them, and nothing of others.",
  validation:
    "The checkpoint, and its threshold if it has one, were chosen on these very images: on others it will do worse.",
  "internal test":
    "These images are of the same collection as those of the training. Another scanner, hospital or year may be another matter, and has to be measured there.",
  "external test":
    "These images are of another collection than those of the training. What holds here need not hold in a third place.",
};

function aboutImages({ samples, patients, unit }: Facts, judged: JudgedImages | undefined): string[] {
  const origin =
    judged === undefined
      ? "All numbers are of one set of images. Another scanner, hospital or year may be another matter, and has to be measured there."
      : origins[judged];
  if (unit !== "image") return [origin];
  const people =
    patients === undefined
      ? "It is not known of all images whom they are of. If several are of one patient, the intervals are too narrow."
      : `The ${counted(samples, "image")} are of ${counted(patients, "patient")}; the intervals count patients.`;
  return [origin, people];
}

function aboutNumbers({ samples, unit, right, commonest }: Facts): string[] {
  const said: string[] = [];
  if (samples < 100)
    said.push(`These are ${counted(samples, unit)} in all: too few for more than a first look.`);
  if (commonest && right.reason === undefined && right.lower <= commonest.share)
    said.push(
      `Calling all of them ${commonest.name} would be right in ${ofHundred(commonest.share)} of 100. It has not been shown that the classifier does better than that.`,
    );
  return said;
}

/** All kinds of which there are few, in one sentence. */
function aboutFew(findings: readonly SummaryFinding[], { kind, unit }: Facts): string[] {
  const rare = findings.filter(({ samples }) => samples < few);
  if (rare.length === 0) return [];
  const [first, ...others] = rare;
  const list = [
    `${counted(first!.samples, unit)} ${having(kind)} ${first!.name}`,
    ...others.map(({ name, samples }) => `${samples} ${having(kind)} ${name}`),
  ];
  return [
    `There ${first!.samples === 1 ? "is" : "are"} only ${list.join(", ")}: fewer than ${few} say little.`,
  ];
}

/** All shares that their intervals leave open, in one sentence. */
function aboutWidth(findings: readonly SummaryFinding[], kind: TaskKind): string[] {
  const shares = [
    [having(kind), "it may find", "sensitivity"],
    [lacking(kind), "it may call", "falseAlarms"],
  ] as const;
  const open = shares.flatMap(([whose, may, key]) => {
    const ofClasses = findings.flatMap(({ name, [key]: share }) =>
      share.reason === undefined && share.upper - share.lower > wide ? [{ name, share }] : [],
    );
    return ofClasses.map(({ name, share: { lower, upper } }, at) => {
      const range = `${ofHundred(lower)} and ${ofHundred(upper)}`;
      return at === 0
        ? `of 100 ${whose} ${name} ${may} anything between ${range}`
        : `${whose} ${name} between ${range}`;
    });
  });
  if (open.length === 0) return [];
  return [`${open.length === 1 ? "The interval is" : "Intervals are"} wide: ${open.join("; ")}.`];
}

function aboutArea({ name, area }: SummaryFinding): string[] {
  if (area.reason !== undefined || area.lower > 0.5) return [];
  return [
    `It has not been shown that it tells ${name} from the rest better than a coin: the interval of its AUC, ${rangeWords(area)}, ${area.upper < 0.5 ? "lies below" : "includes"} 0.5.`,
  ];
}

function aboutProbabilities({ positive, scores, name }: Finding, evaluation: AnyEvaluation): string[] {
  const { slope, inTheLarge } = calibrationLine(positive, scores, whose(evaluation));
  const said: string[] = [];
  const away = (estimate: Estimate, right: number) =>
    estimate.reason === undefined && (estimate.upper < right || estimate.lower > right);
  if (away(slope, 1))
    said.push(
      `Do not take its probabilities at their word: they are too ${slope.value! < 1 ? "extreme" : "timid"} (calibration slope ${decimal(slope.value, 2)}, ${rangeWords(slope, 2)}; 1 is right).`,
    );
  if (away(inTheLarge, 0))
    said.push(
      `On the whole it gives ${name} too ${inTheLarge.value! < 0 ? "high" : "low"} probabilities for these images (calibration in the large ${decimal(inTheLarge.value, 2)}, ${rangeWords(inTheLarge, 2)}; 0 is right).`,
    );
  return said;
}

// ---- the words -----------------------------------------------------------------------------------------------------

/** As many classes are told of; of more, those that are found least. */
const most = 10;
const least = 5;

/** The section. */
export function summarySection(evidence: SummaryEvidence): ReportSection {
  const cautions = evidence.cautions.map((sentence) => `<li>${escapeMarkup(sentence)}</li>`).join("\n");
  return {
    id: "summary",
    heading: "In short",
    body: `${summaryWords(evidence)}
${cautions === "" ? "" : `<h3>What to be careful about</h3>\n<ul class="findings">${cautions}</ul>`}
<p class="note">In brackets are 95 % intervals: of a hundred such intervals about 95 hold the truth. This is research software, and no medical device.</p>`,
  };
}

/** The sentences, as markup. */
export function summaryWords(evidence: SummaryEvidence): string {
  const { kind, findings } = evidence;
  if (kind === "two classes") return binaryWords(evidence, findings[0]!);
  const shown =
    findings.length <= most
      ? findings
      : findings.toSorted((a, b) => (a.sensitivity.value ?? 2) - (b.sensitivity.value ?? 2)).slice(0, least);
  const which =
    findings.length <= most
      ? ""
      : `<p>Of ${findings.length} ${kind === "several labels" ? "labels" : "classes"}, the ${least} that it finds least; the others are in the table by class:</p>`;
  const items = shown.map((finding) => `<li>${findingWords(evidence, finding)}</li>`).join("\n");
  return `<p class="lead">${overallWords(evidence)}</p>\n${which}<ul class="findings">${items}</ul>`;
}

const units = ({ unit }: SummaryEvidence): string => escapeMarkup(`${unit}s`);

function binaryWords(evidence: SummaryEvidence, finding: SummaryFinding): string {
  const { name, precision, prevalence, area, threshold } = finding;
  const from =
    threshold === null
      ? "where it is the more probable of the two"
      : `from a probability of ${decimal(threshold)} on`;
  const called = ofHundredWithin(precision);
  const worth =
    called === undefined
      ? `What a call is worth cannot be said, because ${escapeMarkup(precision.reason!)}.`
      : `Of 100 that it calls, ${escapeMarkup(called)} have it, where ${ofHundred(prevalence.value ?? 0)} of 100 have it as here; where it is rarer, fewer of its calls are right.`;
  const pairs = ofHundredWithin(area);
  const ranking =
    pairs === undefined
      ? `How well it ranks cannot be said, because ${escapeMarkup(area.reason!)}.`
      : `Of 100 pairs of one with and one without, it gives the one with it the higher probability in ${escapeMarkup(pairs)}; a coin would in 50.`;
  return `<p class="lead">${findingWords(evidence, finding)}</p>
<p>${worth} ${ranking} <b>${escapeMarkup(name)}</b> is called ${from}.</p>`;
}

/** How it does on the whole. */
function overallWords(evidence: SummaryEvidence): string {
  const { kind, right, commonest } = evidence;
  const share = ofHundredWithin(right);
  if (share === undefined)
    return `How often it is right cannot be said, because ${escapeMarkup(right.reason!)}.`;
  if (kind === "several labels")
    return `Of 100 ${units(evidence)} it gets all labels right in ${escapeMarkup(share)}.`;
  const baseline = commonest
    ? ` Calling all of them ${escapeMarkup(commonest.name)} would be right in ${ofHundred(commonest.share)}.`
    : "";
  return `Of 100 ${units(evidence)} it calls ${escapeMarkup(share)} rightly.${baseline}`;
}

/** "Of 100 images of class pneumonia it finds 94 (89 to 97); of 100 others it calls 12 (8 to 17)." */
function findingWords(evidence: SummaryEvidence, finding: SummaryFinding): string {
  const { kind } = evidence;
  const { sensitivity, falseAlarms, name } = finding;
  const bold = `<b>${escapeMarkup(name)}</b>`;
  const found = ofHundredWithin(sensitivity);
  const alarms = ofHundredWithin(falseAlarms);
  const first =
    found === undefined
      ? `How much of ${bold} it finds cannot be said, because ${escapeMarkup(sensitivity.reason!)}`
      : `Of 100 ${units(evidence)} ${having(kind)} ${bold} it finds ${escapeMarkup(found)}`;
  const second =
    alarms === undefined
      ? `how often it calls it wrongly cannot be said, because ${escapeMarkup(falseAlarms.reason!)}`
      : `of 100 ${kind === "several labels" ? "without" : "others"} it calls ${escapeMarkup(alarms)}${kind === "several labels" ? "" : " so"}`;
  return `${first}; ${second}.`;
}
