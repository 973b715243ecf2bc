/** `medmamba audit`: what is wrong with a data set, before anything is learned from it. */
import type { Command } from "commander";
import { audit } from "../../audit/audit.js";
import type { AuditReport } from "../../audit/report.js";
import { openDataset } from "../../data/index.js";
import { type Opening, openingRows } from "../../data/sources/opening.js";
import { verdictOf } from "../../reports/audit-page.js";
import { writeAudit } from "../../reports/audit-report.js";
import { flagsOf } from "../../settings/flags.js";
import { pick } from "../../settings/table.js";
import { writableFolder } from "../../study/writable-folder.js";
import { type CommonOptions, countOrZero, settingOption, withCommonOptions } from "../console/options.js";
import { expectPath } from "../console/paths.js";
import { interruptible, Terminal } from "../console/terminal.js";
import { columns, decimals, lastNames, lineWidth, plural, shortPath, wrapped } from "../console/wording.js";

interface AuditCommandOptions extends CommonOptions, Opening {
  readonly report?: string;
  readonly seed: number;
}

const examples = `
Looks for what makes scores too good (a patient in two parts, identical and
nearly identical images across them, turned and mirrored too), for the same
image under two labels, for images that cannot be read or seen, and for
shortcuts: how well the label follows from file size, borders, brightness or a
column such as site.
\`train\` does the quick part of it each time.

Examples:
  $ medmamba audit scans
  $ medmamba audit scans.csv --report audit
  $ medmamba audit scans.csv --groups lesion --json > audit.json`;

export function define(command: Command): void {
  command
    .description("Find what makes scores wrong: leaks, copies, contradictions, shortcuts.")
    .argument("<data>", "labelled images: folder, .npz or .csv")
    .option("--report <folder>", "also write audit.html and audit.json there")
    .option("--seed <number>", "of the folds behind the shortcuts", countOrZero, 0);
  for (const flag of flagsOf(openingRows)) command.addOption(settingOption(flag));
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(data: string, options: AuditCommandOptions): Promise<void> {
  const { seed, report: directory } = options;
  const terminal = new Terminal(options);
  expectPath(data, "data set");
  await interruptible(terminal, "Stopping.", async (signal) => {
    const folder = directory === undefined ? undefined : await writableFolder(directory, "--report");
    try {
      const dataset = await openDataset(data, {
        check: false,
        ...pick(openingRows, options),
        onWarning: (message) => terminal.warn(message),
        signal,
      });
      const onProgress = ({ done, total }: { done: number; total: number }) =>
        terminal.progress(`looking at images ${done}/${total}`);
      const report = await audit(dataset, { seed, onProgress, signal });
      for (const line of summaryLines(data, report)) terminal.print(line);
      if (directory !== undefined) {
        const files = await writeAudit(directory, {
          title: `Audit of ${lastNames(data, 1)}`,
          dataset,
          report,
        });
        terminal.print(`\n  ${files.join(", ")} in ${shortPath(directory)}`);
      }
      terminal.result(report);
    } finally {
      await folder?.removeEmpty();
    }
  });
}

/** What was found, for people. */
function summaryLines(
  data: string,
  { images, patients, splits, shortcuts, warnings, ok }: AuditReport,
): string[] {
  const known = patients.count === null ? "patients not known" : plural(patients.count, "patient");
  const parts = Object.entries(splits).filter(([, part]) => part.images > 0);
  const lines = [`${shortPath(data)}: ${plural(images.count, "image")}, ${known}`];
  for (const [name, part] of parts) {
    const classes = Object.entries(part.classes).map(([label, count]) => `${label} ${count}`);
    lines.push(`  ${name.padEnd(6)}${part.images}: ${classes.join(", ")}`);
  }
  lines.push("", ...warnings.flatMap(listItem));
  if (warnings.length === 0) lines.push("Nothing was found that is to be looked at.");
  const { all, features, chance } = shortcuts;
  if (all && chance) {
    const rows = [all, ...features.slice(0, 8)].map(({ feature, auc, interval: [low, high], suspicious }) => [
      feature,
      decimals(auc, 2),
      `${decimals(low, 2)} to ${decimals(high, 2)}`,
      suspicious ? "look at this" : "",
    ]);
    lines.push("", `How well the label follows (AUC; ${decimals(chance.auc, 2)} by chance):`);
    lines.push(...columns(rows, { longest: 44 }).map((line) => `  ${line}`));
  }
  lines.push("", ...wrapped(verdictOf({ ok, shortcuts }), lineWidth));
  return lines;
}

/** "- " before a sentence, which goes on below where it is long. */
const listItem = (sentence: string): string[] =>
  wrapped(sentence, lineWidth - 2).map((line, i) => (i === 0 ? "- " : "  ") + line);
