#!/usr/bin/env node
/**
 * The command line. Exit codes: 0 done, 1 failed, 2 wrong usage. An error is one sentence on stderr, with a stack trace
 * only if `--verbose` asks for it; stdout carries results alone.
 */
import { inspect } from "node:util";
import { Command, CommanderError } from "commander";
import { packageVersion } from "../native/package-version.js";
import { addBench } from "./commands/bench.js";
import { addBuild } from "./commands/build.js";
import { addDemo } from "./commands/demo.js";
import { addDoctor } from "./commands/doctor.js";
import { addEvaluate } from "./commands/evaluate.js";
import { addPredict } from "./commands/predict.js";
import { addTrain } from "./commands/train.js";
import { explain, UsageError } from "./console/failure.js";
import { survivePipes } from "./console/terminal.js";

const examples = `
Examples:
  $ medmamba demo
  $ medmamba train --data scans --out run
  $ medmamba evaluate --checkpoint run/best.safetensors --data scans
  $ medmamba predict --checkpoint run/best.safetensors image.png
  $ medmamba doctor

\`medmamba COMMAND --help\` explains a command; in a project of yours, write \`npx\`
before it. Exit codes: 0 done, 1 failed, 2 wrong usage.`;

function buildProgram(): Command {
  const program = new Command("medmamba")
    .description("Train, evaluate and use MedMamba, the Vision Mamba for medical image classification.")
    .version(packageVersion, "--version", "print the version")
    .helpOption("-h, --help", "explain a command")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`medmamba: ${text.replace(/^error: /, "").replace("\n(", " (")}`),
    })
    .showHelpAfterError("  `medmamba --help` lists the commands.")
    .addHelpText("after", examples);
  for (const add of [addDemo, addTrain, addEvaluate, addPredict, addBench, addDoctor, addBuild]) add(program);
  for (const command of program.commands) {
    command.showHelpAfterError(`  \`medmamba ${command.name()} --help\` lists what can be given.`);
  }
  return program;
}

survivePipes();
try {
  await buildProgram().parseAsync();
} catch (error) {
  // Commander has said what was wrong already, or has printed what was asked for.
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    process.stderr.write(`medmamba: ${explain(error)}\n`);
    if (process.argv.includes("--verbose")) process.stderr.write(`${inspect(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
