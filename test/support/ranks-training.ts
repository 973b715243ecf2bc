/** Trainings of the bright-side task by several processes; see ranks/train.mjs. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FitOptions } from "../../src/index.js";
import { type RankOutcome, type RanksOptions, ranks } from "./ranks.js";
import { quickly, side, sideClasses, sideLabels, sidePixels, tinyOptions } from "./sides.js";
import { root } from "./temporary-folder.js";

export interface RanksJob {
  /** Number of images. */
  readonly train?: number;
  readonly validation?: number;
  /** Factor of each training image in the loss. */
  readonly weights?: readonly number[];
  readonly options?: Partial<FitOptions>;
  readonly model?: object;
  readonly frozen?: boolean;
  /** Whether `fit` is left to find the other ranks by itself. */
  readonly joins?: boolean;
  readonly bad?: { readonly rank: number; readonly index: number };
  readonly lost?: { readonly rank: number; readonly images: number };
}

/** What a rank says in the end. */
export interface Trained {
  /** SHA-256 of the weights and statistics that the model has. */
  readonly hash: string;
  /** Of each epoch: training, validation, area under the curve. */
  readonly losses: readonly (readonly number[])[];
  readonly best: number | undefined;
  readonly stopped: string;
  readonly thresholds: readonly number[] | undefined;
  readonly carriage: { readonly engine: string | null; readonly worldSize: number };
}

let count = 0;

/** Writes the job, and gives its file. */
export async function jobFile({
  train = 36,
  validation = 14,
  weights,
  options,
  model,
  ...rest
}: RanksJob): Promise<string> {
  const images = (count: number, seed: number) => ({
    pixels: Buffer.from(sidePixels(count, seed)).toString("base64"),
    shape: [count, side, side],
    labels: sideLabels(count),
    classes: sideClasses,
  });
  const path = join(root, `job-${count++}.json`);
  const job = {
    train: { ...images(train, 1), ...(weights && { weights }) },
    validation: images(validation, 2),
    model: { ...tinyOptions, dims: [8, 16], depths: [1, 1], ...model },
    options: { ...quickly, batchSize: 12, seed: 5, ...options },
    ...rest,
  };
  await writeFile(path, JSON.stringify(job));
  return path;
}

/** Trains, with what each rank said in the end where it came there. */
export async function trainTogether(
  job: RanksJob,
  options: RanksOptions,
): Promise<(RankOutcome & { trained: Trained | undefined })[]> {
  const outcomes = await ranks("train", [await jobFile(job)], options);
  return outcomes.map((outcome) => ({ ...outcome, trained: trainedOf(outcome.lines) }));
}

export function trainedOf(lines: readonly string[]): Trained | undefined {
  const last = lines.findLast((line) => line.startsWith("{"));
  return last === undefined ? undefined : (JSON.parse(last) as Trained);
}
