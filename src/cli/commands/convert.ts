/** `medmamba convert`: a checkpoint of weights that PyTorch saved. */
import type { Command } from "commander";
import { type Conversion, convert } from "../../checkpoints/convert.js";
import { preprocessingRows } from "../../data/preprocessing.js";
import { type Flag, flagName, flagsOf } from "../../settings/flags.js";
import { oneOf, type Settings } from "../../settings/kind.js";
import { type TaskName, taskNames } from "../../tasks/index.js";
import { settingOption, withPlainOptions } from "../console/options.js";
import { expectPath } from "../console/paths.js";
import { Terminal } from "../console/terminal.js";
import { plural, shortPath } from "../console/wording.js";

interface ConvertCommandOptions {
  readonly classes?: readonly string[];
  readonly task?: TaskName;
  readonly key?: string;
  readonly overwrite?: boolean;
  readonly json?: boolean;
  /** Of the preprocessing, by their names. */
  readonly [flag: string]: unknown;
}

/** The network's weights say how many channels there are. */
const { channels: _, ...rows } = preprocessingRows;
const preprocessingFlags: readonly Flag[] = flagsOf(rows);

const taskFlag: Flag = {
  flag: "--task <name>",
  words: "what the network tells (default: binary for two outputs, multi-class for more)",
  kind: oneOf(taskNames),
  change: (settings) => settings,
};

const examples = `
Reads files of torch.save (.pth, .pt) and bare safetensors without Python, and
executes nothing of what is in them: whole models, old formats and whatever else
is no weight are refused, with what to do. The network's size is told from the
weights. How images were prepared is not in them: the defaults are those of the
original's train.py, 224 pixels, stretched, mean and standard deviation 0.5.

Examples:
  $ medmamba convert medmamba.pth medmamba.safetensors
  $ medmamba convert last.pt best.safetensors --key ema --classes cyst,mass
  $ medmamba convert grey.pth grey.safetensors --mean 0.449 --std 0.226
  $ medmamba predict --checkpoint medmamba.safetensors scan.png`;

export function define(command: Command): void {
  command
    .description("Make a checkpoint of weights that PyTorch saved, to predict, evaluate and train with.")
    .argument("<in>", "a .pth, .pt or .safetensors file")
    .argument("<out>", "the checkpoint, a .safetensors file")
    .option(
      "--classes <names>",
      "names of the outputs in their order, with commas between (default: 0,1,...)",
      names,
    )
    .addOption(settingOption(taskFlag))
    .option(
      "--key <name>",
      "where the weights are in what a training saved, such as ema (default: found out)",
    )
    .option("--overwrite", "replace a file that is there");
  command.optionsGroup("Images:");
  for (const flag of preprocessingFlags) command.addOption(settingOption(flag));
  command.optionsGroup("Options:");
  withPlainOptions(command).addHelpText("after", examples).action(run);
}

const names = (text: string): string[] => text.split(",").map((name) => name.trim());

async function run(input: string, output: string, options: ConvertCommandOptions): Promise<void> {
  const terminal = new Terminal(options);
  expectPath(input, "file of weights");
  const preprocessing = preprocessingFlags.reduce<Settings>((settings, flag) => {
    const value = options[flagName(flag.flag)];
    return value === undefined ? settings : flag.change(settings, value);
  }, {});
  const { classes, task, key, overwrite } = options;
  const conversion = await convert(input, output, { classes, task, key, preprocessing, overwrite });
  for (const line of summary(input, conversion, classes !== undefined)) terminal.print(line);
  const { alternatives, leftOut } = conversion;
  if (alternatives.length > 0)
    terminal.warn(`${input} has other weights, too: --key ${alternatives.join(", --key ")} takes those.`);
  if (leftOut.length > 0) {
    const some = leftOut.slice(0, 3).join(", ") + (leftOut.length > 3 ? ", ..." : "");
    terminal.warn(
      `${plural(leftOut.length, "tensor")} of ${input} belong to no part of the network and are left out: ${some}.`,
    );
  }
  terminal.result({ ...conversion, path: output, variant: conversion.variant ?? null });
}

/** What was found, for people. */
function summary(input: string, conversion: Conversion, named: boolean): string[] {
  const { path, config, variant, parameters, classes, preprocessing, found } = conversion;
  const size = variant ?? `depths ${config.depths.join(",")}, dims ${config.dims.join(",")}`;
  const where = found.length > 0 ? ` (in ${found.join(" ")})` : "";
  const { imageSize, mean, std } = preprocessing;
  const lines = [
    `${shortPath(input)}${where}: MedMamba ${size}, ${(parameters / 1e6).toFixed(2)} million parameters.`,
    `Classes: ${classes.join(", ")}. Images: ${imageSize} pixels, mean ${mean.join(",")}, std ${std.join(",")}.`,
  ];
  if (!named) lines.push("The file has no names of its outputs: --classes gives them.");
  return [...lines, `Written to ${shortPath(path)}.`];
}
