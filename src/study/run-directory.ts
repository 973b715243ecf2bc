/** The folder of a training run: `run.json`, checkpoints, history, figures; and whether a run may begin or go on there. */
import { existsSync, realpathSync, statSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { readProgress } from "../checkpoints/checkpoint.js";
import { type DataIdentity, isDataIdentity } from "../data/contents.js";
import { savedPreprocessing } from "../data/preprocessing.js";
import { ArgumentError, StudyError } from "../errors.js";
import { packageVersion } from "../native/package-version.js";
import { reportFiles } from "../reports/report-files.js";
import type { Settings } from "../settings/kind.js";
import { type Extension, extensionsFor, leastEpochs, type Progress } from "../training/resumption.js";
import { trainingSettings } from "../training/settings.js";
import { replaceText } from "../weights/atomic-file.js";
import { ledgerFiles } from "./ledger.js";
import { runImagesFile } from "./run-images.js";
import { inheritedFrom, readOrigin } from "./run-origin.js";
import { contradictions, planRun, type RunOptions, type RunPlan } from "./run-plan.js";

export const runFiles = {
  plan: "run.json",
  best: "best.safetensors",
  last: "last.safetensors",
  history: "metrics.jsonl",
  ...ledgerFiles,
  images: runImagesFile,
  ...reportFiles,
} as const;

/** Files that a run begins with, before there is anything to lose. */
const firstFiles: readonly string[] = [runFiles.plan, runFiles.images, ...Object.values(ledgerFiles)];

/** The others that are in a folder. */
const resultsIn = (directory: string): string[] =>
  Object.values(runFiles).filter((file) => !firstFiles.includes(file) && existsSync(join(directory, file)));

export interface RunStart {
  readonly directory: string;
  readonly plan: RunPlan;
  /** Whether there is a `last.safetensors` to go on from. */
  readonly resume: boolean;
  /** The images that a run to be resumed began with; undefined of runs of 0.1.0. */
  readonly contents?: DataIdentity | undefined;
  /** What tells the run from others; undefined of runs of before ledgers were kept. */
  readonly identity?: string | undefined;
  /** What was taken from the checkpoint to start from beside its weights: settings that are not at their defaults. */
  readonly inherited?: Settings | undefined;
  /** Whether the plan of a run to be resumed is another now: its data are elsewhere, or its epochs were changed. */
  readonly changed?: boolean;
  /** The change of its epochs, where the run is resumed with others. */
  readonly extension?: Extension | undefined;
  /** How many processes trained it together last, where it is resumed. */
  readonly worldSize?: number | undefined;
}

/**
 * Decides how a run starts in `directory`, and changes nothing there yet. To resume where nothing is begins a run, where data are
 * named.
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
  // Where nothing is there yet a run begins, so that one command may be started again and again.
  if (resume && (options.data === undefined || isUsed(directory))) return planResume(directory, options);
  const origin = options.init === undefined ? undefined : await readOrigin(options.init);
  const plan = planRun(options, origin);
  if (directory.trim() === "") throw new ArgumentError("--out is empty: name a folder for the run.");
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
  if (!overwrite) await expectNobodysFiles(directory);
  if (plan.init !== undefined && ownFiles(directory).includes(realPath(plan.init))) {
    throw new StudyError(
      `--init ${options.init} belongs to the run that would be replaced in ${directory}: choose another --out.`,
    );
  }
  return { directory, plan, resume: false, inherited: origin && inheritedFrom(origin, plan) };
}

const isUsed = (directory: string): boolean =>
  existsSync(join(directory, runFiles.plan)) || resultsIn(directory).length > 0;

/** Where the files of a run lie. */
const ownFiles = (directory: string): string[] =>
  Object.values(runFiles).map((file) => realPath(join(directory, file)));

/**
 * A run that was stopped before its first checkpoint may be begun anew. Files of a run's names that are not from such a one,
 * such as the report of an evaluation, are somebody's.
 *
 * @throws StudyError naming what would be replaced
 */
async function expectNobodysFiles(directory: string): Promise<void> {
  const present = resultsIn(directory);
  if (!(await readPlan(directory).catch(() => undefined)))
    present.push(...firstFiles.filter((file) => existsSync(join(directory, file))));
  if (present.length === 0) return;
  throw new StudyError(
    `${directory} holds ${present.join(", ")}, which a run would replace: choose another --out, or replace them by --overwrite.`,
  );
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

/** Without links, and in the capital and small letters of the disk, where these are one; as far as the path is there. */
function realPath(path: string): string {
  const whole = resolve(path);
  if (existsSync(whole)) return realpathSync.native(whole);
  return dirname(whole) === whole ? whole : join(realPath(dirname(whole)), basename(whole));
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Makes the folder ready: what an earlier run left is removed, the plan of this one written. A resumed run has it. */
export async function beginRun(start: RunStart): Promise<void> {
  const { directory, plan, resume, contents, identity, changed } = start;
  if (resume && !changed) return;
  await mkdir(directory, { recursive: true });
  if (!resume) for (const file of Object.values(runFiles)) await rm(join(directory, file), { force: true });
  await replaceText(
    join(directory, runFiles.plan),
    `${JSON.stringify({ version: packageVersion, ...plan, contents, identity }, null, 2)}\n`,
  );
}

async function planResume(directory: string, options: RunOptions): Promise<RunStart> {
  const saved = await readPlan(directory);
  const { contents, identity } = saved;
  // Whether moved data are the same is seen when they are read.
  const moved =
    contents !== undefined && options.data !== undefined && resolve(options.data) !== saved.plan.data;
  const plan = moved ? { ...saved.plan, data: resolve(options.data) } : saved.plan;
  const { epochs, maxPixels, ...others } = options; // These may be others now.
  const differing = contradictions(others, plan);
  if (differing.length > 0) {
    throw new ArgumentError(
      `the run in ${directory} was begun with other settings than ${differing.join(", ")}: leave that out to resume, or begin a run in another --out.`,
    );
  }
  expectApart(directory, plan.data);
  const changed = planRun({ epochs, maxPixels, ...warmupFor(epochs, plan) }, plan);
  if (existsSync(join(directory, runFiles.last))) {
    const extended = await extend(directory, changed);
    return {
      directory,
      resume: true,
      contents,
      identity,
      changed: identity === undefined || moved || JSON.stringify(extended.plan) !== JSON.stringify(plan),
      ...extended,
    };
  }
  expectNothingToLose(directory);
  return { directory, plan: changed, resume: false };
}

/** The warm-up that other epochs have by default, where the run has its own by default. */
function warmupFor(epochs: unknown, { settings }: RunPlan): RunOptions {
  if (epochs === undefined || epochs === settings.epochs) return {};
  const { warmupEpochs } = trainingSettings({ epochs: settings.epochs });
  if (settings.warmupEpochs !== warmupEpochs) return {};
  return { warmupEpochs: trainingSettings({ epochs: epochs as number }).warmupEpochs };
}

/**
 * A plan that may be for other epochs than `last.safetensors` was written for. What is done stays; the learning rate of what
 * comes is that of a run of so many, so the whole is the run of no one number, and the plan says of which.
 *
 * @throws ArgumentError if more are done than are wanted, or none would be trained
 * @throws StudyError if there is nothing to go on from
 */
async function extend(
  directory: string,
  plan: RunPlan,
): Promise<Pick<RunStart, "plan" | "extension" | "worldSize">> {
  const path = join(directory, runFiles.last);
  const progress = (await readProgress(path)) as Progress | undefined;
  if (!progress)
    throw new StudyError(
      `${path} holds no training state: it cannot be resumed. Train further from its weights with --init and another --out.`,
    );
  const { epochs, patience } = plan.settings;
  const { epoch, bestEpoch } = progress;
  const best = join(directory, runFiles.best);
  if (bestEpoch > 0 && !existsSync(best)) {
    throw new StudyError(
      `${best} is gone, the weights of the run's best epoch, ${bestEpoch}: put it back, or train further from the last ones with --data ${plan.data} --init ${path} and another --out.`,
    );
  }
  const worldSize = progress.worldSizes?.at(-1)?.worldSize ?? 1;
  if (progress.settings.epochs === epochs) return { plan, worldSize };
  const least = leastEpochs(progress);
  if (epochs < least) {
    throw new ArgumentError(
      `the run in ${directory} has ${least} epochs ${least > epoch ? "done or begun" : "behind it"}: --epochs can make that more, and not ${epochs}. For fewer, begin a run in another --out.`,
    );
  }
  if (patience > 0 && bestEpoch > 0 && epoch - bestEpoch >= patience) {
    throw new ArgumentError(
      `the run in ${directory} stopped early, because ${patience} epochs after epoch ${bestEpoch} brought no better one, and would stop again at once: train further from its weights with --data ${plan.data} --init ${best} and another --out.`,
    );
  }
  const extensions = extensionsFor(progress, epochs);
  return { plan: { ...plan, extensions }, extension: extensions?.at(-1), worldSize };
}

/** A run that was stopped before its first checkpoint begins again; anything more is not to be lost by going on. */
function expectNothingToLose(directory: string): void {
  const present = resultsIn(directory);
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
  readonly identity?: string;
}

/** A run that began before patients were kept together, and copies left out of train, goes on with the images it had. */
function asBegun(plan: RunPlan): RunPlan {
  const { keepTogether = false } = plan.split;
  return { ...plan, split: { ...plan.split, keepTogether }, allowLeaks: plan.allowLeaks ?? true };
}

/** @throws StudyError if there is none, or it is damaged */
export async function readPlan(
  directory: string,
): Promise<{ plan: RunPlan } & Pick<RunStart, "contents" | "identity">> {
  const path = join(directory, runFiles.plan);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new StudyError(`${directory} holds no run to resume: there is no ${path}.`, { cause: error });
  }
  try {
    const saved: unknown = JSON.parse(text);
    const problem = problemOf(saved);
    if (problem !== undefined) throw new Error(problem);
    const { version: _, checkpointing, contents, identity, ...plan } = saved as SavedPlan;
    const recompute = plan.recompute ?? checkpointing ?? false;
    const preprocessing = savedPreprocessing(plan.preprocessing);
    return { plan: planRun({}, { ...asBegun(plan), preprocessing, recompute }), contents, identity };
  } catch (error) {
    const reason = (error as Error).message.replace(/\.$/, "");
    throw new StudyError(
      `${path} is damaged: ${reason}. Put back what was there, or train further from the run's weights with --init and another --out.`,
      { cause: error },
    );
  }
}

/** What of a plan that was read cannot be, where planning does not see it. */
function problemOf(saved: unknown): string | undefined {
  const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(saved)) return "it is no object";
  const plan = saved as Readonly<Record<string, unknown>>;
  const wrong = (name: string, holds: (value: unknown) => boolean) =>
    !(plan[name] === undefined || holds(plan[name]));
  if (plan.data === undefined || wrong("data", (value) => typeof value === "string"))
    return "data is no path";
  if (wrong("init", (value) => typeof value === "string")) return "init is no path";
  if (wrong("identity", (value) => typeof value === "string")) return "identity is no text";
  if (wrong("contents", isDataIdentity)) return "contents is not what a run keeps of its images";
  const section = ["model", "preprocessing", "split", "settings", "limits"].find((name) =>
    wrong(name, isObject),
  );
  if (section !== undefined) return `${section} is no object`;
  return plan.preprocessing === undefined ? "preprocessing is missing" : undefined;
}
