/** What a ledger tells, and what follows from it: which checkpoint a training wrote, how often its test images were looked at. */
import type { SplitIdentity } from "../data/contents.js";
import type { SplitName } from "../data/index.js";

/** A training begins: on which images, by which settings. */
export interface BegunEvent {
  readonly event: "begun";
  /** Of which run the ledger is; checkpoints say the same. */
  readonly run: string;
  readonly images: Readonly<Record<SplitName, SplitIdentity>>;
  /** Hash of all that decides the outcome. */
  readonly settings: string;
  readonly seed: number;
  /** What was trained with although it makes scores too good. */
  readonly leaks: {
    /** Whether it was asked for. */
    readonly allowed: boolean;
    /** Images of a part that are identical to images of an earlier one. */
    readonly images: number;
    /** Patients or groups with images in several parts. */
    readonly patients: number;
  };
  /** Of the runs that this one replaced: how often these test images had been looked at; null where nobody knows. */
  readonly earlier?: { readonly looks: number | null; readonly head?: string };
}

/** A run goes on, with other epochs where it says so. */
export interface WentOnEvent {
  readonly event: "resumed" | "extended";
  readonly settings: string;
  readonly epochs: number;
}

/** A training is done: what it wrote, and by which images it chose. */
export interface TrainedEvent {
  readonly event: "trained";
  /** SHA-256 of checkpoints by the names of their files. */
  readonly files: Readonly<Record<string, string>>;
  readonly images: Readonly<Record<SplitName, SplitIdentity>>;
  /** Probabilities from which classes are called; null where there are none. */
  readonly thresholds: readonly number[] | null;
  readonly chosenOn: "val" | "nothing";
  readonly bestEpoch: number | null;
  readonly epochs: number;
  readonly settings: string;
  readonly seed: number;
}

/** Somebody was told how good a checkpoint is on test images. */
export interface LookedEvent {
  readonly event: "looked";
  readonly by: "train" | "evaluate" | "evaluate --against";
  /** SHA-256 of the file. */
  readonly checkpoint: string;
  /** Which images, all of them. */
  readonly images: SplitIdentity;
  /** How many of them are the run's own; null where that is not known. */
  readonly of: Readonly<Record<SplitName, number>> | null;
  readonly thresholds: readonly number[] | null;
  /** "training", the wish by which a threshold was chosen on validation images, "nobody", "not the training", "not known". */
  readonly chosenBy: string;
  readonly scores: Readonly<Record<string, number | null>>;
}

/** What happened. */
export type LedgerEvent = BegunEvent | WentOnEvent | TrainedEvent | LookedEvent;

/** A line of the ledger. */
export type LedgerEntry = LedgerEvent & {
  /** From 1. */
  readonly sequence: number;
  /** SHA-256 of the line before; "" in the first. */
  readonly previous: string;
  /** When it was written, by the clock of the machine; no result depends on it. */
  readonly time: string;
  /** Of this package. */
  readonly version: string;
  /** What had been done to the ledger before. */
  readonly found?: readonly string[];
};

/** How often test images were looked at. */
export interface Looks {
  /** All, those of earlier runs in the folder included. */
  readonly total: number;
  /** Of them, those before this run, which replaced others. */
  readonly earlier: number;
  /** Whether there may be more, because the run is older than its ledger. */
  readonly atLeast: boolean;
  /** Different checkpoints that were looked at in this run. */
  readonly checkpoints: number;
  /** Different pairs of a checkpoint and its thresholds: looking again at the same pair tells nothing new. */
  readonly decisions: number;
}

const only = <Name extends LedgerEvent["event"]>(entries: readonly LedgerEntry[], name: Name) =>
  entries.filter((entry): entry is Extract<LedgerEntry, { event: Name }> => entry.event === name);

export const begunIn = (entries: readonly LedgerEntry[]) => only(entries, "begun").at(0);
export const trainedIn = (entries: readonly LedgerEntry[]) => only(entries, "trained");

/** Whether a run went on after what it wrote last, and has not come to its end since. */
export const isGoingOn = (entries: readonly LedgerEntry[]): boolean =>
  entries.findLastIndex(({ event }) => event === "resumed" || event === "extended") >
  entries.findLastIndex(({ event }) => event === "trained");

/** How often the run's test images were among those that were judged. */
export function looksIn(entries: readonly LedgerEntry[]): Looks {
  const looks = only(entries, "looked").filter(({ of }) => (of?.test ?? 1) > 0);
  const before = begunIn(entries)?.earlier;
  const earlier = Number.isSafeInteger(before?.looks) ? before!.looks! : 0;
  const decisions = looks.map(({ checkpoint, thresholds }) => JSON.stringify([checkpoint, thresholds]));
  return {
    total: earlier + looks.length,
    earlier,
    atLeast: before?.looks === null,
    checkpoints: new Set(looks.map(({ checkpoint }) => checkpoint)).size,
    decisions: new Set(decisions).size,
  };
}
