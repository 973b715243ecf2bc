/** How well the label follows from what is no finding. */
import { RandomStream } from "../tensor/random.js";
import { featuresOf, rowsOf, together } from "./features.js";
import { askedOf, type Chance, chance, type ProbeResult, probe, question } from "./probe.js";
import type { Surveyed } from "./survey.js";

/** One feature, or all of them. */
export interface Shortcut extends ProbeResult {
  /** In words, such as "file size" or `column "site"`. */
  readonly feature: string;
  /** What it was taken from: the pixels, the file around them, a column of the table, or all of these. */
  readonly from: "picture" | "file" | "column" | "all";
  /** Whether the label follows so well that a network may learn this in place of the finding. */
  readonly suspicious: boolean;
}

/** What an audit says about shortcuts. */
export interface Shortcuts {
  /** Images that were asked about. */
  readonly images: number;
  /** Patients or groups, and images by themselves, that they are of. */
  readonly clusters: number;
  /** Classes in the order of each `areas`. */
  readonly classes: readonly string[];
  /** What to expect where the label does not follow, by all features together. */
  readonly chance: Chance | null;
  /** All features together. */
  readonly all: Shortcut | null;
  /** Each alone, the best first. */
  readonly features: readonly Shortcut[];
  /** Columns of which nearly every image has another text. */
  readonly leftOut: readonly string[];
}

/** An AUC that a finding's own brightness and size reach in honest data: below it, nothing is said. */
export const suspiciousAuc = 0.7;

/** Images by which chance is estimated; more would change its mean little, and take long. */
const mostForChance = 1000;

/** @param seed  of folds and permutations */
export function findShortcuts(
  images: readonly Surveyed[],
  { classes, multiLabel, seed }: { classes: readonly string[]; multiLabel: boolean; seed: number },
): Shortcuts {
  const read = images.filter(({ picture }) => picture !== undefined);
  const asked = question(
    read.map(({ labels }) => labels),
    classes.length,
    {
      clusters: read.map(({ group, patient }) => group ?? patient),
      keys: read.map(({ picture }) => picture!.fingerprint),
      multiLabel,
      seed,
    },
  );
  const { features, leftOut } = featuresOf(read);
  const names = !multiLabel && classes.length === 2 ? classes.slice(1) : classes;
  const about = { images: read.length, clusters: new Set(asked.clusters).size, classes: names, leftOut };
  const classesSeen = new Set(read.flatMap(({ labels }) => labels)).size;
  if (features.length === 0 || classesSeen < 2 || asked.foldCount < 2)
    return { ...about, chance: null, all: null, features: [] };
  const rows = together(features, read.length);
  const some = new RandomStream(seed)
    .shuffle(Array.from({ length: read.length }, (_, i) => i))
    .slice(0, mostForChance);
  const byChance = chance(rowsOf(rows, some), askedOf(asked, some), seed);
  const judged = (result: ProbeResult) => ({
    ...result,
    suspicious: result.auc >= suspiciousAuc && result.interval[0] > Math.max(byChance.upper, 0.5),
  });
  return {
    ...about,
    chance: byChance,
    all: { feature: "all together", from: "all", ...judged(probe(rows, asked)) },
    features: features
      .map(({ name, from, rows: own }) => ({ feature: name, from, ...judged(probe(own, asked)) }))
      .sort((a, b) => b.auc - a.auc),
  };
}
