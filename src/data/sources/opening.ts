/** The settings by which a data set is understood: what its labels are, and which images it has. A run keeps them. */
import { oneOf, optional, text, texts } from "../../settings/kind.js";
import { setting, type ValuesOf } from "../../settings/table.js";
import { frameChoices } from "../decoding/frame-choice.js";
import type { TaskName } from "../labels.js";

/** The settings. */
export const openingRows = {
  /**
   * What is asked; what the number of classes means unless told. "multi-label" is of tables with a column of 0 and 1 for each
   * label, and may be "multi-class" of such tables where each image has one of them.
   */
  task: setting({
    kind: optional(oneOf<TaskName>(["multi-class", "binary", "multi-label", "ordinal"])),
    default: undefined,
    flag: "--task <name>",
    words: "what is asked of an image: multi-class, binary, multi-label or ordinal",
    defaultWords: "by the number of classes",
  }),
  /** Columns of a table that are the labels; those with nothing but 0 and 1 in them unless told. */
  labels: setting({
    kind: optional(texts),
    default: undefined,
    flag: "--labels <columns>",
    words: "columns of 0 and 1 that are the labels",
    defaultWords: "all of 0 and 1",
    alsoKnownAs: ["labelColumns", "targets"],
  }),
  /** Column of a table whose values say which images stay together in one split; the patient unless told. */
  groups: setting({
    kind: optional(text),
    default: undefined,
    flag: "--groups <column>",
    words: "column by which images stay in one part",
    defaultWords: "patient",
    alsoKnownAs: ["groupBy", "group"],
  }),
  /** Which pictures of a file that has several, where a table names none; "auto" unless told. */
  frames: setting({
    kind: frameChoices,
    default: "auto",
    flag: "--frames <which>",
    words: "pictures of a file with several: auto, first, middle, all or every:K",
    defaultWords: "auto: a volume's middle slice, else the first",
    alsoKnownAs: ["pages", "frame"],
  }),
};

/** How a data set is understood. */
export interface Opening extends Readonly<Partial<ValuesOf<typeof openingRows>>> {}
