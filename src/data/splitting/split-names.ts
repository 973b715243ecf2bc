/** The three parts of a data set, and the words that folders and manifests have for them. */

/** A part of a data set: to learn from, to choose the best epoch by, to judge by. */
export type SplitName = "train" | "val" | "test";

/** All splits, in the order in which they are used. */
export const splitNames: readonly SplitName[] = ["train", "val", "test"];

const spellings: Readonly<Record<string, SplitName>> = {
  train: "train",
  val: "val",
  valid: "val",
  validation: "val",
  test: "test",
};

/** The split that a folder's name or a manifest's entry means, whatever its case. */
export function parseSplitName(text: string): SplitName | undefined {
  return Object.hasOwn(spellings, text.toLowerCase()) ? spellings[text.toLowerCase()] : undefined;
}
