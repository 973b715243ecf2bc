/**
 * What a report shows: a verdict, and beside it the mistakes that it is surest of, which images there were, by what the numbers
 * came about, and the checklists as far as all of this answers them. `train` and `evaluate` both write theirs with this.
 */
import type { Checkpoint } from "../checkpoints/checkpoint.js";
import type { LabelledImages, SplitName } from "../data/index.js";
import { packageVersion } from "../native/package-version.js";
import type { EvaluationReport } from "../reports/evaluation-report.js";
import { pictureMistakes } from "../reports/mistake-pictures.js";
import { mistakesOf } from "../reports/mistakes.js";
import { checklistSection } from "../reports/sections/checklists.js";
import { dataEvidenceOf } from "../reports/sections/data.js";
import type { RunEvidence } from "../reports/sections/run.js";
import type { EpochRecord } from "../training/history.js";
import type { JudgingProgress } from "./judged-images.js";
import { runFacts, usualColumnsOf } from "./run-facts.js";
import type { RunPlan } from "./run-plan.js";
import { type Verdict, verdictJson, verdictReport } from "./verdict.js";

/** What there is to report. */
export interface ReportedStudy {
  readonly checkpoint: Checkpoint;
  readonly verdict: Verdict;
  /** The images that were judged. */
  readonly dataset: LabelledImages;
  /** The data's name as it is to be told: never a path. */
  readonly dataName: string;
  /** The data of the training, where they are open. */
  readonly parts?: Readonly<Record<SplitName, LabelledImages>> | undefined;
  /** Whether those came divided. */
  readonly divided?: boolean | undefined;
  readonly plan?: RunPlan | undefined;
  readonly history?: readonly EpochRecord[] | undefined;
  /** Whether the page has pictures of mistakes, which are pictures of patients. */
  readonly images: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: JudgingProgress) => void;
}

/** For `writeReport`, which wants a title, a description and facts beside. */
export async function studyReport(study: ReportedStudy) {
  const { checkpoint, verdict, dataset, dataName, parts, plan, history } = study;
  const { part, evaluation, threshold, seal } = verdict;
  const { name, precision } = checkpoint.model.device;
  const { model: device = name, simd, threads } = checkpoint.model.device.describe();
  const found = mistakesOf(evaluation, { threshold });
  const mistakes = study.images && found.wrong > 0 ? await pictured(found, study) : found;
  const own = part === "all" ? undefined : { [part]: dataset };
  const facts = await runFacts({
    checkpoint,
    path: checkpoint.path,
    plan,
    history,
    divided: study.divided,
    dataName,
    ...(seal.test === "external" ? { external: dataset } : { parts: parts ?? own }),
    columns: usualColumnsOf(dataset),
    scores: verdictJson(verdict),
    computing: { device, precision },
    ...(mistakes !== found && { explanation: { method: "occlusion", images: mistakes.surest.length } }),
  });
  const shown = verdictReport(verdict);
  return {
    ...shown,
    mistakes,
    data: dataEvidenceOf(parts ?? { [part]: dataset }),
    run: {
      ...settingsOf(study),
      device: `${name} ${device}`,
      precision,
      simd,
      threads,
      checkpoint: facts.checkpoint?.sha256,
    },
    sections: [...shown.sections, checklistSection(facts)],
  } satisfies Partial<EvaluationReport>;
}

function pictured(
  mistakes: ReturnType<typeof mistakesOf>,
  { checkpoint, dataset, signal, onProgress }: ReportedStudy,
): ReturnType<typeof pictureMistakes> {
  const tell = (progress: { done: number; total: number }) => onProgress({ type: "picturing", ...progress });
  return pictureMistakes(mistakes, dataset, { classifier: checkpoint, signal, onProgress: tell });
}

function settingsOf({ checkpoint, plan }: ReportedStudy): RunEvidence {
  return {
    versions: { medmamba: packageVersion, Node: process.version },
    seed: plan?.settings.seed,
    settings: { ...(plan?.model ?? checkpoint.config), ...checkpoint.preprocessing, ...plan?.settings },
  };
}
