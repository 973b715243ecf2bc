/** The three parts of a data set, and the words that folders and manifests have for them. */

/** A part of a data set: to learn from, to choose the best epoch by, to judge by. */
export type SplitName = "train" | "val" | "test";

/** All splits, in the order in which they are used. */
export const splitNames: readonly SplitName[] = ["train", "val", "test"];

const spellings: Readonly<Record<string, SplitName>> = {
  train: "train",
  training: "train",
  val: "val",
  valid: "val",
  validation: "val",
  dev: "val",
  test: "test",
  testing: "test",
};

/** What is said of a word that means none of them. */
export const splitWords =
  "train (or training), val (or valid, validation, dev) and test (or testing), in any case";

/** The split that a folder's name or a manifest's entry means, whatever its case, with or without "set" behind it. */
export function parseSplitName(text: string): SplitName | undefined {
  const word = text
    .trim()
    .toLowerCase()
    .replace(/[ _-]?set$/, "");
  return Object.hasOwn(spellings, word) ? spellings[word] : undefined;
}
