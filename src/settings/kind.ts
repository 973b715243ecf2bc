/** Kinds of values that settings take: how one is recognised, said in words, and read from a command line. */

/** Settings by name. */
export type Settings = Readonly<Record<string, unknown>>;

/** A kind of value. */
export interface Kind<T> {
  /** What a value has to be, as the end of a sentence: "a positive integer". */
  readonly range: string;
  /** The same of the text on a command line, where that is written otherwise. */
  readonly written?: string;
  /** All values, where they are a few names. */
  readonly choices?: readonly string[];
  /** Whether `value` is one; `settings` are all that it stands among. */
  holds(value: unknown, settings: Settings): boolean;
  /** What a text on the command line means; something that does not hold where it means nothing. */
  parse(text: string): T | undefined;
}

/** Numbers with a property. */
export function number(
  range: string,
  holds: (value: number, settings: Settings) => boolean,
  written = range,
): Kind<number> {
  return {
    range,
    written,
    holds: (value, settings) => typeof value === "number" && holds(value, settings),
    parse: toNumber,
  };
}

const isInteger = (least: number) => (value: number) => Number.isSafeInteger(value) && value >= least;

export const count = number("a positive integer", isInteger(1), "a whole number of 1 or more");
export const countOrZero = number("a non-negative integer", isInteger(0), "a whole number of 0 or more");
export const seed = number("an integer from 0 to 2^53 - 1", isInteger(0));
export const positive = number("a positive number", (value) => value > 0 && Number.isFinite(value));
export const nonNegative = number("0 or more", (value) => value >= 0);
export const fraction = number("from 0 to 1", (value) => value >= 0 && value <= 1);
export const fractionBelowOne = number("from 0 to below 1", (value) => value >= 0 && value < 1);

/** No list of settings is longer; one with holes can say that it is, and takes minutes to be walked. */
const longestList = 100_000;

/** Whether it is an array without holes, of a length that may be looked at. */
export function isShortList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length <= longestList && !value.includes(undefined);
}

/** Lists of numbers, which a command line has with commas between. */
export function numbers(
  range: string,
  written: string,
  holds: (values: readonly number[], settings: Settings) => boolean,
): Kind<readonly number[]> {
  return {
    range,
    written,
    holds: (value, settings) =>
      isShortList(value) && value.every((item) => typeof item === "number") && holds(value, settings),
    parse: (text) => text.split(",").map(toNumber),
  };
}

/** A word or several, of a line. */
export const text: Kind<string> = {
  range: "a name",
  holds: (value) => typeof value === "string" && value.trim() !== "",
  parse: (written) => written.trim(),
};

/** Several of them, which a command line has with commas between. */
export const texts: Kind<readonly string[]> = {
  range: "names",
  written: "names with commas between, such as effusion,nodule",
  holds: (value) => Array.isArray(value) && value.length > 0 && value.every((name) => text.holds(name, {})),
  parse: (written) => written.split(",").map((name) => name.trim()),
};

/** One of a few names. */
export function oneOf<const Name extends string>(names: readonly Name[]): Kind<Name> {
  return {
    range: `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`,
    choices: names,
    holds: (value) => (names as readonly unknown[]).includes(value),
    parse: (text) => text as Name,
  };
}

/** True or false: a flag that is there or not. */
export const toggle: Kind<boolean> = {
  range: "true or false",
  holds: (value) => typeof value === "boolean",
  parse: (text) => (text === "true" ? true : text === "false" ? false : undefined),
};

/** A value, or none. */
export function optional<T>(kind: Kind<T>): Kind<T | undefined> {
  return { ...kind, holds: (value, settings) => value === undefined || kind.holds(value, settings) };
}

/** NaN for what is no finite number. */
function toNumber(text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : Number.NaN;
}
