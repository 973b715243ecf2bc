/** `medmamba train`: from labelled images to a checkpoint. */
import { join } from "node:path";
import { type Command, Option } from "commander";
import { cacheRows } from "../../data/cache-choice.js";
import type { Group } from "../../distributed/group.js";
import { isInterval, scoreIntervals } from "../../reports/evidence.js";
import { scoresOf } from "../../reports/scores.js";
import { lookWords, sealCautions } from "../../reports/sections/seal.js";
import { flagsOf } from "../../settings/flags.js";
import { carryOut, type StudyOutcome, type StudyProgress } from "../../study/carry-out.js";
import { planStart, type RunStart, runFiles } from "../../study/run-directory.js";
import { type RunOptions, runFlags, settingTables } from "../../study/run-plan.js";
import type { Device, Precision } from "../../tensor/device.js";
import { CommandError } from "../console/failure.js";
import {
  type CommonOptions,
  openTrainingDevice,
  settingOption,
  withCommonOptions,
} from "../console/options.js";
import { expectPath } from "../console/paths.js";
import { localRank, type RankOptions, startRanks, together, withGpuOptions } from "../console/ranks.js";
import { tellProgress } from "../console/study-progress.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { pointTheWay } from "../console/unknown-option.js";
import { columns, decimals, lineWidth, shortPath, wrapped } from "../console/wording.js";

interface TrainOptions extends Omit<CommonOptions, "precision">, RankOptions, RunOptions {
  readonly cache?: string;
  readonly images: boolean;
  readonly out: string;
  readonly resume?: boolean;
  readonly overwrite?: boolean;
  /** `recompute`, as 0.1.0 called it. */
  readonly checkpointing?: boolean;
  /** Read before; see console/config.ts. */
  readonly config?: string;
}

const examples = `
The data set is a folder with a folder of images for each class, with or without
train, val and test above them; a MedMNIST .npz file; or a .csv file with the
columns path, label and perhaps split, patient, weight and frame, or with a
column of 0 and 1 for each label (--task multi-label). What is not divided is
divided by --split, the same way every time; the checkpoint remembers it for
evaluate.
Where patients are known, none is in two parts. Images of train that are also
validated or tested on are left out of it.

Examples:
  $ medmamba train --data scans --out run
  $ medmamba train --data pathmnist.npz --out path --image-size 64 --epochs 50
  $ medmamba train --data scans.csv --out grey --channels 1 --no-flip
  $ medmamba train --data findings.csv --task multi-label --out findings
  $ medmamba train --data stacks.csv --frames every:4 --cache ./cache --out run
  $ medmamba train --data scans --out next --init run/best.safetensors --lr 1e-4
  $ medmamba train --out run --resume
  $ medmamba train --data scans --out run --gpus 4 --batch-size 128
  $ torchrun --nproc-per-node 4 --max-restarts 2 --no-python medmamba train \\
      --data scans --out run --resume

Ctrl-C finishes the step and saves; --resume goes on to the same outcome.`;

export function define(command: Command): void {
  command.description("Train a model on labelled images.");
  command
    .option("--data <path>", "images: folder, .npz or .csv (not needed with --resume)")
    .requiredOption("--out <folder>", "where checkpoints, history and report go")
    .option(
      "--resume",
      "go on with the run in --out, without repeating its options; begin with --data where there is none",
    )
    .option("--overwrite", "replace the run in --out")
    .option("--no-images", "no pictures of mistakes, which are pictures of patients, in the report")
    .option("--init <file>", "start from these weights; a checkpoint's network and preprocessing, too");
  addSettings(command);
  pointTheWay(command, settingTables);
  withGpuOptions(withCommonOptions(command)).addHelpText("after", examples).action(train);
}

/** Flags of the run's settings, by their sections of help. */
function addSettings(command: Command): void {
  const { model, preprocessing, opening, split, leaks, limits, settings, execution } = runFlags;
  const groups = {
    "Model:": model,
    "Images:": [...opening, ...split, ...leaks, ...preprocessing, ...limits, ...flagsOf(cacheRows)],
    "Training:": [...settings, ...execution],
  };
  for (const [heading, flags] of Object.entries(groups)) {
    command.optionsGroup(heading);
    for (const flag of flags) command.addOption(settingOption(flag));
  }
  command.addOption(new Option("--checkpointing", "the former name of --recompute").hideHelp());
  command.optionsGroup("Options:");
}

async function train({
  device,
  threads,
  json,
  verbose: _,
  out,
  resume,
  overwrite,
  config: __,
  checkpointing,
  cache,
  images,
  gpus,
  maxRestarts,
  ...given
}: TrainOptions): Promise<void> {
  const code = await startRanks({ gpus, maxRestarts }, out);
  if (code !== undefined) {
    process.exitCode = code;
    return;
  }
  const terminal = new Terminal({ json });
  const options: RunOptions = { ...given, ...(checkpointing && { recompute: true }) };
  const common = { device, ...(threads !== undefined && { threads }) };
  const open = (precision: Precision | undefined) => openTrainingDevice(common, precision, localRank());
  let opened: Device | undefined;
  const early = (): Device => {
    opened = open(given.precision as Precision | undefined);
    return opened;
  };
  await together(terminal, early, async (group) => {
    if (options.data !== undefined) expectPath(options.data, "data set");
    if (options.init !== undefined) expectPath(options.init, "file of weights");
    const start = await planTogether(group, () => planStart(out, options, { resume, overwrite }));
    if (resume && !start.resume)
      terminal.status(`There is no checkpoint in ${shortPath(out)} yet: a run begins.`);
    opened ??= open(start.plan.settings.precision);
    await trainAs(start, opened, { group, terminal, out, cache, images });
  });
}

/** Rank 0 looks at the run's folder, which others may not see. */
async function planTogether(group: Group | undefined, plan: () => Promise<RunStart>): Promise<RunStart> {
  if (!group) return plan();
  const [start] = await group.gatherAt("plan", group.rank === 0 ? await plan() : null);
  return start as RunStart;
}

async function trainAs(
  start: RunStart,
  opened: Device,
  {
    group,
    terminal,
    out,
    cache,
    images,
  }: { group: Group | undefined; terminal: Terminal } & Pick<TrainOptions, "out" | "cache" | "images">,
): Promise<void> {
  const notice = "Stopping after this step; Ctrl-C again to quit at once.";
  const tell = tellProgress(terminal, { chosen: start.plan.settings.precision === undefined });
  let epochs = 0;
  const onProgress = (progress: StudyProgress): void => {
    if (progress.type === "epoch") epochs += 1;
    tell(progress);
  };
  const outcome = await interruptible(terminal, notice, (signal) =>
    carryOut(start, { device: opened, group, cache, images, signal, onProgress }),
  );
  if (epochs === 0 && outcome.result.stopped !== "aborted") terminal.status("Nothing was left to train.");
  if (outcome.result.stopped !== "aborted") for (const line of summary(out, outcome)) terminal.print(line);
  if (outcome.verdict) for (const warning of sealCautions(outcome.verdict.seal)) terminal.warn(warning);
  terminal.result(outcomeJson(out, outcome));
  if (outcome.result.stopped === "aborted") {
    throw new CommandError(
      `stopped; \`medmamba train --out ${shortPath(out)} --resume\` goes on from there.`,
    );
  }
}

/** What came of it, for people. */
export function summary(directory: string, { result, checkpoint, verdict, files }: StudyOutcome): string[] {
  const lines = [""];
  const { best, history, stopped } = result;
  if (stopped === "early") lines.push(`Stopped after epoch ${history.length}: no better one for a while.`);
  if (best) {
    const { auc, accuracy } = best.validation ?? {};
    lines.push(
      `Best epoch ${best.epoch} of ${history.length}: validation accuracy ${decimals(accuracy)}, AUC ${decimals(auc)}.`,
    );
  }
  if (verdict) {
    const { accuracy, auc, samples } = verdict.evaluation.metrics;
    const found = scoreIntervals(verdict.evaluation).accuracy;
    const range = isInterval(found) ? ` (${decimals(found[0], 2)} to ${decimals(found[1], 2)})` : "";
    const name = verdict.split === "test" ? "test" : "validation";
    // Where there is a threshold, predict calls by that.
    const rule = verdict.threshold === undefined ? "" : " of the most probable class";
    const said = `On ${samples} ${name} images: accuracy ${decimals(accuracy)}${range}${rule}, AUC ${decimals(auc)}.`;
    lines.push(...wrapped(said, lineWidth));
    if (verdict.split === "test") lines.push(...wrapped(lookWords(verdict.seal), lineWidth));
  }
  const described: [string, string][] = [[shortPath(checkpoint), "the model, to evaluate and predict with"]];
  if (files.includes(runFiles.report))
    described.push([shortPath(join(directory, runFiles.report)), "scores and figures on one page"]);
  else for (const file of files) described.push([shortPath(join(directory, file)), "loss over the epochs"]);
  return [...lines, "", ...columns(described, { left: true, longest: 60 }).map((line) => `  ${line}`)];
}

function outcomeJson(directory: string, { result, checkpoint, verdict, files }: StudyOutcome): object {
  const { best, history, stopped } = result;
  return {
    checkpoint,
    last: join(directory, runFiles.last),
    stopped,
    bestEpoch: best?.epoch ?? null,
    epochs: history.length,
    history,
    evaluated: verdict?.split ?? null,
    test: verdict?.split === "test" ? scoresOf(verdict.evaluation, verdict.threshold) : null,
    validation: verdict?.split === "val" ? scoresOf(verdict.evaluation, verdict.threshold) : null,
    uncertainty: verdict?.uncertainty ?? null,
    testLooks: verdict?.seal.looks?.total ?? null,
    seal: verdict?.seal ?? null,
    files: files.map((file) => join(directory, file)),
  };
}
