/** The folder of a training run: `run.json`, checkpoints, history, figures; and whether a run may begin or go on there. */
import { existsSync, statSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { CommandError, UsageError } from "../cli/console/failure.js";
import { packageVersion } from "../native/package-version.js";
import { reportFiles } from "../reports/evaluation-report.js";
import { replaceText } from "../weights/atomic-file.js";
import { contradictions, planRun, type RunOptions, type RunPlan } from "./run-plan.js";

export const runFiles = {
  plan: "run.json",
  best: "best.safetensors",
  last: "last.safetensors",
  history: "metrics.jsonl",
  ...reportFiles,
} as const;

export interface RunStart {
  readonly directory: string;
  readonly plan: RunPlan;
  /** Whether there is a `last.safetensors` to go on from. */
  readonly resume: boolean;
}

/**
 * Decides how a run starts in `directory`, and changes nothing there yet.
 *
 * @throws UsageError if options contradict each other or, when resuming, the run's own
 * @throws CommandError if a run is there that was not asked for, or none that was
 */
export async function planStart(
  directory: string,
  options: RunOptions,
  { resume = false, overwrite = false }: { resume?: boolean | undefined; overwrite?: boolean | undefined },
): Promise<RunStart> {
  if (resume && overwrite) throw new UsageError("--resume and --overwrite exclude each other.");
  if (resume) return planResume(directory, options);
  const plan = planRun(options);
  if (existsSync(directory) && !statSync(directory).isDirectory()) {
    throw new CommandError(`${directory} is a file: choose a folder with --out.`);
  }
  const present = [runFiles.best, runFiles.last].find((file) => existsSync(join(directory, file)));
  if (present !== undefined && !overwrite) {
    throw new CommandError(
      `${directory} holds a run already (${present}): go on with it by --resume, replace it by --overwrite, or choose another --out.`,
    );
  }
  return { directory, plan, resume: false };
}

/** Makes the folder ready: what an earlier run left is removed, the plan of this one written. A resumed run has it. */
export async function beginRun({ directory, plan, resume }: RunStart): Promise<void> {
  if (resume) return;
  await mkdir(directory, { recursive: true });
  for (const file of Object.values(runFiles)) await rm(join(directory, file), { force: true });
  await replaceText(
    join(directory, runFiles.plan),
    `${JSON.stringify({ version: packageVersion, ...plan }, null, 2)}\n`,
  );
}

async function planResume(directory: string, options: RunOptions): Promise<RunStart> {
  const plan = await readPlan(directory);
  const differing = contradictions(options, plan);
  if (differing.length > 0) {
    throw new UsageError(
      `the run in ${directory} was begun with other settings than ${differing.join(", ")}: leave that out to resume, or begin a run in another --out.`,
    );
  }
  return { directory, plan, resume: existsSync(join(directory, runFiles.last)) };
}

async function readPlan(directory: string): Promise<RunPlan> {
  const path = join(directory, runFiles.plan);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new CommandError(`${directory} holds no run to resume: there is no ${path}.`, { cause: error });
  }
  try {
    const { version: _, ...plan } = JSON.parse(text) as RunPlan & { version: string };
    return planRun({}, plan);
  } catch (error) {
    throw new CommandError(`${path} is damaged: ${(error as Error).message}`, { cause: error });
  }
}
