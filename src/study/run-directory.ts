/** The folder of a training run: `run.json`, checkpoints, history, figures; and whether a run may begin or go on there. */
import { existsSync, realpathSync, statSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import type { DataIdentity } from "../data/contents.js";
import { ArgumentError, StudyError } from "../errors.js";
import { packageVersion } from "../native/package-version.js";
import { reportFiles } from "../reports/evaluation-report.js";
import type { Settings } from "../settings/kind.js";
import { replaceText } from "../weights/atomic-file.js";
import { inheritedFrom, readOrigin } from "./run-origin.js";
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
  /** The images that a run to be resumed began with; undefined of runs of 0.1.0. */
  readonly contents?: DataIdentity | undefined;
  /** What was taken from the checkpoint to start from beside its weights: settings that are not at their defaults. */
  readonly inherited?: Settings | undefined;
  /** Whether the data of a run to be resumed are elsewhere now. */
  readonly moved?: boolean;
}

/**
 * Decides how a run starts in `directory`, and changes nothing there yet.
 *
 * @throws ArgumentError if options contradict each other or, when resuming, the run's own
 * @throws StudyError if a run is there that was not asked for, or none that was
 */
export async function planStart(
  directory: string,
  options: RunOptions,
  { resume = false, overwrite = false }: { resume?: boolean | undefined; overwrite?: boolean | undefined },
): Promise<RunStart> {
  if (resume && overwrite) throw new ArgumentError("--resume and --overwrite exclude each other.");
  if (resume) return planResume(directory, options);
  const origin = options.init === undefined ? undefined : await readOrigin(options.init);
  const plan = planRun(options, origin);
  if (existsSync(directory) && !statSync(directory).isDirectory()) {
    throw new StudyError(`${directory} is a file: choose a folder with --out.`);
  }
  expectApart(directory, plan.data);
  const present = [runFiles.best, runFiles.last].find((file) => existsSync(join(directory, file)));
  if (present !== undefined && !overwrite) {
    throw new StudyError(
      `${directory} holds a run already (${present}): go on with it by --resume, replace it by --overwrite, or choose another --out.`,
    );
  }
  return { directory, plan, resume: false, inherited: origin && inheritedFrom(origin, plan) };
}

/** @throws StudyError if run and data are in one another: checkpoints and figures would be taken for data, or the reverse */
function expectApart(directory: string, data: string): void {
  if (!existsSync(data) || !statSync(data).isDirectory()) return;
  const [run, images] = [realPath(directory), realPath(data)];
  if (run !== images && !isInside(run, images) && !isInside(images, run)) return;
  const how = run === images ? "is" : isInside(run, images) ? "is inside" : "has inside it";
  throw new StudyError(
    `--out ${directory} ${how} the data set ${data}: choose a folder beside it with --out.`,
  );
}

/** Without links, as far as the path is there. */
function realPath(path: string): string {
  const whole = resolve(path);
  if (existsSync(whole)) return realpathSync(whole);
  return dirname(whole) === whole ? whole : join(realPath(dirname(whole)), basename(whole));
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Makes the folder ready: what an earlier run left is removed, the plan of this one written. A resumed run has it. */
export async function beginRun({ directory, plan, resume, contents, moved }: RunStart): Promise<void> {
  if (resume && !moved) return;
  await mkdir(directory, { recursive: true });
  if (!resume) for (const file of Object.values(runFiles)) await rm(join(directory, file), { force: true });
  await replaceText(
    join(directory, runFiles.plan),
    `${JSON.stringify({ version: packageVersion, ...plan, contents }, null, 2)}\n`,
  );
}

async function planResume(directory: string, options: RunOptions): Promise<RunStart> {
  const saved = await readPlan(directory);
  const { contents } = saved;
  // Whether moved data are the same is seen when they are read.
  const moved =
    contents !== undefined && options.data !== undefined && resolve(options.data) !== saved.plan.data;
  const plan = moved ? { ...saved.plan, data: resolve(options.data) } : saved.plan;
  const differing = contradictions(options, plan);
  if (differing.includes(`--epochs ${options.epochs}`)) throw furtherEpochs(directory, plan);
  if (differing.length > 0) {
    throw new ArgumentError(
      `the run in ${directory} was begun with other settings than ${differing.join(", ")}: leave that out to resume, or begin a run in another --out.`,
    );
  }
  expectApart(directory, plan.data);
  if (existsSync(join(directory, runFiles.last))) return { directory, plan, resume: true, contents, moved };
  expectNothingToLose(directory);
  return { directory, plan, resume: false };
}

/** The learning rate of each step follows from the number of epochs: other epochs make another run. */
function furtherEpochs(directory: string, { settings, data }: RunPlan): ArgumentError {
  const weights = [runFiles.best, runFiles.last].find((file) => existsSync(join(directory, file)));
  const init = join(directory, weights ?? runFiles.best);
  return new ArgumentError(
    `the run in ${directory} was planned for ${settings.epochs} epochs, to which its learning rates belong: leave --epochs out to finish it, or train further from its weights with --data ${data} --init ${init} and another --out.`,
  );
}

/** A run that was stopped before its first checkpoint begins again; anything more is not to be lost by going on. */
function expectNothingToLose(directory: string): void {
  const { plan: _, ...results } = runFiles;
  const present = Object.values(results).filter((file) => existsSync(join(directory, file)));
  if (present.length === 0) return;
  const weights = present.includes(runFiles.best)
    ? `train further from its weights with --init ${join(directory, runFiles.best)} and another --out, or `
    : "";
  throw new StudyError(
    `${directory} holds ${present.join(", ")} of a run, but no ${runFiles.last} to go on from: put that back, ${weights}replace the run by --overwrite.`,
  );
}

/** `run.json`; 0.1.0 called `recompute` by another name. */
interface SavedPlan extends RunPlan {
  readonly version: string;
  readonly checkpointing?: boolean;
  readonly contents?: DataIdentity;
}

/** A run that began before patients were kept together, and copies left out of train, goes on with the images it had. */
function asBegun(plan: RunPlan): RunPlan {
  const { keepTogether = false } = plan.split;
  return { ...plan, split: { ...plan.split, keepTogether }, allowLeaks: plan.allowLeaks ?? true };
}

async function readPlan(directory: string): Promise<{ plan: RunPlan; contents: DataIdentity | undefined }> {
  const path = join(directory, runFiles.plan);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new StudyError(`${directory} holds no run to resume: there is no ${path}.`, { cause: error });
  }
  try {
    const { version: _, checkpointing, contents, ...plan } = JSON.parse(text) as SavedPlan;
    const recompute = plan.recompute ?? checkpointing ?? false;
    return { plan: planRun({}, { ...asBegun(plan), recompute }), contents };
  } catch (error) {
    throw new StudyError(`${path} is damaged: ${(error as Error).message}`, { cause: error });
  }
}
