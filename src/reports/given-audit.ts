/**
 * The report of an audit as callers bring it, from `audit` or from a file of theirs: whether it has all that a page shows. The
 * report is written down once more as what each of its parts has to be; the compiler sees to it that no part is forgotten.
 */
import type { Chance } from "../audit/probe.js";
import type { AuditedImage, AuditedSplit, AuditReport, SimilarPair, Some } from "../audit/report.js";
import type { Shortcut, Shortcuts } from "../audit/shortcuts.js";
import { splitNames } from "../data/splitting/split-names.js";
import type { PicturedPair } from "./audit-page.js";
import {
  count,
  flag,
  listOf,
  namedOf,
  number,
  object,
  oneOf,
  orNull,
  type Part,
  type PartsOf,
  score,
  text,
} from "./parts.js";

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
