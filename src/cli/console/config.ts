/**
 * Config files: YAML or JSON whose keys are the names of a command's options, `batch-size` or `batchSize`. A file is the same
 * as its options on the command line before all others, so that a flag beside it wins.
 */
import { readFile, stat } from "node:fs/promises";
import type { Command, Option } from "commander";
import { parseDocument } from "yaml";
import { meantBy } from "../../settings/table.js";
import { settingTables } from "../../study/run-plan.js";
import { CommandError, UsageError } from "./failure.js";
import { expectPath } from "./paths.js";

const mostBytes = 1 << 20;

/**
 * The arguments that a command's config file stands for.
 *
 * @param own  the command's arguments, `--config FILE` among them
 * @throws CommandError if the file cannot be read, UsageError if it says what no option can be
 */
export async function argumentsOfConfig(command: Command, own: readonly string[]): Promise<string[]> {
  const path = configPath(own);
  if (path === undefined) return []; // The parser says that the name is missing.
  const settings = await readConfig(path);
  const options = command.options.filter(({ long }) => !["--config", "--help"].includes(long ?? ""));
  const byName = new Map(options.map((option) => [option.attributeName(), option]));
  return Object.entries(settings).flatMap(([key, value]) => {
    const name = key.replace(/[-_]+(\w)/g, (_, letter: string) => letter.toUpperCase());
    const option = byName.get(name);
    if (!option) {
      const meant = meantBy(key, [...byName.keys()], settingTables);
      const help = `\`medmamba ${command.name()} --help\` lists them.`;
      const advice = meant === undefined ? help : `did you mean ${hyphenated(meant)}?`;
      throw new UsageError(`${path}: ${key} is no option of ${command.name()}; ${advice}`);
    }
    return written(path, key, option, value);
  });
}

const hyphenated = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function configPath(args: readonly string[]): string | undefined {
  const at = args.findLastIndex((argument) => /^--config(=|$)/.test(argument));
  const argument = args[at] ?? "";
  return argument.includes("=") ? argument.slice("--config=".length) : args[at + 1];
}

async function readConfig(path: string): Promise<Readonly<Record<string, unknown>>> {
  expectPath(path, "config file");
  const found = await stat(path);
  if (!found.isFile()) throw new CommandError(`${path} is not a file: name a YAML or JSON file.`);
  if (found.size > mostBytes)
    throw new CommandError(`${path} has ${found.size} bytes: that is no config file.`);
  const document = parseDocument(await readFile(path, "utf8"));
  const [problem] = document.errors;
  if (problem) throw new UsageError(`${path}: ${problem.message.split("\n")[0]?.replace(/:$/, "")}.`);
  const value = contents(path, document) ?? {};
  if (typeof value === "object" && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  throw new UsageError(`${path}: options are expected, a line each, such as "batch-size: 16".`);
}

/** @throws UsageError for aliases of aliases that a few lines would make a million of */
function contents(path: string, document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message}.`, { cause: error });
  }
}

/** An option as the command line has it; null says nothing. */
function written(path: string, key: string, option: Option, value: unknown): string[] {
  if (value === null) return [];
  if (!option.required && !option.optional) {
    if (typeof value !== "boolean") throw new UsageError(`${path}: ${key} has to be true or false.`);
    return value === !option.negate ? [option.long as string] : [];
  }
  const text = Array.isArray(value) ? value.join(",") : value;
  if (typeof text !== "string" && typeof text !== "number") {
    throw new UsageError(
      `${path}: ${key} has to be a number, a text or a list, as ${option.flags} takes it.`,
    );
  }
  return [`${option.long}=${text}`];
}
