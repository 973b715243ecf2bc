/**
 * What a caller gave, checked and put in words. TypeScript is not there at run time: what reaches an operation may be
 * anything, and has to be told what it is instead of failing somewhere behind.
 */
import { ArgumentError } from "../errors.js";

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

/**
 * An object of named arguments or options.
 *
 * @throws ArgumentError for null, text, numbers and so on
 */
export function expectNamed<T>(operation: string, what: string, given: T): T {
  if (typeof given !== "object" || given === null)
    throw new ArgumentError(
      `${operation}: ${what} has to be an object of named values, but is ${inWords(given)}.`,
    );
  return given;
}

/**
 * Options, which callers may leave out.
 *
 * @throws ArgumentError for anything but an object
 */
export function optionsOf<T>(operation: string, options: T): T {
  return expectNamed(operation, "the last argument", options);
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
export function expectFunction(operation: string, value: unknown): void {
  if (typeof value !== "function")
    throw new ArgumentError(`${operation}: a function is needed, not ${inWords(value)}.`);
}
