/** `medmamba split`: a table that divides a data set by patient and class. */
import type { Command } from "commander";
import { type Opening, openingRows } from "../../data/sources/opening.js";
import { flagsOf } from "../../settings/flags.js";
import { pick } from "../../settings/table.js";
import { divideDataset, type Part } from "../../study/divide.js";
import { splitFlag } from "../../study/run-plan.js";
import {
  type CommonOptions,
  count,
  countOrZero,
  settingOption,
  withCommonOptions,
} from "../console/options.js";
import { expectPath } from "../console/paths.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { columns, plural, shortPath } from "../console/wording.js";

interface SplitCommandOptions extends CommonOptions, Opening {
  readonly out: string;
  readonly folds?: number;
  readonly seed: number;
  readonly again?: boolean;
  readonly split?: readonly number[];
}

const examples = `
All images of a patient go into one part, and so do identical files. The table
names files from where it is, says in which part they are, and has a hash of
each; \`medmamba train --data study.csv\` takes it. Patients get names that say
nothing of them. What is there under --out is never replaced.

Examples:
  $ medmamba split scans --out study.csv
  $ medmamba split scans.csv --out study.csv --groups patient --seed 1
  $ medmamba split scans.csv --out study.csv --folds 5 --split 80,0,20`;

/** How labels and groups are found; a file with several pictures stays whole. */
const { task, labels, groups } = openingRows;
const divided = { task, labels, groups };

export function define(command: Command): void {
  command
    .description("Divide images by patient and class, and write the table.")
    .argument("<data>", "labelled images: folder or .csv")
    .requiredOption("--out <file>", "the table to write, a .csv file that is not there yet")
    .option("--folds <count>", "folds for cross-validation, beside the test images", count)
    .option("--seed <number>", "another one, another division", countOrZero, 0)
    .option("--again", "divide anew what is divided already")
    .addOption(settingOption(splitFlag));
  for (const flag of flagsOf(divided)) command.addOption(settingOption(flag));
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(data: string, options: SplitCommandOptions): Promise<void> {
  const { out, folds, seed, again, split = [70, 15, 15] } = options;
  const terminal = new Terminal(options);
  expectPath(data, "data set");
  const fractions = splitFlag.change({}, split) as { validationFraction: number; testFraction: number };
  const division = await interruptible(terminal, "Stopping.", (signal) =>
    divideDataset(data, out, {
      ...fractions,
      folds,
      seed,
      again,
      ...pick(divided, options),
      signal,
      onWarning: (message) => terminal.warn(message),
      onProgress: ({ done, total }) => terminal.progress(`reading images ${done}/${total}`),
    }),
  );
  const { images, patients, splits, notes } = division;
  const unit = division.groups === undefined ? "patient" : "group";
  const of = patients === null ? "" : ` of ${plural(patients, unit)}`;
  terminal.print(`${plural(images, "image")}${of} divided in ${shortPath(out)}\n`);
  const parts = [
    ...Object.entries(splits),
    ...division.folds.map((fold, at) => [`fold ${at + 1}`, fold] as const),
  ];
  for (const line of tableOf(parts, `${unit}s`)) terminal.print(`  ${line}`);
  for (const note of notes) terminal.warn(note);
  if (division.groups !== undefined)
    terminal.print(`Train with --groups ${division.groups}, so that its groups are kept apart there, too.`);
  terminal.result({ out, ...division });
}

function tableOf(parts: readonly (readonly [string, Part])[], units: string): string[] {
  const classes = Object.keys(parts[0]?.[1].classes ?? {});
  const hasPatients = parts.some(([, { patients }]) => patients !== null);
  const header = ["", "images", "share", ...(hasPatients ? [units] : []), ...classes];
  const rows = parts.map(([name, part]) => [
    name,
    String(part.images),
    `${(100 * part.share).toFixed(1)} %`,
    ...(hasPatients ? [String(part.patients ?? 0)] : []),
    ...classes.map((label) => String(part.classes[label])),
  ]);
  return columns([header, ...rows]);
}
