/**
 * Dividing images so that what belongs together, such as all images of a patient, stays together, and every class has its
 * share in every part as nearly as that allows. Images may have several labels.
 *
 * First iterative stratification: the rarest label goes first, its largest groups before the small ones, each to the part
 * that lacks most of it. Then single groups change their part, or two change places, while that lowers
 *
 *     sum over parts and labels of (images there - images wanted)^2 / images wanted
 *
 * The outcome follows from the groups and the seed alone: files in another order are divided the same way.
 *
 * @see Sechidis, Tsoumakas, Vlahavas, "On the stratification of multi-label data", ECML PKDD 2011
 */
import { createHash } from "node:crypto";
import { ArgumentError } from "../../errors.js";

/** One image to be divided. */
export interface Divisible {
  /** What the image is known by, whatever its place in the list, such as a hash of it. Images of one key stay together. */
  readonly key: string;
  /** With which others it stays together, such as its patient; with none unless told. */
  readonly group?: string | undefined;
  /** The classes that it has: one, or any number. */
  readonly labels: readonly number[];
}

/** Images that stay together, as numbers. */
interface Group {
  readonly members: number[];
  /** Images of each class, then those of no class, then all. */
  readonly counts: Float64Array;
  /** Where the group stands in an order that only the seed decides. */
  readonly rank: string;
}

/** Different sets of counts up to which exchanges of two groups are tried: beyond, there are moves enough. */
const mostKinds = 120;
const mostSteps = 2000;

/**
 * The part of each image: an index into `shares`.
 *
 * A class that as many groups have as there are parts has an image in each of them where that can be.
 *
 * @param shares  of each part, of any sum; a part whose share is 0 stays empty
 * @param seed    another one, another division of the same quality
 * @throws ArgumentError if a share is negative, or none is above 0
 */
export function groupedSplit(
  items: readonly Divisible[],
  { shares, seed }: { readonly shares: readonly number[]; readonly seed: number },
): Int32Array {
  const total = shares.reduce((sum, share) => sum + share, 0);
  if (!(total > 0) || shares.some((share) => !(share >= 0)))
    throw new ArgumentError(`groupedSplit: shares [${shares.join(", ")}] must be 0 or more, one above 0.`);
  const groups = groupsOf(items, seed);
  const division = new Division(
    groups,
    shares.map((share) => share / total),
  );
  division.stratify();
  division.improve();
  const parts = new Int32Array(items.length);
  for (const [at, { members }] of groups.entries())
    for (const member of members) parts[member] = division.partOf(at);
  return parts;
}

/** The fold of each image, from 0: as `groupedSplit` in parts of one size. */
export function groupedFolds(
  items: readonly Divisible[],
  { folds, seed }: { readonly folds: number; readonly seed: number },
): Int32Array {
  return groupedSplit(items, { shares: new Array<number>(folds).fill(1), seed });
}

/** Groups by their rank; images of one key are joined, whatever groups they are in. */
function groupsOf(items: readonly Divisible[], seed: number): Group[] {
  const parents = new Map<string, string>();
  const rootOf = (name: string): string => {
    let root = name;
    for (let next = parents.get(root); next !== undefined && next !== root; next = parents.get(root))
      root = next;
    parents.set(name, root);
    return root;
  };
  const nameOf = ({ group, key }: Divisible): string =>
    group === undefined ? `key ${key}` : `group ${group}`;
  for (const item of items) {
    // The smaller name is the root, so that the order of the images does not matter.
    const [a, b] = [rootOf(`key ${item.key}`), rootOf(nameOf(item))].sort();
    parents.set(b as string, a as string);
  }
  const classes = items.reduce((most, { labels }) => labels.reduce((a, b) => Math.max(a, b + 1), most), 0);
  const found = new Map<string, Omit<Group, "rank"> & { least: string }>();
  for (const [at, item] of items.entries()) {
    const root = rootOf(nameOf(item));
    let group = found.get(root);
    if (!group) {
      group = { members: [], counts: new Float64Array(classes + 2), least: item.key };
      found.set(root, group);
    }
    group.members.push(at);
    if (item.key < group.least) group.least = item.key;
    for (const label of item.labels.length > 0 ? item.labels : [classes]) group.counts[label]! += 1;
    group.counts[classes + 1]! += 1;
  }
  // Names of groups are others in every process; the least key of its images is the group's own for good.
  const rankOf = (key: string) => createHash("sha256").update(`${seed} ${key}`).digest("hex");
  return [...found.values()]
    .map(({ members, counts, least }) => ({ members, counts, rank: rankOf(least) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1));
}

/** A division of groups among parts, and how far it is from the one that is wanted. */
class Division {
  readonly #parts: Int32Array;
  /** Rows of counts: what each part has and what it should have, and which parts there are to fill. */
  readonly #present: Float64Array[];
  readonly #wanted: Float64Array[];
  readonly #open: readonly number[];
  readonly #rows: number;

  constructor(
    private readonly groups: readonly Group[],
    shares: readonly number[],
  ) {
    this.#rows = groups[0]?.counts.length ?? 0;
    this.#parts = new Int32Array(groups.length).fill(-1);
    this.#open = shares.flatMap((share, part) => (share > 0 ? [part] : []));
    this.#present = shares.map(() => new Float64Array(this.#rows));
    this.#wanted = shares.map(() => new Float64Array(this.#rows));
    const largest = shares.indexOf(Math.max(...shares));
    for (let row = 0; row < this.#rows; ++row) {
      const total = groups.reduce((sum, { counts }) => sum + counts[row]!, 0);
      const having = groups.filter(({ counts }) => counts[row]! > 0).length;
      for (const part of this.#open) this.#wanted[part]![row] = total * shares[part]!;
      // A class, not all images: of three patients with other classes, none has to be tested on.
      if (row === this.#rows - 1 || having < this.#open.length) continue;
      for (const part of this.#open) {
        const lacking = Math.max(1 - this.#wanted[part]![row]!, 0);
        this.#wanted[part]![row]! += lacking;
        this.#wanted[largest]![row]! -= lacking;
      }
    }
  }

  partOf(group: number): number {
    return this.#parts[group] ?? 0;
  }

  /** A part for every group, the rarest label first. */
  stratify(): void {
    const all = this.#rows - 1;
    const left = new Set(this.groups.keys());
    while (left.size > 0) {
      const row = this.#rarest(left);
      const having = [...left].filter((at) => this.groups[at]!.counts[row]! > 0);
      having.sort((a, b) => this.groups[b]!.counts[row]! - this.groups[a]!.counts[row]! || a - b);
      for (const group of having) {
        const lacks = (part: number, of: number) => this.#wanted[part]![of]! - this.#present[part]![of]!;
        const [part] = [...this.#open].sort(
          (a, b) => lacks(b, row) - lacks(a, row) || lacks(b, all) - lacks(a, all),
        );
        this.#put(group, part!);
        left.delete(group);
      }
    }
  }

  /** The label, of those that groups without a part have, of which fewest images are left. */
  #rarest(left: ReadonlySet<number>): number {
    const counts = new Float64Array(this.#rows - 1);
    for (const at of left)
      for (let row = 0; row < counts.length; ++row) counts[row]! += this.groups[at]!.counts[row]!;
    let rarest = -1;
    for (const [row, count] of counts.entries())
      if (count > 0 && (rarest < 0 || count < counts[rarest]!)) rarest = row;
    return rarest;
  }

  #put(group: number, part: number): void {
    const before = this.#parts[group]!;
    for (let row = 0; row < this.#rows; ++row) {
      const count = this.groups[group]!.counts[row]!;
      if (before >= 0) this.#present[before]![row]! -= count;
      this.#present[part]![row]! += count;
    }
    this.#parts[group] = part;
  }

  /** Moves groups and exchanges pairs, always the one that helps most, until none helps. */
  improve(): void {
    const kinds = this.#kinds();
    const exchanges = kinds.length <= mostKinds;
    for (let step = 0; step < mostSteps; ++step) {
      let best = { gain: 1e-9, from: -1, to: -1, move: -1, back: -1 };
      for (const from of this.#open) {
        for (const to of this.#open) {
          if (from === to) continue;
          for (const { parts } of kinds) {
            const move = parts[from]!.at(-1);
            if (move === undefined) continue;
            const alone = this.#gain(from, to, move, undefined);
            if (alone > best.gain) best = { gain: alone, from, to, move, back: -1 };
            if (!exchanges || from > to) continue; // an exchange is its own reverse
            for (const other of kinds) {
              const back = other.parts[to]!.at(-1);
              if (back === undefined || other.parts === parts) continue;
              const both = this.#gain(from, to, move, back);
              if (both > best.gain) best = { gain: both, from, to, move, back };
            }
          }
        }
      }
      const { from, to, move, back } = best;
      if (move < 0) return;
      this.#put(move, to);
      relist(kinds, move, from, to);
      if (back < 0) continue;
      this.#put(back, from);
      relist(kinds, back, to, from);
    }
  }

  /** Groups of the same counts are interchangeable: one of each kind in a part stands for all. */
  #kinds(): Kind[] {
    const found = new Map<string, Kind>();
    for (const [at, { counts }] of this.groups.entries()) {
      const name = counts.join();
      const kind = found.get(name) ?? { groups: new Set(), parts: this.#present.map((): number[] => []) };
      kind.groups.add(at);
      kind.parts[this.partOf(at)]!.push(at);
      found.set(name, kind);
    }
    return [...found.values()];
  }

  /** By how much the distance shrinks if `move` goes from one part to another, and `back` the other way. */
  #gain(from: number, to: number, move: number, back: number | undefined): number {
    const there = this.groups[move]!.counts;
    const here = back === undefined ? undefined : this.groups[back]!.counts;
    let gain = 0;
    for (let row = 0; row < this.#rows; ++row) {
      const change = there[row]! - (here?.[row] ?? 0);
      if (change === 0) continue;
      for (const [part, delta] of [
        [from, -change],
        [to, change],
      ] as const) {
        const wanted = this.#wanted[part]![row]!;
        const off = this.#present[part]![row]! - wanted;
        gain -= (delta * (2 * off + delta)) / Math.max(wanted, 1e-9);
      }
    }
    return gain;
  }
}

interface Kind {
  readonly groups: Set<number>;
  /** The groups of the kind in each part. */
  readonly parts: number[][];
}

function relist(kinds: readonly Kind[], group: number, from: number, to: number): void {
  const kind = kinds.find(({ groups }) => groups.has(group))!;
  kind.parts[from]!.splice(kind.parts[from]!.indexOf(group), 1);
  kind.parts[to]!.push(group);
}
