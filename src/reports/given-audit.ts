/**
 * The report of an audit as callers bring it, from `audit` or from a file of theirs: whether it has all that a page shows. The
 * report is written down once more as what each of its parts has to be; the compiler sees to it that no part is forgotten.
 */
import type { Chance } from "../audit/probe.js";
import type { AuditedImage, AuditedSplit, AuditReport, SimilarPair, Some } from "../audit/report.js";
import type { Shortcut, Shortcuts } from "../audit/shortcuts.js";
import { splitNames } from "../data/splitting/split-names.js";
import { ArgumentError } from "../errors.js";
import {
  expectCounts,
  expectFlags,
  expectNamed,
  expectNumbers,
  expectText,
  inWords,
} from "../settings/given.js";
import type { PicturedPair } from "./audit-page.js";

/** Says by an ArgumentError what a part, called `what`, is instead. */
type Part = (operation: string, what: string, value: unknown) => void;

/** A part for each field. */
type PartsOf<T> = Readonly<Record<keyof T, Part>>;

const text: Part = expectText;
const flag: Part = (operation, what, value) => expectFlags(operation, { [what]: value });
const count: Part = (operation, what, value) => expectCounts(operation, { [what]: value }, 0);
const number: Part = (operation, what, value) => expectNumbers(operation, { [what]: value });

/** What could not be computed is NaN, and null once it has been a file. */
const score: Part = (operation, what, value) => {
  if (value !== null && !Number.isNaN(value)) number(operation, what, value);
};

const orNull =
  (part: Part): Part =>
  (operation, what, value) => {
    if (value !== null) part(operation, what, value);
  };

const oneOf =
  (choices: readonly unknown[]): Part =>
  (operation, what, value) => {
    if (choices.includes(value)) return;
    throw new ArgumentError(`${operation}: ${what} is ${inWords(value)}, not one of ${choices.join(", ")}.`);
  };

const listOf =
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
const namedOf =
  (part: Part): Part =>
  (operation, what, value) => {
    for (const [name, item] of Object.entries(expectNamed<object>(operation, what, value as object)))
      part(operation, `${what}.${name}`, item);
  };

const object =
  <T>(parts: PartsOf<T>): Part =>
  (operation, what, value) => {
    const given = expectNamed<Record<string, unknown>>(operation, what, value as Record<string, unknown>);
    for (const [name, part] of Object.entries<Part>(parts)) part(operation, `${what}.${name}`, given[name]);
  };

const counts = namedOf(count);
const image: PartsOf<AuditedImage> = {
  split: oneOf([...splitNames, null]),
  index: count,
  name: text,
  labels: listOf(text),
};
const images = listOf(object(image));
const some = (part: Part): PartsOf<Some<unknown>> => ({ count, first: listOf(part) });
const someImages = object(some(object(image)));
const pair: PartsOf<SimilarPair> = { images: listOf(object(image), 2), similarity: number, how: text };
const somePairs = some(object(pair));

const shortcut = object<Shortcut>({
  feature: text,
  from: oneOf(["picture", "file", "column", "all"]),
  auc: score,
  interval: listOf(score, 2),
  areas: listOf(score),
  suspicious: flag,
});

const report = object<AuditReport>({
  images: object<AuditReport["images"]>({
    count,
    unreadable: object(some(object({ ...image, reason: text }))),
    constant: someImages,
    blank: someImages,
    tiny: someImages,
    clipped: someImages,
    burnedIn: someImages,
    sizes: counts,
    bitDepths: counts,
    channels: counts,
    photometrics: counts,
    spacings: counts,
  }),
  patients: object<AuditReport["patients"]>({
    count: orNull(count),
    images: count,
    acrossSplits: count,
    groupsAcrossSplits: count,
  }),
  splits: namedOf(object<AuditedSplit>({ images: count, patients: orNull(count), classes: counts })),
  duplicates: object(some(object({ images }))),
  nearDuplicates: object(somePairs),
  crossSplit: object<AuditReport["crossSplit"]>({ ...somePairs, identical: count, copiesOfTrain: count }),
  labelConflicts: object(somePairs),
  shortcuts: object<Shortcuts>({
    images: count,
    clusters: count,
    classes: listOf(text),
    chance: orNull(object<Chance>({ auc: score, upper: score, permutations: count })),
    all: orNull(shortcut),
    features: listOf(shortcut),
    leftOut: listOf(text),
  }),
  warnings: listOf(text),
  ok: flag,
});

const picturedPairs = listOf(object<PicturedPair>({ ...pair, pictures: listOf(text, 2) }));

/** @throws ArgumentError naming the part that is not as `audit` makes it */
export function expectAuditReport(operation: string, given: AuditReport): void {
  report(operation, "report", given);
}

/** @throws ArgumentError naming the part of a pair that is not as a page shows it */
export function expectPicturedPairs(operation: string, what: string, pairs: readonly PicturedPair[]): void {
  picturedPairs(operation, what, pairs);
}
