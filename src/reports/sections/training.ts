/** How the training went: loss and validation scores over the epochs, and which epoch was kept. */
import type { EpochRecord } from "../../training/history.js";
import { factList } from "../facts.js";
import { trainingCurves } from "../figures/training-curves.js";
import { decimal } from "../numbers.js";
import { figureHtml, type ReportFigure } from "../page-figure.js";
import { tableHtml } from "../tables.js";
import type { ReportSection } from "./section.js";

/** What is known of a training. */
export interface TrainingEvidence {
  /** All epochs, at least one. */
  readonly epochs: readonly EpochRecord[];
  /** Number of the best epoch. */
  readonly best: number | undefined;
}

/** The curves. */
export const trainingFigure = ({ epochs, best }: TrainingEvidence): ReportFigure => ({
  svg: trainingCurves(epochs, best === undefined ? {} : { bestEpoch: best }),
  caption: "Loss, and validation scores, over the epochs; the best epoch is marked.",
});

/** The section. */
export function trainingSection(
  evidence: TrainingEvidence,
  figure = trainingFigure(evidence),
): ReportSection {
  const { epochs, best } = evidence;
  const seconds = epochs.reduce(
    (total, epoch) => total + (Number.isFinite(epoch.seconds) ? epoch.seconds : 0),
    0,
  );
  const kept = epochs.find(({ epoch }) => epoch === best);
  const facts = {
    Epochs: String(epochs.length),
    "Best epoch": best === undefined ? "none: there was nothing to choose by" : String(best),
    Steps: String(epochs.at(-1)?.step ?? 0),
    "Time of all epochs": durationOf(seconds),
  };
  return {
    id: "training",
    heading: "Training",
    body: [factList(facts), figureHtml(figure), kept?.validation ? keptTable(kept, kept.validation) : ""]
      .filter(Boolean)
      .join("\n"),
  };
}

function keptTable({ epoch }: EpochRecord, validation: NonNullable<EpochRecord["validation"]>): string {
  const rows = (
    [
      ["Loss", validation.loss],
      ["Accuracy", validation.accuracy],
      ["Balanced accuracy", validation.balancedAccuracy],
      ["AUC", validation.auc],
      ["Macro F1", validation.macroF1],
    ] as const
  ).map(([name, value]) => [name, decimal(value)]);
  return `${tableHtml({ caption: `Epoch ${epoch}, which was kept, on the validation images`, headings: ["Score", "Value"], rows })}
<p class="note">These have no intervals, because the epoch was chosen by them: they are too good, by an amount that is not known.</p>`;
}

function durationOf(seconds: number): string {
  if (seconds < 90) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
