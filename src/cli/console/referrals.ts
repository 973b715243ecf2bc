/** "Not sure: refer": which images a human should look at, and why, for people. */
import { InvalidArgumentError, Option } from "commander";
import { isAbsent, risksOf, setsAt } from "../../checkpoints/assurance.js";
import type { Classifier } from "../../inference/predict.js";
import {
  defaultRisk,
  type Judgement,
  type JudgingOptions,
  listed,
  percentOf,
} from "../../inference/uncertainty.js";
import { taskOf } from "../../tasks/index.js";
import { lineWidth, plural, wrapped } from "./wording.js";

/** The share of true classes that sets may miss. */
export const riskOption = (): Option =>
  new Option(
    "--risk <share>",
    "of true classes that the possible ones may miss, one of those that `medmamba info` lists (default: 0.1)",
  ).argParser((text) => {
    const risk = Number(text);
    if (text.trim() !== "" && risk > 0 && risk < 1) return risk;
    throw new InvalidArgumentError("It has to be a number above 0 and below 1, such as 0.05.");
  });

/** Under the line of an image that is referred: why. */
export function whyReferred({ decision, reasons = [] }: Partial<Judgement>): string[] {
  if (decision !== "refer") return [];
  const text = `because ${reasons.map(({ sentence }) => sentence).join("; ")}`;
  return wrapped(text, lineWidth - 4).map((line, i) => (i === 0 ? `  ${line}` : `    ${line}`));
}

/** A prediction as far as it is counted. */
interface Judged extends Pick<Partial<Judgement>, "decision"> {
  readonly error?: unknown;
}

/** Below all predictions: how many are referred, and by what a checkpoint cannot tell. */
export function referralLines(
  classifier: Pick<Classifier, "assurance" | "classes" | "task">,
  predictions: readonly Judged[],
  { refer = true, risk = defaultRisk }: JudgingOptions,
): string[] {
  if (!refer) return [];
  const { assurance } = classifier;
  if (assurance === undefined)
    return paragraph(
      "Whether a human should look is not known of this checkpoint: train it anew with validation images.",
    );
  const severalLabels = taskOf(classifier).name === "multi-label";
  const judged = predictions.filter(({ error }) => error === undefined);
  const referred = judged.filter(({ decision }) => decision === "refer").length;
  const lines = judged.some(({ decision }) => decision !== undefined)
    ? [`${referred} of ${plural(judged.length, "image")} to be referred.`]
    : [];
  if (setsAt(assurance, risk, severalLabels) === undefined) {
    const others = risksOf(assurance, severalLabels).map(percentOf);
    const why = isAbsent(assurance.sets)
      ? assurance.sets.reason
      : `validation has too few images of a class; --risk takes ${listed(others, "or")}`;
    lines.push(`Classes cannot be ruled out at a risk of ${percentOf(risk)}: ${why}.`);
  }
  if (isAbsent(assurance.outliers))
    lines.push(`Images of another kind cannot be told: ${assurance.outliers.reason}.`);
  return paragraph(lines.join(" "));
}

const paragraph = (text: string): string[] => ["", ...wrapped(text, lineWidth)];
