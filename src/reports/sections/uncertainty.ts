/** Whether the model knows when it does not know: who is referred, how right it is about the others, what its sets hold. */
import { isAbsent } from "../../checkpoints/assurance.js";
import { percentOf, type ReferralCode } from "../../inference/uncertainty.js";
import type { Estimate } from "../../metrics/estimate.js";
import { escapeMarkup } from "../figures/svg.js";
import type { UncertaintyEvidence } from "../uncertainty-evidence.js";
import type { ReportSection } from "./section.js";

const meanings: Readonly<Record<ReferralCode, string>> = {
  "unlike-training": "not like the training images",
  "several-possible": "several classes are possible",
  "none-possible": "no class is possible",
  "called-ruled-out": "what is called is not among what is possible",
  "labels-undecided": "it cannot be told whether a label is there",
};

/** Shares of images that are answered, of which the errors are told. */
const coverages: readonly number[] = [1, 0.9, 0.75, 0.5];

/** The part of the report's page. All text is escaped. */
export function uncertaintySection(evidence: UncertaintyEvidence): ReportSection {
  const { images, assessedOn, risk } = evidence;
  const source = `By ${assessedOn.validation} validation images, and what ${assessedOn.train} training images look like; at a risk of ${percentOf(risk)}.`;
  const body = [
    `<p class="lead">${escapeMarkup(summaryOf(evidence))}</p>`,
    `<p>${escapeMarkup(source)}</p>`,
    answersTable(evidence),
    reasonsTable(evidence),
    setsTable(evidence),
    riskTable(evidence),
    `<p class="note">${escapeMarkup(limits(evidence))}</p>`,
  ];
  return {
    id: "uncertainty",
    heading: "When it does not know",
    body: images === 0 ? "" : body.filter((part) => part !== "").join("\n"),
  };
}

/** What it comes to, in words. */
export function summaryOf({ referred, right, rightOfAnswered }: UncertaintyEvidence): string {
  const refers = `Of 100 such images it refers ${hundred(referred)} to a human.`;
  if (rightOfAnswered.value === undefined) return `${refers} None is left to answer.`;
  return `${refers} Of 100 that it answers it is right about ${hundred(rightOfAnswered)}; answering all, about ${hundred(right)}.`;
}

function hundred({ value, lower, upper }: Estimate): string {
  if (value === undefined) return "an unknown number";
  const whole = (share: number) => String(Math.round(100 * share));
  if (lower === undefined || upper === undefined) return whole(value);
  return `${whole(value)} (95 % interval ${whole(lower)} to ${whole(upper)})`;
}

type Row = readonly [name: string, estimate: Estimate, meaning: string];

function answersTable({ referred, right, rightOfAnswered, outliers }: UncertaintyEvidence): string {
  const strange: Row[] = isAbsent(outliers)
    ? []
    : [
        [
          "called unlike the training images",
          outliers.called,
          `false alarms, where the images are of the right kind: ${percentOf(outliers.promised)} at most are promised`,
        ],
      ];
  return estimates("Who is referred", [
    ["referred to a human", referred, "for any reason"],
    ["right about those that it answers", rightOfAnswered, "should be more than below"],
    ["right about all", right, "if nothing were referred; called from the threshold on, where there is one"],
    ...strange,
  ]);
}

function reasonsTable({ reasons, images }: UncertaintyEvidence): string {
  const rows = Object.entries(reasons).map(([code, count]) => {
    const name = meanings[code as ReferralCode];
    return `<tr><th scope="row">${escapeMarkup(name)}</th><td class="number">${count} of ${images}</td></tr>`;
  });
  if (rows.length === 0) return "";
  return tableOf("Why they are referred", ["Reason", "Images"], rows);
}

function setsTable({ sets, labels, risk }: UncertaintyEvidence): string {
  const promised = `${percentOf(1 - risk)} or more are promised`;
  if (labels) {
    if (labels.length === 0) return "";
    const rows = labels.flatMap(({ name, coverage, decided }): Row[] => [
      [`truth about ${name} not ruled out`, coverage, promised],
      [`${name} told`, decided, "the others are undecided"],
    ]);
    return estimates("What cannot be ruled out", rows);
  }
  if (isAbsent(sets))
    return `<p>${escapeMarkup(`There are no sets of possible classes: ${sets.reason}.`)}</p>`;
  const { coverage, size, single, empty } = sets;
  const rows: Row[] = [
    ["truth among the possible classes", coverage, promised],
    ["exactly one class is possible", single, "these get an answer"],
    ["no class is possible", empty, "unlike what validation had"],
  ];
  const mean = size.value === undefined ? "" : ` A set has ${size.value.toFixed(2)} classes in the mean.`;
  return `${estimates("What cannot be ruled out", rows)}<p>${escapeMarkup(mean.trim())}</p>`;
}

function riskTable({ riskCoverage }: UncertaintyEvidence): string {
  if (!riskCoverage) return "";
  const { x, y, lower, upper } = riskCoverage;
  const rows = coverages.flatMap((share) => {
    const at = x.findIndex((value) => Math.abs(value - share) < 1e-9);
    if (at < 0) return [];
    const [value, low, high] = [y, lower, upper].map((values) => percent(values[at] ?? Number.NaN));
    // No draw has an error where there is none: that is no certainty.
    const range = low === high ? "none: too few errors to tell" : `${low} to ${high}`;
    return `<tr><th scope="row">${percentOf(share)}</th><td class="number">${value}</td><td class="number">${range}</td></tr>`;
  });
  return tableOf(
    "Errors if only the most certain images are answered, and the most probable class is called",
    ["Answered", "Wrong among them", "95 % interval"],
    rows,
  );
}

/** What may not be concluded. */
function limits({ calibration }: UncertaintyEvidence): string {
  const scaled = isAbsent(calibration)
    ? `Probabilities are as the network gives them: ${calibration.reason}.`
    : `Probabilities are calibrated by a temperature of ${calibration.temperature.toFixed(2)}.`;
  return `${scaled} The promises hold for images drawn as the validation images were, on average over such draws: another scanner, hospital or year voids them. An image that is not called unlike the training images may be so all the same.`;
}

function estimates(caption: string, rows: readonly Row[]): string {
  const lines = rows.map(([name, { value, lower, upper, reason }, meaning]) => {
    const interval =
      lower === undefined || upper === undefined
        ? escapeMarkup(`none, because ${reason}`)
        : `${percent(lower)} to ${percent(upper)}`;
    return `<tr><th scope="row">${escapeMarkup(name)}</th><td class="number">${value === undefined ? "–" : percent(value)}</td><td class="number">${interval}</td><td class="note words">${escapeMarkup(meaning)}</td></tr>`;
  });
  return tableOf(caption, ["", "Share", "95 % interval", "Meaning"], lines);
}

function tableOf(caption: string, headings: readonly string[], rows: readonly string[]): string {
  const head = headings.map((name) =>
    name === ""
      ? "<td></td>"
      : `<th scope="col"${name === "Meaning" ? ' class="words"' : ""}>${escapeMarkup(name)}</th>`,
  );
  const under = headings.length === 4 ? " under" : "";
  return `<h3>${escapeMarkup(caption)}</h3>
<div class="scroll${under}" role="region" aria-label="${escapeMarkup(caption)}" tabindex="0"><table><thead><tr>${head.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
