#!/usr/bin/env node
/**
 * The command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 75 try again. An error is one sentence on stderr, with a stack trace
 * only if `--verbose` asks for it; stdout carries results alone.
 *
 * Of a command only its name and summary are here: what else there is to it is loaded when it is the one that was called.
 */
import { inspect } from "node:util";
import { Command, CommanderError } from "commander";
import { ArgumentError, DistributedError } from "../errors.js";
import { packageVersion } from "../native/package-version.js";
import { explain, isUsage, SaidElsewhere } from "./console/failure.js";
import { printable, survivePipes } from "./console/terminal.js";

interface CommandEntry {
  readonly summary: string;
  /** Beside options, in the list of commands. */
  readonly takes?: string;
  readonly load: () => Promise<{ define(command: Command): void }>;
}

const commands: Readonly<Record<string, CommandEntry>> = {
  demo: {
    summary: "draw images, train on them, evaluate, predict: in about a minute",
    load: () => import("./commands/demo.js"),
  },
  audit: {
    summary: "find what makes scores wrong: leaks, copies, contradictions, shortcuts",
    takes: "<data>",
    load: () => import("./commands/audit.js"),
  },
  split: {
    summary: "divide images by patient and class, and write the table",
    takes: "<data>",
    load: () => import("./commands/split.js"),
  },
  train: { summary: "train a model on labelled images", load: () => import("./commands/train.js") },
  evaluate: { summary: "measure a model on labelled images", load: () => import("./commands/evaluate.js") },
  predict: { summary: "classify images", takes: "<image...>", load: () => import("./commands/predict.js") },
  show: {
    summary: "write an image as it is decoded, or as a network gets it",
    takes: "<image>",
    load: () => import("./commands/show.js"),
  },
  info: {
    summary: "say what a file or folder is",
    takes: "<file>",
    load: () => import("./commands/info.js"),
  },
  convert: {
    summary: "make a checkpoint of weights that PyTorch saved",
    takes: "<in> <out>",
    load: () => import("./commands/convert.js"),
  },
  download: {
    summary: "get a data set of MedMNIST",
    takes: "<name>",
    load: () => import("./commands/download.js"),
  },
  explain: {
    summary: "show where a model looked",
    takes: "<image...>",
    load: () => import("./commands/explain.js"),
  },
  report: {
    summary: "fill reporting checklists and a model card from a run",
    takes: "<run>",
    load: () => import("./commands/report.js"),
  },
  bench: {
    summary: "measure kernels, training and inference against this machine's limits",
    load: () => import("./commands/bench.js"),
  },
  doctor: {
    summary: "say what this machine can run, and check every kernel",
    load: () => import("./commands/doctor.js"),
  },
  build: { summary: "compile the native addon for this machine", load: () => import("./commands/build.js") },
};

const examples = `
Examples:
  $ medmamba demo
  $ medmamba audit scans
  $ medmamba train --data scans --out run
  $ medmamba evaluate --checkpoint run/best.safetensors --data scans
  $ medmamba predict --checkpoint run/best.safetensors image.png
  $ medmamba doctor

\`medmamba COMMAND --help\` explains a command; in a project of yours, write \`npx\`
before it. Exit codes: 0 done, 1 failed, 2 wrong usage, 75 try again.`;

/** The program, with the options of one command. */
async function buildProgram(called: string | undefined): Promise<Command> {
  const program = new Command("medmamba")
    .description("Train, evaluate and use MedMamba, the Vision Mamba for medical image classification.")
    .version(packageVersion, "-V, --version", "print the version")
    .helpOption("-h, --help", "explain a command")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`medmamba: ${text.replace(/^error: /, "").replace("\n(", " (")}`),
    })
    .configureHelp({
      subcommandTerm: (command) =>
        `${command.name()} [options] ${commands[command.name()]?.takes ?? ""}`.trim(),
    })
    .showHelpAfterError("  `medmamba --help` lists the commands.")
    .addHelpText("after", examples);
  for (const [name, { summary, load }] of Object.entries(commands)) {
    const command = program.command(name).summary(summary);
    if (name !== called) continue;
    (await load()).define(command);
    command
      .option("--config <file>", "take options from a YAML or JSON file, by their names; flags win")
      .showHelpAfterError(`  \`medmamba ${name} --help\` lists what can be given.`);
  }
  return program;
}

/** `help COMMAND` is `COMMAND --help`. */
function withHelp([name, ...others]: readonly string[]): readonly string[] {
  if (name !== "help") return name === undefined ? others : [name, ...others];
  const [command] = others;
  return command === undefined || Object.hasOwn(commands, command)
    ? [...others.slice(0, 1), "--help"]
    : [command];
}

const isConfig = (argument: string): boolean => /^--config(=|$)/.test(argument);

/** The arguments, with those of a config file before the command's own. */
async function completed(args: readonly string[], program: Command): Promise<readonly string[]> {
  const [name, ...own] = args;
  const command = program.commands.find((candidate) => candidate.name() === name);
  if (!name || !command || !own.some(isConfig)) return args;
  const { argumentsOfConfig } = await import("./console/config.js");
  return [name, ...(await argumentsOfConfig(command, own)), ...own];
}

/** Where options came from beside the command line, for a message about options that do not go together. */
async function alsoFrom(error: unknown, args: readonly string[]): Promise<string> {
  if (!(error instanceof ArgumentError) || !args.some(isConfig)) return "";
  const path = (await import("./console/config.js")).configPath(args);
  return path === undefined ? "" : ` (${path} gives options, too.)`;
}

survivePipes();
try {
  const args = withHelp(process.argv.slice(2));
  const program = await buildProgram(args[0]);
  await program.parseAsync(await completed(args, program), { from: "user" });
} catch (error) {
  // Commander has said what was wrong already, or has printed what was asked for.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof SaidElsewhere) process.exitCode = error.isUsage ? 2 : 1;
  else {
    process.stderr.write(`medmamba: ${printable(explain(error))}${await alsoFrom(error, process.argv)}\n`);
    if (process.argv.includes("--verbose")) process.stderr.write(`${inspect(error)}\n`);
    process.exitCode = isUsage(error) ? 2 : error instanceof DistributedError && error.tryAgain ? 75 : 1;
  }
}
