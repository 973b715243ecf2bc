/** Whether a checkpoint knows when it does not know, as lines of 80 columns. */
import { isAbsent } from "../../checkpoints/assurance.js";
import { percentOf } from "../../inference/uncertainty.js";
import type { Estimate } from "../../metrics/estimate.js";
import type { UncertaintyEvidence } from "../../reports/uncertainty-evidence.js";
import { columns, decimals, lineWidth, wrapped } from "./wording.js";

export function uncertaintyLines(evidence: UncertaintyEvidence): string[] {
  const { risk, referred, right, rightOfAnswered, sets, labels = [], outliers, riskCoverage } = evidence;
  const kept = isAbsent(sets)
    ? labels.map(({ name, coverage }) => row(`truth about ${name} not ruled out`, coverage))
    : [row("truth among the possible", sets.coverage), row("exactly one is possible", sets.single)];
  const rows = [
    ["", "share", "95 % interval"],
    row("referred to a human", referred),
    row("right about the answered", rightOfAnswered),
    row("right about all", right),
    ...kept,
    ...(isAbsent(outliers) ? [] : [row("called unlike the training", outliers.called)]),
    ...(riskCoverage ? [row("mean risk over coverages", riskCoverage.area)] : []),
  ];
  const absent = [
    ...(isAbsent(sets) && labels.length === 0 ? [`No classes are ruled out: ${sets.reason}.`] : []),
    ...(isAbsent(outliers) ? [`Images of another kind cannot be told: ${outliers.reason}.`] : []),
  ];
  return [
    "",
    `  When it does not know, at a risk of ${percentOf(risk)}:`,
    ...columns(rows, { longest: 44 }).map((line) => `  ${line}`),
    ...absent.flatMap((sentence) => wrapped(sentence, lineWidth - 2)).map((line) => `  ${line}`),
  ];
}

function row(name: string, { value, lower, upper }: Estimate): string[] {
  const interval = lower === undefined ? "-" : `${decimals(lower)} to ${decimals(upper)}`;
  return [name, decimals(value), interval];
}
