/** What a run can say of itself, gathered from what it leaves: checkpoint, plan, history, data, scores and an audit. */
import { basename } from "node:path";
import type { AuditReport } from "../audit/report.js";
import type { CheckpointDescription } from "../checkpoints/checkpoint.js";
import { describeWeights } from "../checkpoints/describe.js";
import { countLabels, type LabelledImages } from "../data/dataset.js";
import { type SplitName, splitNames } from "../data/index.js";
import type { Opening } from "../data/sources/opening.js";
import { packageVersion } from "../native/package-version.js";
import { evaluationFacts, sealFacts, uncertaintyFacts } from "../reports/checklists/evaluation-facts.js";
import type {
  AuditFacts,
  ColumnFact,
  DivisionFacts,
  PartFacts,
  RunFacts,
  TrainingFacts,
} from "../reports/checklists/facts.js";
import { taskOf } from "../tasks/index.js";
import type { EpochRecord } from "../training/history.js";
import { type TrainingSettings, trainingSettings } from "../training/settings.js";
import { fileHash } from "../weights/file-hash.js";
import { numberOf } from "./groups.js";
import type { RunPlan } from "./run-plan.js";

/** What a run leaves; what is not there stays unknown. */
export interface RunRemains {
  readonly checkpoint: CheckpointDescription;
  /** Its file, for its name, its hash and the number of parameters. */
  readonly path?: string | undefined;
  readonly plan?: RunPlan | undefined;
  readonly history?: readonly EpochRecord[] | undefined;
  /** The data set's name as it is to be told: never a path. */
  readonly dataName?: string | undefined;
  /** The data of the training, divided as there. */
  readonly parts?: Readonly<Partial<Record<SplitName, LabelledImages>>> | undefined;
  /** Whether those came divided, as `cameDivided` tells. */
  readonly divided?: boolean | undefined;
  /** Other data that were judged. */
  readonly external?: LabelledImages | undefined;
  /** Columns to be told of, by their titles: no others are. */
  readonly columns?: readonly string[] | undefined;
  /** What `evaluate --json` prints. */
  readonly scores?: unknown;
  readonly audit?: AuditReport | undefined;
  readonly computing?: RunFacts["computing"] | undefined;
  readonly explanation?: RunFacts["explanation"] | undefined;
}

/**
 * The facts. No path and no patient is in them.
 *
 * @throws what reading the checkpoint's file throws
 */
export async function runFacts(remains: RunRemains): Promise<RunFacts> {
  const { checkpoint, path, plan, history, dataName, parts, external, columns = [] } = remains;
  const { scores, audit, computing, explanation } = remains;
  const { config, classes, preprocessing, threshold, thresholds, provenance } = checkpoint;
  const { numbers } = path === undefined ? {} : await describeWeights(path);
  const file = path === undefined ? undefined : { file: basename(path), sha256: await fileHash(path) };
  const isExternal = external !== undefined ? true : parts === undefined ? undefined : false;
  const opening = (plan?.opening ?? provenance?.opening ?? {}) as Opening;
  return withoutUndefined({
    software: {
      name: "medmamba",
      version: packageVersion,
      license: "MIT",
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
    },
    checkpoint: file,
    runKept: plan !== undefined,
    computing,
    task: taskOf(checkpoint).name,
    classes,
    network: typeof numbers === "number" ? { ...config, parameters: numbers } : config,
    preprocessing,
    frames: opening.frames,
    dataName,
    parts: parts && partsOf(parts, columns),
    externalPart: external && partFacts(external, columns),
    division: divisionOf(checkpoint, plan, remains.divided),
    training: trainingOf(checkpoint, plan, history),
    thresholds: thresholds ?? (threshold === undefined ? undefined : [threshold]),
    evaluation: evaluationFacts(scores, isExternal),
    audit: audit && auditFacts(audit),
    seal: sealFacts(scores),
    uncertainty: uncertaintyFacts(scores),
    explanation,
  });
}

/** Columns that a reader asks for: told of and compared unless others are named. */
const usualColumns = /^(age|sex|gender|ethnicity|race|site|center|centre|hospital|scanner|manufacturer)$/i;

/** Those of a data set, by their titles. */
export const usualColumnsOf = ({ attributes = {} }: LabelledImages): string[] =>
  Object.keys(attributes).filter((title) => usualColumns.test(title));

type Possibly<T> = { readonly [name in keyof T]: T[name] | undefined };

function withoutUndefined(facts: Possibly<RunFacts>): RunFacts {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as RunFacts;
}

function partsOf(
  parts: Readonly<Partial<Record<SplitName, LabelledImages>>>,
  columns: readonly string[],
): RunFacts["parts"] {
  return Object.fromEntries(
    splitNames.flatMap((name) => {
      const part = parts[name];
      return part ? [[name, partFacts(part, columns)] as const] : [];
    }),
  );
}

/** Counts of a part, and what the named columns say of it. */
export function partFacts(dataset: LabelledImages, columns: readonly string[]): PartFacts {
  const { length, classes, patients, attributes = {} } = dataset;
  const counts = countLabels(dataset);
  const known = patients?.filter((patient) => patient !== undefined) ?? [];
  return {
    images: length,
    patients: known.length === 0 ? null : new Set(known).size + length - known.length,
    classes: Object.fromEntries(classes.map((name, i) => [name, counts[i] ?? 0])),
    columns: Object.fromEntries(
      columns.flatMap((name) => {
        const fact = attributes[name] && columnFact(attributes[name]);
        return fact ? [[name, fact] as const] : [];
      }),
    ),
  };
}

/** A column with more different texts than this is told of by their number alone. */
const mostValues = 12;

function columnFact(values: readonly (string | undefined)[]): ColumnFact {
  const known = values.filter((value) => value !== undefined && value.trim() !== "") as string[];
  const missing = values.length - known.length;
  const different = new Set(known);
  const numbers = known.map(numberOf).sort((a, b) => a - b);
  if (different.size > mostValues && numbers.every(Number.isFinite)) {
    const at = (share: number) =>
      numbers[Math.min(numbers.length - 1, Math.floor(share * numbers.length))] ?? 0;
    return { median: at(0.5), quartiles: [at(0.25), at(0.75)], missing };
  }
  if (different.size > mostValues) return { counts: { "different values": different.size }, missing };
  const counts = new Map<string, number>();
  for (const value of known) counts.set(value, (counts.get(value) ?? 0) + 1);
  return { counts: Object.fromEntries([...counts].sort(([a], [b]) => a.localeCompare(b))), missing };
}

function divisionOf(
  { provenance }: CheckpointDescription,
  plan: RunPlan | undefined,
  given: boolean | undefined,
): DivisionFacts | undefined {
  const split = (plan?.split ?? provenance?.split) as RunPlan["split"] | undefined;
  if (!split) return undefined;
  const { validationFraction, testFraction, seed, keepTogether } = split;
  const { groups } = (plan?.opening ?? provenance?.opening ?? {}) as Opening;
  return {
    ...(given !== undefined && { given }),
    ...(validationFraction !== undefined && { validationFraction }),
    ...(testFraction !== undefined && { testFraction }),
    ...(seed !== undefined && { seed }),
    ...(keepTogether !== undefined && { keptTogether: keepTogether }),
    ...(groups !== undefined && { groups }),
    ...(plan && { leaksAllowed: plan.allowLeaks }),
  };
}

function trainingOf(
  { provenance }: CheckpointDescription,
  plan: RunPlan | undefined,
  history: readonly EpochRecord[] | undefined,
): TrainingFacts | undefined {
  const saved = plan?.settings ?? provenance?.settings;
  if (typeof saved !== "object" || saved === null || !plan) return undefined;
  const settings = trainingSettings(saved as Partial<TrainingSettings>);
  const epoch = provenance?.epoch;
  const best = history?.find((record) => record.epoch === epoch);
  return {
    settings,
    augmentation: settings.augmentation,
    ...(history && { epochs: history.length }),
    ...(typeof epoch === "number" && { bestEpoch: epoch }),
    from: plan.init === undefined ? "random weights" : "given weights",
    ...(best?.validation && {
      best: {
        trainLoss: best.trainLoss,
        loss: best.validation.loss,
        auc: Number.isFinite(best.validation.auc) ? best.validation.auc : null,
      },
    }),
  };
}

function auditFacts({ images, patients, duplicates, nearDuplicates, ...rest }: AuditReport): AuditFacts {
  return {
    ok: rest.ok,
    images: images.count,
    unreadable: images.unreadable.count,
    duplicates: duplicates.count,
    nearDuplicates: nearDuplicates.count,
    crossSplit: rest.crossSplit.count,
    labelConflicts: rest.labelConflicts.count,
    burnedIn: images.burnedIn.count,
    patientsAcrossSplits: patients.acrossSplits,
    sizes: images.sizes,
  };
}
