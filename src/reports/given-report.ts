/** The evidence of a report as callers bring it: whether it has all that a page shows. */
import type { DiagnosticMetrics } from "../metrics/diagnostic.js";
import { type Estimate, expectEstimate, type IntervalMethod } from "../metrics/estimate.js";
import type { SubgroupScore } from "../metrics/subgroups.js";
import { expectJson } from "../settings/given.js";
import type { EpochRecord } from "../training/history.js";
import type { SubgroupEvidence } from "./evidence.js";
import { expectAnyEvaluation } from "./given.js";
import type { PicturedMistake, PicturedMistakes } from "./mistake-pictures.js";
import {
  anything,
  count,
  flag,
  listOf,
  namedOf,
  number,
  object,
  oneOf,
  optional,
  orNull,
  type Part,
  text,
} from "./parts.js";
import type { DataEvidence, DataSplit } from "./sections/data.js";
import type { ChosenEvidence } from "./sections/operating-point.js";
import type { AnyPooledEvaluation } from "./sections/pooled.js";
import type { RunEvidence } from "./sections/run.js";

const methods: readonly IntervalMethod[] = ["wilson", "newcombe", "delong", "bootstrap", "log", "normal"];
const estimate: Part = (operation, what, value) => {
  expectEstimate(operation, what, value as never);
  optional(oneOf(methods))(operation, `${what}.method`, (value as Estimate).method);
};

const diagnostic = {
  truePositives: count,
  falsePositives: count,
  trueNegatives: count,
  falseNegatives: count,
  prevalence: estimate,
  accuracy: estimate,
  sensitivity: estimate,
  specificity: estimate,
  positivePredictiveValue: estimate,
  negativePredictiveValue: estimate,
  positiveLikelihoodRatio: estimate,
  negativeLikelihoodRatio: estimate,
} satisfies Record<keyof DiagnosticMetrics, Part>;

const mistake = {
  image: count,
  truth: text,
  called: text,
  explained: text,
  probability: number,
  confidence: number,
};

/** A part of each kind of evidence, by its name in the report. */
const parts = {
  chosen: object<ChosenEvidence>({
    ...diagnostic,
    threshold: number,
    criterion: object({
      criterion: oneOf(["youden", "sensitivity", "specificity", "cost"]),
      atLeast: optional(number),
    }),
    validation: object<DiagnosticMetrics>(diagnostic),
  }),
  pooled: (operation, what, value) => {
    object<Pick<AnyPooledEvaluation, "pooling" | "units" | "leftOut">>({
      pooling: object({ by: text, how: oneOf(["mean", "max"]) }),
      units: count,
      leftOut: count,
    })(operation, what, value);
    expectAnyEvaluation(operation, value as never);
  },
  subgroups: listOf(
    object<SubgroupEvidence>({
      attribute: text,
      value: text,
      samples: count,
      scores: namedOf(object<SubgroupScore>({ inside: estimate, outside: estimate, difference: estimate })),
      warning: optional(text),
      label: optional(text),
    }),
  ),
  mistakes: object<PicturedMistakes>({
    surest: listOf(object<PicturedMistake>({ ...mistake, picture: optional(text) })),
    wrong: count,
    answers: count,
    heatMaps: optional(text),
  }),
  data: object<DataEvidence>({
    classes: listOf(text),
    splits: listOf(
      object<DataSplit>({ name: text, images: count, patients: orNull(count), counts: listOf(count) }),
    ),
    facts: optional(namedOf(text)),
    audit: optional(object({ ok: flag, warnings: listOf(text) })),
  }),
  run: object<RunEvidence>({
    command: optional(text),
    versions: optional(namedOf(text)),
    device: optional(text),
    precision: optional(text),
    simd: optional(text),
    threads: optional(count),
    seed: optional(count),
    date: optional(text),
    checkpoint: optional(text),
    commit: optional(text),
    settings: optional((operation, what, value) => {
      namedOf(anything)(operation, what, value);
      expectJson(operation, what, value);
    }),
  }),
  history: object<{ epochs: readonly EpochRecord[]; best: number | undefined }>({
    epochs: listOf(
      object({ epoch: count, step: count, seconds: number, validation: orNull(namedOf(anything)) }),
    ),
    best: optional(count),
  }),
} as const satisfies Readonly<Record<string, Part>>;

/** Kinds of evidence that a report may have. */
export type EvidenceName = keyof typeof parts;

/** @throws ArgumentError naming the part of the evidence that is not as a page shows it */
export function expectEvidence(
  operation: string,
  given: Readonly<Partial<Record<EvidenceName, unknown>>>,
): void {
  for (const name of Object.keys(parts) as EvidenceName[])
    if (given[name] !== undefined) parts[name](operation, name, given[name]);
}

/** Those of a mistake, without its picture. @throws ArgumentError naming what is not as `mistakesOf` gives it */
export function expectMistakes(operation: string, given: unknown): void {
  parts.mistakes(operation, "mistakes", given);
}
