/**
 * A reporting checklist as a table, and what of it a run answers. An item counts as answered by the run only if nothing is
 * missing from the answer; what the run knows of the rest is told, but not counted.
 */
import type { CardStatements, StatementName } from "../card/statements.js";
import { statementRows } from "../card/statements.js";
import type { RunFacts } from "./facts.js";

/** What a run says to an item: the whole answer, or a part of it. */
export type Answer = string | { readonly partly: string };

/** An item, in our own words. */
export interface ChecklistItem {
  /** As the list has it, such as "12c". */
  readonly number: string;
  /** What it is about. */
  readonly subject: string;
  /** What the run says; undefined where it does not know. */
  readonly answer?: (facts: RunFacts) => Answer | undefined;
  /** What is asked of people: all of it, or what the run cannot know. None where a run of this package can say everything. */
  readonly asks?: readonly StatementName[];
}

/** Where a list is from. */
export interface ChecklistOrigin {
  /** By which it is known. */
  readonly name: string;
  /** Authors, journal and year. */
  readonly publication: string;
  /** Of the publication. */
  readonly doi: string;
}

/** A list. */
export interface Checklist extends ChecklistOrigin {
  readonly items: readonly ChecklistItem[];
}

/**
 * `run`: the run says all that the item asks. `stated`: people have said it, or what the run cannot know of it. `partly`: the run
 * says some of it. `open`: it is to be written.
 */
export type ItemState = "run" | "stated" | "partly" | "open";

/** An item with its answer. */
export interface AnsweredItem {
  /** As the list has it, such as "12c". */
  readonly number: string;
  /** What it is about, in our words. */
  readonly subject: string;
  /** Who answers it. */
  readonly state: ItemState;
  /** What the run says, if anything. */
  readonly text?: string;
  /** What people said, if they were asked and have. */
  readonly stated?: readonly string[];
  /** What is still to be written, each with the name that it has in a card file. */
  readonly write?: readonly {
    /** By which a card file has it. */
    readonly name: StatementName;
    /** What to write. */
    readonly words: string;
  }[];
}

/** A list with its answers. */
export interface AnsweredChecklist extends ChecklistOrigin {
  /** In their order. */
  readonly items: readonly AnsweredItem[];
  /** Items in each state. */
  readonly counts: Readonly<Record<ItemState, number>>;
  /** Of all items, those that the run answers: `counts.run / items.length`. */
  readonly share: number;
  /** The same with those that people have stated. */
  readonly shareWithStatements: number;
}

/** Answers a list from a run, and from what people have stated. */
export function answerChecklist(
  { items, ...list }: Checklist,
  facts: RunFacts,
  statements: CardStatements = {},
): AnsweredChecklist {
  const answered = items.map((item) => answerItem(item, facts, statements));
  const count = (state: ItemState) => answered.filter((item) => item.state === state).length;
  const counts = { run: count("run"), stated: count("stated"), partly: count("partly"), open: count("open") };
  return {
    ...list,
    items: answered,
    counts,
    share: counts.run / items.length,
    shareWithStatements: (counts.run + counts.stated) / items.length,
  };
}

function answerItem(
  { number, subject, answer, asks = [] }: ChecklistItem,
  facts: RunFacts,
  statements: CardStatements,
): AnsweredItem {
  const found = answer?.(facts);
  if (typeof found === "string") return { number, subject, state: "run", text: found };
  const text = found && { text: found.partly };
  const stated = asks.flatMap((name) => statements[name] ?? []);
  const missing = asks.filter((name) => statements[name] === undefined);
  const said = stated.length > 0 && { stated };
  if (asks.length > 0 && missing.length === 0) return { number, subject, state: "stated", ...text, ...said };
  const write = missing.map((name) => ({ name, words: statementRows[name].words }));
  return { number, subject, state: found ? "partly" : "open", ...text, ...said, write };
}
