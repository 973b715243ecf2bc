/**
 * Config files: YAML or JSON whose keys are the names of a command's options, `batch-size` or `batchSize`. A file is the same
 * as its options on the command line before all others, so that a flag beside it wins.
 */
import { readFile, stat } from "node:fs/promises";
import { type Command, InvalidArgumentError, type Option } from "commander";
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
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
  const { settings, placeOf } = await readNamed(
    path,
    "config file",
    'options are expected, a line each, such as "batch-size: 16"',
  );
  const options = command.options.filter(({ long }) => !["--config", "--help"].includes(long ?? ""));
  const byName = new Map(options.map((option) => [option.attributeName(), option]));
  return Object.entries(settings).flatMap(([key, value]) => {
    const name = key.replace(/[-_]+(\w)/g, (_, letter: string) => letter.toUpperCase());
    const option = byName.get(name);
    if (!option) {
      const meant = meantBy(key, [...byName.keys()], settingTables);
      const help = `\`medmamba ${command.name()} --help\` lists them.`;
      const advice = meant === undefined ? help : `did you mean ${hyphenated(meant)}?`;
      throw new UsageError(`${placeOf(key)}: ${key} is no option of ${command.name()}; ${advice}`);
    }
    return written(placeOf(key), key, option, value);
  });
}

const hyphenated = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The file that `--config` names; undefined without one. */
export function configPath(args: readonly string[]): string | undefined {
  const at = args.findLastIndex((argument) => /^--config(=|$)/.test(argument));
  const argument = args[at] ?? "";
  return argument.includes("=") ? argument.slice("--config=".length) : args[at + 1];
}

/** What such a file says, and where. */
interface Named {
  readonly settings: Readonly<Record<string, unknown>>;
  /** "study.yaml line 3", for messages about a key. */
  placeOf(key: string): string;
}

/**
 * A YAML or JSON file of names with values.
 *
 * @param what      "config file", for messages
 * @param expected  what should be in it
 * @throws CommandError if the file cannot be read, UsageError if it holds something else
 */
export async function readNamed(path: string, what: string, expected: string): Promise<Named> {
  expectPath(path, what);
  const found = await stat(path);
  if (!found.isFile()) throw new CommandError(`${path} is not a file: name a YAML or JSON file.`);
  if (found.size > mostBytes) throw new CommandError(`${path} has ${found.size} bytes: that is no ${what}.`);
  const lineCounter = new LineCounter();
  const document = parseDocument(await readFile(path, "utf8"), { lineCounter });
  const [problem] = document.errors;
  if (problem) throw new UsageError(`${path}: ${problem.message.split("\n")[0]?.replace(/:$/, "")}.`);
  const value = contents(path, document) ?? {};
  if (typeof value === "object" && !Array.isArray(value)) {
    const placeOf = (key: string): string => {
      const pairs = isMap(document.contents) ? document.contents.items : [];
      const name = pairs.map((pair) => pair.key).find((name) => isScalar(name) && String(name.value) === key);
      const start = isScalar(name) ? name.range?.[0] : undefined;
      return start === undefined ? path : `${path} line ${lineCounter.linePos(start).line}`;
    };
    return { settings: value as Readonly<Record<string, unknown>>, placeOf };
  }
  throw new UsageError(`${path}: ${expected}.`);
}

/** @throws UsageError for aliases of aliases that a few lines would make a million of */
function contents(path: string, document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message}.`, { cause: error });
  }
}

/** An option as the command line has it; null says nothing. @throws UsageError for a value that it does not take */
function written(place: string, key: string, option: Option, value: unknown): string[] {
  if (value === null) return [];
  if (!option.required && !option.optional) {
    if (typeof value !== "boolean") throw new UsageError(`${place}: ${key} has to be true or false.`);
    return value === !option.negate ? [option.long as string] : [];
  }
  const text = Array.isArray(value) ? value.join(",") : value;
  if (typeof text !== "string" && typeof text !== "number") {
    throw new UsageError(
      `${place}: ${key} has to be a number, a text or a list, as ${option.flags} takes it.`,
    );
  }
  try {
    // The parser would say the same of a flag that nobody has typed.
    option.parseArg?.(String(text), undefined);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new UsageError(`${place}: ${key} ${text} cannot be: ${withSmallInitial(error.message)}`, {
      cause: error,
    });
  }
  return [`${option.long}=${text}`];
}

const withSmallInitial = (sentence: string): string =>
  `${sentence.slice(0, 1).toLowerCase()}${sentence.slice(1)}`;
