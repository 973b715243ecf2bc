/**
 * What an object of a caller has to be, written down part by part: the compiler sees to it that no part of its type is forgotten.
 */
import { ArgumentError } from "../errors.js";
import {
  expectCounts,
  expectFlags,
  expectList,
  expectNamed,
  expectNumbers,
  expectText,
  inWords,
} from "../settings/given.js";

/** Says by an ArgumentError what a part, called `what`, is instead. */
export type Part = (operation: string, what: string, value: unknown) => void;

/** A part for each field. */
export type PartsOf<T> = Readonly<Record<keyof T, Part>>;

export const text: Part = expectText;
export const flag: Part = (operation, what, value) => expectFlags(operation, { [what]: value });
export const count: Part = (operation, what, value) => expectCounts(operation, { [what]: value }, 0);
export const number: Part = (operation, what, value) => expectNumbers(operation, { [what]: value });

/** What could not be computed is NaN, and null once it has been a file. */
export const score: Part = (operation, what, value) => {
  if (value !== null && !Number.isNaN(value)) number(operation, what, value);
};

export const orNull =
  (part: Part): Part =>
  (operation, what, value) => {
    if (value !== null) part(operation, what, value);
  };

export const oneOf =
  (choices: readonly unknown[]): Part =>
  (operation, what, value) => {
    if (choices.includes(value)) return;
    throw new ArgumentError(`${operation}: ${what} is ${inWords(value)}, not one of ${choices.join(", ")}.`);
  };

export const listOf =
  (part: Part, length?: number): Part =>
  (operation, what, value) => {
    if (!Array.isArray(value) || (length !== undefined && value.length !== length)) {
      const entries = length === undefined ? "" : ` of ${length}`;
      throw new ArgumentError(
        `${operation}: ${what} has to be an array${entries}, but is ${inWords(value)}.`,
      );
    }
    for (const [i, item] of value.entries()) part(operation, `${what}[${i}]`, item);
  };

/** Entries under any names. */
export const namedOf =
  (part: Part): Part =>
  (operation, what, value) => {
    for (const [name, item] of Object.entries(expectNamed<object>(operation, what, value as object)))
      part(operation, `${what}.${name}`, item);
  };

export const object =
  <T>(parts: PartsOf<T>): Part =>
  (operation, what, value) => {
    const given = expectNamed<Record<string, unknown>>(operation, what, value as Record<string, unknown>);
    for (const [name, part] of Object.entries<Part>(parts)) part(operation, `${what}.${name}`, given[name]);
  };

/** What may be left out. */
export const optional =
  (part: Part): Part =>
  (operation, what, value) => {
    if (value !== undefined) part(operation, what, value);
  };

/** Anything that JSON holds, which is told as it is. */
export const anything: Part = () => {};

/** An array or a typed array, of whatever it is. */
export const list: Part = (operation, what, value) => expectList(operation, what, value);
