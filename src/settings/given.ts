/**
 * What a caller gave, checked and put in words. TypeScript is not there at run time: what reaches an operation may be
 * anything, and has to be told what it is instead of failing somewhere behind.
 */
import { ArgumentError } from "../errors.js";
import { unknownName } from "./nearest.js";
import { messageOf, typedArrayKind } from "./realms.js";

/** Any value, briefly: for messages. Never throws, whatever the value's own `toString` does. */
export function inWords(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return `an array of ${value.length}`;
      return ArrayBuffer.isView(value) ? "a typed array" : "an object";
    default:
      return String(value);
  }
}

/** "2, 3": extents or axes as the caller gave them, whatever they are and however many. */
export function listInWords(values: unknown): string {
  if (!Array.isArray(values)) return inWords(values);
  const item = (value: unknown) => (typeof value === "number" ? String(value) : inWords(value));
  return Array.from(values.slice(0, 16), item).join(", ") + (values.length > 16 ? ", ..." : "");
}

/** The names of a type's fields, for the check of what is given: the compiler sees to it that none is forgotten. */
export type NamesOf<T> = Readonly<Record<keyof T, unknown>>;

/**
 * An object of named arguments or options.
 *
 * @param names  all that there are; any are taken unless given
 * @throws ArgumentError for null, text, numbers and so on, and for an unknown name, with the nearest one
 */
export function expectNamed<T>(operation: string, what: string, given: T, names?: NamesOf<NoInfer<T>>): T {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new ArgumentError(
      `${operation}: ${what} has to be an object of named values, but is ${inWords(given)}.`,
    );
  if (names === undefined) return given;
  for (const name in given) {
    if (!Object.hasOwn(names, name) && given[name] !== undefined)
      throw new ArgumentError(`${operation}: ${unknownName(name, Object.keys(names))}`);
  }
  return given;
}

/**
 * Options, which callers may leave out.
 *
 * @throws ArgumentError for anything but an object, and for an unknown name, with the nearest one
 */
export function optionsOf<T>(operation: string, options: T, names: NamesOf<NoInfer<T>>): T {
  return expectNamed(operation, "the last argument", options, names);
}

/** @throws ArgumentError unless each is a number, which NaN is not taken for */
export function expectNumbers(operation: string, numbers: Readonly<Record<string, unknown>>): void {
  for (const name in numbers) {
    const value = numbers[name];
    if (typeof value !== "number" || Number.isNaN(value))
      throw new ArgumentError(`${operation}: ${name} has to be a number, but is ${inWords(value)}.`);
  }
}

/** @throws ArgumentError unless each is true or false */
export function expectFlags(operation: string, flags: Readonly<Record<string, unknown>>): void {
  for (const name in flags) {
    if (typeof flags[name] !== "boolean")
      throw new ArgumentError(
        `${operation}: ${name} has to be true or false, but is ${inWords(flags[name])}.`,
      );
  }
}

/** @throws ArgumentError unless it is a function */
export function expectFunction(operation: string, value: unknown, what = ""): void {
  if (typeof value === "function") return;
  const needed = what ? `${what} has to be a function, but is` : "a function is needed, not";
  throw new ArgumentError(`${operation}: ${needed} ${inWords(value)}.`);
}

/** @throws ArgumentError unless each is a whole number of `least` or more */
export function expectCounts(operation: string, counts: Readonly<Record<string, unknown>>, least = 1): void {
  for (const name in counts) {
    const value = counts[name];
    if (!Number.isSafeInteger(value) || (value as number) < least)
      throw new ArgumentError(
        `${operation}: ${name} has to be a whole number of ${least} or more, but is ${inWords(value)}.`,
      );
  }
}

/** @throws ArgumentError unless it is text */
export function expectText(operation: string, what: string, value: unknown): void {
  if (typeof value !== "string")
    throw new ArgumentError(`${operation}: ${what} has to be text, but is ${inWords(value)}.`);
}

/** @throws ArgumentError unless it is an array or a typed array */
export function expectList(operation: string, what: string, value: unknown): void {
  if (!Array.isArray(value) && typedArrayKind(value) === undefined)
    throw new ArgumentError(`${operation}: ${what} has to be an array, but is ${inWords(value)}.`);
}

/** @throws ArgumentError unless it is a typed array */
export function expectTypedArray(operation: string, what: string, value: unknown): void {
  if (typedArrayKind(value) === undefined)
    throw new ArgumentError(`${operation}: ${what} has to be a typed array, but is ${inWords(value)}.`);
}

/** @throws ArgumentError unless it is an array of text */
export function expectTexts(operation: string, what: string, value: unknown): void {
  if (!Array.isArray(value))
    throw new ArgumentError(`${operation}: ${what} has to be an array of text, but is ${inWords(value)}.`);
  for (const [i, item] of value.entries()) expectText(operation, `entry ${i} of ${what}`, item);
}

/** @throws ArgumentError unless it is an `AbortSignal`, or nothing */
export function expectSignal(operation: string, signal: unknown): void {
  if (signal === undefined || typeof (signal as AbortSignal | null)?.throwIfAborted === "function") return;
  throw new ArgumentError(`${operation}: signal has to be an AbortSignal, but is ${inWords(signal)}.`);
}

/** @throws ArgumentError for what JSON does not hold, such as a bigint, or an object that holds itself */
export function expectJson(operation: string, what: string, value: unknown): void {
  try {
    JSON.stringify(value);
  } catch (error) {
    throw new ArgumentError(`${operation}: ${what} cannot be written as JSON: ${messageOf(error)}.`);
  }
}
