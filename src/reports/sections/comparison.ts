/** A second checkpoint on the same images: whether one ranks them better than the other. */
import type { AreaComparison } from "../../metrics/delong.js";
import { escapeMarkup } from "../figures/svg.js";
import { decimal } from "../numbers.js";
import { Reasons, tableHtml } from "../tables.js";
import type { ReportSection } from "./section.js";

/** What is compared. */
export interface ComparisonEvidence extends AreaComparison {
  /** The other checkpoint, by the end of its path. */
  readonly checkpoint: string;
}

/** The section. */
export function comparisonSection(evidence: ComparisonEvidence): ReportSection {
  const { checkpoint, first, second, difference, pValue } = evidence;
  const reasons = new Reasons();
  const rows = [
    ["this checkpoint", first],
    [checkpoint, second],
    ["difference", difference],
  ] as const;
  const chance =
    pValue === undefined ? "" : ` Were both alike, so large a difference would come ${pWords(pValue)}.`;
  const words = `${verdict(evidence)}${chance} Whoever chooses between checkpoints by test images has spent them: the chosen one needs another test.`;
  return {
    id: "comparison",
    heading: "Beside another checkpoint",
    body: `<p>${escapeMarkup(words)}</p>
${tableHtml({
  caption: "Areas under the ROC curve on the same images, with 95 % intervals (DeLong, paired)",
  headings: ["", "AUC"],
  rows: rows.map(([name, estimate]) => [name, reasons.cell(estimate)]),
  reasons,
})}`,
  };
}

function verdict({ checkpoint, difference }: ComparisonEvidence): string {
  const { value, lower, upper, reason } = difference;
  if (reason !== undefined)
    return `Whether this checkpoint or ${checkpoint} ranks these images better cannot be told: ${reason}.`;
  if (lower <= 0 && upper >= 0)
    return `These images do not tell whether this checkpoint or ${checkpoint} ranks better: the interval of the difference holds 0.`;
  return value > 0
    ? `This checkpoint ranks these images better than ${checkpoint}.`
    : `This checkpoint ranks these images worse than ${checkpoint}.`;
}

const pWords = (pValue: number): string =>
  pValue < 0.001 ? "less often than once in 1,000 studies" : `with a probability of ${decimal(pValue)}`;
