/** Carrying out a planned run: data, model, `fit`, then a verdict on images that were not learned from. */
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { type InitialWeights, initialWeights } from "../checkpoints/initial-weights.js";
import { type DataIdentity, dataIdentity, isSameSplit } from "../data/contents.js";
import {
  describeDataset,
  type LabelledImages,
  type OpenedDataset,
  openDataset,
  splitNames,
} from "../data/index.js";
import { oddStatistics } from "../data/preprocessing.js";
import type { Group, Place } from "../distributed/group.js";
import { StudyError } from "../errors.js";
import { tellingOthers } from "../inference/shared-rows.js";
import { MedMamba } from "../models/medmamba.js";
import { writeReport } from "../reports/evaluation-report.js";
import { trainingCurves } from "../reports/figures/training-curves.js";
import type { Settings } from "../settings/kind.js";
import type { Device } from "../tensor/device.js";
import { manualSeed } from "../tensor/generator.js";
import { fit } from "../training/fit.js";
import type { FitResult } from "../training/fit-options.js";
import type { FitProgress } from "../training/observers/observer.js";
import type { Extension } from "../training/resumption.js";
import { resolveClassWeights } from "../training/settings.js";
import { replaceText } from "../weights/atomic-file.js";
import { groupsOf } from "./groups.js";
import type { Judging, JudgingProgress } from "./judged-images.js";
import { writeEntry } from "./ledger.js";
import { begin, knownStart, trained } from "./milestones.js";
import { type RunStart, runFiles } from "./run-directory.js";
import { usualColumnsOf } from "./run-facts.js";
import { lockRun } from "./run-lock.js";
import type { RunPlan } from "./run-plan.js";
import { cameDivided } from "./run-remains.js";
import { describedToAll } from "./shared-description.js";
import { studyReport } from "./study-report.js";
import { evaluateJudged, judge, type Verdict } from "./verdict.js";

/** What came of a run. */
export interface StudyOutcome {
  readonly result: FitResult;
  /** The checkpoint to use: the best, or the last where there are no validation images. */
  readonly checkpoint: string;
  /** On the test images, else the validation images; undefined if there are neither, or the run was stopped. */
  readonly verdict?: Verdict & { readonly split: "test" | "val" };
  /** Names of the figures and the report in the run's folder. */
  readonly files: readonly string[];
}

/** What a run tells on its way. */
export type StudyProgress =
  | FitProgress
  | JudgingProgress
  /** Data and model are there, nothing has been replaced yet. */
  | {
      readonly type: "prepared";
      readonly plan: RunPlan;
      readonly dataset: OpenedDataset<LabelledImages>;
      readonly model: MedMamba;
      /** What was taken from the weights to start from. */
      readonly initial: InitialWeights | undefined;
      /** Settings that were taken from there, too. */
      readonly inherited: Settings | undefined;
      /** Where the run goes on with other epochs than it was planned with. */
      readonly extension: Extension | undefined;
      /** Processes that carry it out together; undefined of one alone. */
      readonly group: Place | undefined;
      /** How many did so before, where the run is resumed. */
      readonly worldSize: number | undefined;
      /** Why gradients pass through the first process; undefined where an engine carries them. */
      readonly detour: string | undefined;
    };

/** Where and how a run is carried out. */
export interface StudyOptions {
  readonly device: Device;
  /** Processes that carry the run out together, each of which calls this; rank 0 alone writes. */
  readonly group?: Group | undefined;
  /** Where decoded images are kept, as `openDataset` takes it. */
  readonly cache?: string | undefined;
  /** Whether the report has pictures of mistakes, which are pictures of patients; default true. */
  readonly images?: boolean | undefined;
  /** When aborted, the step is finished and saved, and the outcome returned without a verdict. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: StudyProgress) => void;
}

/**
 * Carries out what `planStart` has planned, and leaves checkpoints, history, figures and a report in the run's folder.
 *
 * @throws StudyError if another process carries out a run in the folder, or it cannot be written to
 * @throws what `openDataset`, `initialWeights`, `fit` and `evaluate` throw
 */
export async function carryOut(start: RunStart, options: StudyOptions): Promise<StudyOutcome> {
  if ((options.group?.rank ?? 0) > 0) return carryOutAlone(start, options);
  const lock = await lockRun(start.directory); // Before data are read, which may take long.
  try {
    return await carryOutAlone(start, options);
  } finally {
    await lock.release();
  }
}

async function carryOutAlone(start: RunStart, options: StudyOptions): Promise<StudyOutcome> {
  const { device, group, signal, onProgress } = options;
  const { directory, resume } = start;
  const isFirst = (group?.rank ?? 0) === 0;
  const plan: RunPlan = {
    ...start.plan,
    settings: { ...start.plan.settings, precision: device.precision },
  };
  const odd = oddStatistics(plan.preprocessing);
  const from = resume ? "The run began so and goes on so" : "The weights to start from were trained so";
  if (odd !== undefined) onProgress({ type: "warning", message: `${odd}. ${from}.` });
  const dataset = await openForTraining(plan, start.contents?.classes, options);
  const contents = await dataIdentity(dataset, signal);
  await group?.expectSame("images", contents);
  if (start.contents) expectSameImages(plan.data, start.contents, contents);
  const known = isFirst ? await knownStart(start, plan, dataset, contents, signal) : undefined;
  const { preprocessing, settings, saveEvery, recompute, graphs } = plan;
  resolveClassWeights(settings.classWeights, dataset.train); // Before anything is done: they may be of other classes.
  manualSeed(settings.seed);
  const model = new MedMamba({
    ...plan.model,
    inChannels: preprocessing.channels,
    numClasses: dataset.classes.length,
    device,
  });
  try {
    const { classes } = dataset;
    const initial =
      plan.init !== undefined && !resume && isFirst
        ? await initialWeights(plan.init, model, { classes })
        : undefined;
    const { inherited, extension, worldSize } = start;
    const detour = group && !group.isAlone ? (await group.connect(device)).detour : undefined;
    const told = { plan, dataset, model, initial, inherited, extension, group, worldSize, detour };
    onProgress({ type: "prepared", ...told });
    const result = await fit(model, {
      ...settings,
      train: dataset.train,
      validation: dataset.val.length > 0 ? dataset.val : undefined,
      directory,
      resume,
      extend: plan.extensions !== undefined,
      saveEvery,
      recompute,
      graphs,
      provenance: { split: plan.split, opening: plan.opening, data: contents, run: known?.identity },
      group,
      signal,
      onProgress,
      // Only then is anything replaced: what cannot be trained leaves an earlier run as it was.
      observers: known ? [{ begin: () => begin(known) }] : [],
    });
    const best = join(directory, runFiles.best);
    const checkpoint = result.best && existsSync(best) ? best : join(directory, runFiles.last);
    const end = { directory, checkpoint, ...options };
    const isDone = result.stopped !== "aborted";
    const outcome = await tellingOthers(group, undefined, async () => {
      if (isDone && isFirst) await writeEntry(directory, await trained(directory, plan, contents, result));
      const concluded = isDone ? await conclude(model, dataset, plan, result, end) : { files: [] };
      // Nobody leaves before: a launcher may take the first that does for the end of all, as Slurm's WaitTime.
      await group?.barrier();
      return concluded;
    });
    return { result, checkpoint, ...outcome };
  } finally {
    model.dispose();
  }
}

/** @throws StudyError if images, labels or classes are not those that a run began with */
function expectSameImages(data: string, before: DataIdentity, now: DataIdentity): void {
  const differing = splitNames.filter((name) => !isSameSplit(before[name], now[name]));
  if (differing.length === 0 && before.classes.join() === now.classes.join()) return;
  const counts = differing.map(
    (name) => `${name}: ${before[name].images} images then, ${now[name].images} now`,
  );
  throw new StudyError(
    `the images in ${data} are others than those that the run began with (${counts.join("; ") || "other classes"}): put them back to resume, name where they are with --data, or train further from the run's weights with --init and another --out.`,
  );
}

/** @param before  the classes that the run began with, which may have been numbers where there are names today */
function openForTraining(
  plan: RunPlan,
  before: readonly string[] | undefined,
  { signal, cache, onProgress }: StudyOptions,
): Promise<OpenedDataset<LabelledImages>> {
  const numbered = before?.every((name, label) => name === String(label));
  return openDataset(plan.data, {
    preprocessing: plan.preprocessing,
    ...plan.opening,
    cache,
    ...plan.split,
    ...plan.limits,
    ...(before && numbered && { classes: before }),
    leaks: plan.allowLeaks ? "warn" : "remove",
    onWarning: (message) => onProgress({ type: "warning", message }),
    onProgress: (progress) => onProgress({ type: "reading", ...progress }),
    signal,
  });
}

/** Judges the best weights, which the model holds now, by all processes; the first one writes figures and report. */
async function conclude(
  model: MedMamba,
  dataset: OpenedDataset<LabelledImages>,
  plan: RunPlan,
  { history, best }: FitResult,
  {
    directory,
    checkpoint,
    images: pictures = true,
    group,
    onProgress,
  }: StudyOptions & { directory: string; checkpoint: string },
): Promise<Pick<StudyOutcome, "verdict" | "files">> {
  const split = dataset.test.length > 0 ? "test" : "val";
  const images = dataset[split];
  const isFirst = (group?.rank ?? 0) === 0;
  if (images.length === 0) {
    if (!isFirst) return { files: [] };
    const curves = trainingCurves(history, best && { bestEpoch: best.epoch });
    await replaceText(join(directory, runFiles.curves), curves);
    return { files: [runFiles.curves] };
  }
  const judging: Judging = {
    data: plan.data,
    asked: {},
    batchSize: 32,
    signal: new AbortController().signal, // What is trained is judged, whatever comes.
    group,
    onProgress,
  };
  const judged = { dataset: images, part: split } as const;
  const described = { ...(await describedToAll(group, checkpoint)), path: checkpoint, model };
  if (!isFirst) {
    await evaluateJudged(described, judged, judging);
    return { files: [] };
  }
  const columns = usualColumnsOf(images);
  const attributes = columns.length === 0 ? undefined : groupsOf(columns, images);
  const verdict = await judge(described, judged, judging, { by: "train", attributes });
  const { samples } = verdict.evaluation.metrics;
  const name = split === "test" ? "test images" : "validation images";
  const files = await writeReport(directory, {
    title: `MedMamba on ${samples} ${name}`,
    description: `A training of ${history.length} epochs, judged on images that its weights were not fitted to.`,
    facts: {
      Checkpoint: `${basename(resolve(directory))}/${basename(checkpoint)}`, // Not where it is on this machine.
      ...(best && { "Best epoch": `${best.epoch} of ${history.length}` }),
      Images: describeDataset(images),
    },
    ...(await studyReport({
      checkpoint: described,
      verdict,
      dataset: images,
      dataName: basename(plan.data),
      parts: { train: dataset.train, val: dataset.val, test: dataset.test },
      plan,
      history,
      divided: await cameDivided(plan.data, plan.opening),
      images: pictures,
      signal: judging.signal,
      onProgress,
    })),
    history: { epochs: history, best: best?.epoch },
    onWarning: (message) => onProgress({ type: "warning", message }),
  });
  return { verdict: { ...verdict, split }, files };
}
