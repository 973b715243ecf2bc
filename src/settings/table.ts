/**
 * Settings as tables: a row says all that there is to say of one, and types, defaults, checks, the command line, its help,
 * config files and what a run is saved with come from the row.
 */
import { ArgumentError } from "../errors.js";
import { expectNamed, inWords, listInWords } from "./given.js";
import type { Kind, Settings } from "./kind.js";
import { nearest, unknownName } from "./nearest.js";

/** One setting. */
export interface Setting<T> {
  /** What values it takes. */
  readonly kind: Kind<T>;
  /** Its value where none is given; a function is asked with those that come before it in the table. */
  readonly default: NoInfer<T> | ((before: Settings) => NoInfer<T>);
  /** What it is, for help. */
  readonly words: string;
  /** The default for help, where it is not the value itself. */
  readonly defaultWords?: string;
  /** Such as "--batch-size <count>"; without one, and without `parts`, programs alone can set it. */
  readonly flag?: string;
  /** Flags that give the value by name, or change a part of it. */
  readonly parts?: readonly Part<T>[];
  /** Names that others have for it, which are not taken but pointed to the right one. */
  readonly alsoKnownAs?: readonly string[];
}

/** A flag that changes a part of a setting. */
export interface Part<T> {
  readonly flag: string;
  readonly kind: Kind<unknown>;
  readonly words: string;
  readonly defaultWords?: string;
  apply(value: T, given: never): T;
}

/** A table. */
export type Rows = Readonly<Record<string, Setting<unknown>>>;

/** The settings of a table. */
export type ValuesOf<R> = { -readonly [Name in keyof R]: R[Name] extends Setting<infer T> ? T : never };

/** A row, whose type is that of its kind. */
export function setting<T>(row: Setting<T>): Setting<T> {
  return row;
}

/**
 * All settings of a table: those given, and the defaults of the others.
 *
 * @param where   begins the sentences of errors
 * @param refuse  the sentence about a value that cannot be
 * @throws ArgumentError for an unknown name, with the nearest one, and for a value that is not of its kind
 */
export function complete<R extends Rows>(
  where: string,
  rows: R,
  given: Partial<ValuesOf<R>>,
  refuse = (name: string, value: string, range: string) => `${where}: ${name} ${value} must be ${range}.`,
): ValuesOf<R> {
  expectKnown(where, given, rows);
  const expectHolds = (name: string, kind: Kind<unknown>, value: unknown, among: Settings): void => {
    if (!kind.holds(value, among)) throw new ArgumentError(refuse(name, shown(value), kind.range));
  };
  // What is given comes first: defaults are computed from it.
  for (const [name, { kind }] of Object.entries(rows)) {
    const value = (given as Settings)[name];
    if (value != null) expectHolds(name, kind, value, given as Settings);
  }
  const settings: Record<string, unknown> = {};
  for (const [name, row] of Object.entries(rows)) {
    const value = (given as Settings)[name];
    settings[name] = value ?? (typeof row.default === "function" ? row.default(settings) : row.default);
  }
  for (const [name, { kind }] of Object.entries(rows)) expectHolds(name, kind, settings[name], settings);
  return settings as ValuesOf<R>;
}

/**
 * Refuses names that a table does not have.
 *
 * @param besides  names that are known beside the table's
 * @throws ArgumentError with the nearest name, or all
 */
export function expectKnown(where: string, given: object, rows: Rows, besides: readonly string[] = []): void {
  const known = [...Object.keys(rows), ...besides];
  for (const [name, value] of Object.entries(expectNamed(where, "what is given", given))) {
    if (value === undefined || known.includes(name)) continue;
    throw new ArgumentError(`${where}: ${unknownName(name, known, meantBy(name, known, rows))}`);
  }
}

/** The name that was meant by one that there is not: one that looks like it, or that others call so. */
export function meantBy(name: string, known: readonly string[], rows: Rows = {}): string | undefined {
  const aliases = Object.entries(rows)
    .filter(([own]) => known.includes(own))
    .flatMap(([own, { alsoKnownAs = [] }]) => alsoKnownAs.map((alias) => [alias, own] as const));
  const meant = new Map([...aliases, ...known.map((own) => [own, own] as const)]);
  const similar = nearest(name, meant.keys());
  return similar === undefined ? undefined : meant.get(similar);
}

const shown = (value: unknown): string => (Array.isArray(value) ? `[${listInWords(value)}]` : inWords(value));

/** Those of an object's fields that a table has rows for. */
export function pick<R extends Rows>(rows: R, from: object): Partial<ValuesOf<R>> {
  const own = Object.entries(from).filter(
    ([name, value]) => value !== undefined && Object.hasOwn(rows, name),
  );
  return Object.fromEntries(own) as Partial<ValuesOf<R>>;
}
