/**
 * The threshold in use and, where one was chosen for a wish ("find at least 95 of 100"), what it became: on the validation images
 * that it was chosen on, which flatters it, and on these, which had no part in it.
 */
import type { DiagnosticMetrics } from "../../metrics/diagnostic.js";
import type { Estimate } from "../../metrics/estimate.js";
import type { ThresholdCriterion } from "../../metrics/threshold.js";
import { escapeMarkup } from "../figures/svg.js";
import { decimal, ofHundred, ofHundredWithin } from "../numbers.js";
import { type Cell, Reasons, tableHtml } from "../tables.js";
import { measures } from "./classes.js";
import { originWords, type ThresholdOrigin } from "./seal.js";
import type { ReportSection } from "./section.js";

/** A threshold that was chosen for a wish, and what it does to the images that are judged. */
export interface ChosenEvidence extends DiagnosticMetrics {
  /** Probability of the second class from which it is called. */
  readonly threshold: number;
  /** What was wished for. */
  readonly criterion: ThresholdCriterion;
  /** What it does to the images that it was chosen on. */
  readonly validation: DiagnosticMetrics;
}

/** What the section tells. */
export interface OperatingPointEvidence {
  /** The finding, the second of two classes. */
  readonly name: string;
  /** The other class. */
  readonly other: string;
  /** The checkpoint's. */
  readonly threshold?: number | undefined;
  /** Who chose it; not known unless given. */
  readonly thresholdFrom?: ThresholdOrigin | undefined;
  /** What it does to these images. */
  readonly diagnostic?: DiagnosticMetrics | undefined;
  /** One chosen for a wish. */
  readonly chosen?: ChosenEvidence | undefined;
}

/** The section. */
export function operatingPointSection(evidence: OperatingPointEvidence): ReportSection {
  const { name, other, threshold, thresholdFrom = "unknown", diagnostic, chosen } = evidence;
  const own =
    threshold === undefined || diagnostic === undefined
      ? "<p>The checkpoint has no threshold: the more probable class is called.</p>"
      : `<p>The checkpoint calls <b>${escapeMarkup(name)}</b> from a probability of ${decimal(threshold)} on, ${originWords[thresholdFrom]}.</p>
${countTable(`Calls at the threshold ${decimal(threshold)}`, [name, other], diagnostic)}`;
  return {
    id: "operating-point",
    heading: "Operating point",
    body: chosen === undefined ? own : `${own}\n${chosenPart(evidence, chosen)}`,
  };
}

/** Images by what they are and what they are called. */
function countTable(
  caption: string,
  [name, other]: readonly [string, string],
  counts: DiagnosticMetrics,
): string {
  const { truePositives, falsePositives, trueNegatives, falseNegatives } = counts;
  return tableHtml({
    caption,
    headings: ["", `called ${name}`, `called ${other}`, "together"],
    rows: [
      [`is ${name}`, truePositives, falseNegatives],
      [`is ${other}`, falsePositives, trueNegatives],
    ].map(([row, called, passed]) => [
      String(row),
      String(called),
      String(passed),
      String(Number(called) + Number(passed)),
    ]),
  });
}

function chosenPart({ name, other }: OperatingPointEvidence, chosen: ChosenEvidence): string {
  const { criterion, threshold, validation } = chosen;
  const reasons = new Reasons();
  const rows = measures.map(([measure, key]): Cell[] => [
    measure,
    reasons.cell(validation[key] as Estimate),
    reasons.cell(chosen[key] as Estimate),
  ]);
  return `<h3>Chosen for a wish: ${escapeMarkup(wishOf(criterion, name))}</h3>
<p>${escapeMarkup(keptWords(criterion, chosen))}</p>
${countTable(`Calls at the chosen threshold ${decimal(threshold)}`, [name, other], chosen)}
${tableHtml({
  caption: `The chosen threshold ${decimal(threshold)} on the validation images, which it was chosen on, and on these`,
  headings: ["Measure", "Validation", "These images"],
  rows,
  reasons,
})}`;
}

/** What was wished for, in words. */
export function wishOf(criterion: ThresholdCriterion, name: string): string {
  switch (criterion.criterion) {
    case "youden":
      return "the largest sum of sensitivity and specificity";
    case "sensitivity":
      return `at least ${ofHundred(criterion.atLeast)} of 100 with ${name} are to be found`;
    case "specificity":
      return `at least ${ofHundred(criterion.atLeast)} of 100 without ${name} are to be let go`;
    default:
      return "the least cost of misses and false alarms";
  }
}

/** Whether the wish came true on images that had no part in it. */
function keptWords(criterion: ThresholdCriterion, chosen: ChosenEvidence): string {
  const { threshold } = chosen;
  const start = `From a probability of ${decimal(threshold)} on, chosen on validation images:`;
  if (!("atLeast" in criterion))
    return `${start} of 100 with it, ${ofHundredWithin(chosen.sensitivity) ?? "an unknown number"} are found; of 100 without, ${ofHundredWithin(chosen.specificity) ?? "an unknown number"} are let go.`;
  const estimate = criterion.criterion === "sensitivity" ? chosen.sensitivity : chosen.specificity;
  const became = ofHundredWithin(estimate);
  if (became === undefined)
    return `${start} what became of the wish here cannot be said, because ${estimate.reason}.`;
  const [value, atLeast] = [estimate.value!, criterion.atLeast];
  const verdict =
    estimate.reason === undefined && estimate.lower >= atLeast
      ? "The wish is kept, the whole interval included."
      : value >= atLeast
        ? "The wish is kept by these images, but the interval reaches below it."
        : estimate.reason === undefined && estimate.upper < atLeast
          ? "The wish is not kept: the whole interval lies below it."
          : "The wish is not kept by these images, though the interval includes it.";
  return `${start} here ${became} of 100. ${verdict}`;
}
