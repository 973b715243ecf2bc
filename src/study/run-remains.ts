/** Reading what a training left in its folder, long after it has ended. */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { listImages } from "../data/sources/open.js";
import { StudyError } from "../errors.js";
import type { EpochRecord } from "../training/history.js";
import { readPlan, runFiles } from "./run-directory.js";
import type { RunPlan } from "./run-plan.js";

/** A run, as its folder has it. */
export interface FinishedRun {
  /** The checkpoint to use: the best, or the last where there is no best. */
  readonly checkpoint: string;
  readonly plan: RunPlan;
  /** Undefined where there is none. */
  readonly history: readonly EpochRecord[] | undefined;
}

/** A history of more bytes is none: a million epochs have fewer. */
const mostBytes = 2 ** 29;

/** @throws StudyError if no run is there that has a checkpoint, or its files are damaged */
export async function readRun(directory: string): Promise<FinishedRun> {
  if (!existsSync(join(directory, runFiles.plan)))
    throw new StudyError(
      `${directory} holds no run: there is no ${runFiles.plan}. Name the folder of a run, or a checkpoint.`,
    );
  const checkpoint = [runFiles.best, runFiles.last]
    .map((file) => join(directory, file))
    .find((path) => existsSync(path));
  if (checkpoint === undefined)
    throw new StudyError(`${directory} holds a run without a checkpoint: go on with it by --resume.`);
  const { plan } = await readPlan(directory);
  return { checkpoint, plan, history: await readHistory(join(directory, runFiles.history)) };
}

/**
 * Whether a data set says itself which images are to be tested on. One that does not is divided at random.
 *
 * @throws DataError naming the file and what is wrong
 */
export async function cameDivided(
  path: string,
  options: Parameters<typeof listImages>[1] = {},
): Promise<boolean> {
  if (path.toLowerCase().endsWith(".npz")) return true; // MedMNIST's archives do.
  const { splits } = await listImages(path, options);
  return splits.test !== undefined;
}

async function readHistory(path: string): Promise<readonly EpochRecord[] | undefined> {
  if (!existsSync(path) || (await stat(path)).size > mostBytes) return undefined;
  const lines = (await readFile(path, "utf8")).split("\n").filter((line) => line.trim() !== "");
  return lines.map((line, i) => {
    const record = recordOf(line);
    if (!record)
      throw new StudyError(`${path} line ${i + 1} is damaged: remove it, or put back what was there.`);
    return record;
  });
}

/** What of a line is used has to be there; what JSON cannot hold is null in it. */
function recordOf(line: string): EpochRecord | undefined {
  try {
    const record = JSON.parse(line) as Partial<EpochRecord> | null;
    return typeof record?.epoch === "number" ? (record as EpochRecord) : undefined;
  } catch {
    return undefined;
  }
}
