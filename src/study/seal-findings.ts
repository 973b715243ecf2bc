/** What is asked of a seal, one function a question: each gives an answer in words, or undefined where there is nothing to ask. */
import { isSplitIdentity } from "../data/contents.js";
import type { SealEvidence, SealFinding, TestKind } from "../reports/sections/seal.js";
import { thresholdsOf } from "./evaluating.js";
import type { Acquaintance, JudgedCheckpoint } from "./judged-images.js";
import { type Ledger, ledgerFiles } from "./ledger.js";
import { begunIn, isGoingOn, type LookedEvent, trainedIn } from "./ledger-entries.js";

/** A look at images: at which, with what decision, and what was seen. */
export interface Look extends Pick<LookedEvent, "by" | "thresholds" | "chosenBy" | "scores"> {
  readonly acquaintance: Acquaintance;
  /** Judged images that a threshold was chosen by in this look. */
  readonly chosenAmong?: number | undefined;
}

/** What is known of a checkpoint's past. */
export interface Past {
  readonly checkpoint: JudgedCheckpoint;
  /** SHA-256 of the checkpoint's file. */
  readonly hash: string;
  /** The ledger beside it. */
  readonly ledger: Ledger | undefined;
  /** Whether that is the ledger of its run. */
  readonly own: boolean;
  /** Of which run the folder is, by its `run.json`. */
  readonly folder: string | undefined;
  /** Why the ledger could not be read. */
  readonly unreadable: string | undefined;
}

export const finding = (
  code: SealFinding["code"],
  state: SealFinding["state"],
  words: string,
): SealFinding => ({
  code,
  state,
  words,
});

const notTests: Partial<Record<TestKind, string>> = {
  validation: "These are validation images, by which the best epoch and the threshold were chosen.",
  train: "These are images that the network has learned from.",
  all: "Images that the network has learned from are among these.",
};

export function splitFinding({ kind, images, of, relabelled }: Acquaintance): SealFinding | undefined {
  const count = images.images;
  if (kind === "internal") {
    const words = `These are the ${count} test images that the training set aside, with the labels that they had.`;
    return finding("split", "ok", words);
  }
  const not = notTests[kind];
  if (not !== undefined) return finding("split", "broken", not);
  if (kind === "mixed") {
    const whole = of !== null && of.train + of.val > 0;
    const words =
      relabelled && whole
        ? `These are ${count} images of the training, divided as they were, but labels of them are others now.`
        : relabelled
          ? `These are the ${count} test images that the training set aside, but their labels are others now.`
          : `The division is not that of the training: of these ${count} images it had ${of?.train} in train, ${of?.val} in val and ${of?.test} in test.`;
    return finding("split", "broken", words);
  }
  if (kind === "unknown")
    return finding("split", "unknown", "The checkpoint does not say which images it was trained on.");
  return undefined;
}

export function apartFinding({ kind, images, of }: Acquaintance): SealFinding | undefined {
  if (kind !== "external" && kind !== "mixed") return undefined;
  const count = images.images;
  if (of === null)
    return finding(
      "apart",
      "unknown",
      "Whether some of these images were trained or validated on is not known: images.json, the list of the training's images, is not beside the checkpoint.",
    );
  const { train, val } = of;
  if (train + val > 0)
    return finding(
      "apart",
      "broken",
      `Of these ${count} images ${train} were trained on and ${val} validated on: scores are too good.`,
    );
  return finding("apart", "ok", `None of these ${count} images was trained or validated on.`);
}

export function validationFinding(
  { checkpoint }: Past,
  { images, kind }: Acquaintance,
): SealFinding | undefined {
  const { provenance } = checkpoint;
  const validated = provenance?.validatedOn;
  const planned = (provenance?.data as { val?: unknown } | undefined)?.val;
  if (!isSplitIdentity(validated)) {
    // Checkpoints of a training without validation, and of before this was kept.
    const [words, state] =
      isSplitIdentity(planned) && planned.images === 0
        ? (["Nothing was chosen by images: the training had none to validate on.", "ok"] as const)
        : ([
            "By which images the best epoch was chosen is not known: the checkpoint does not say.",
            "unknown",
          ] as const);
    return finding("validation", state, words);
  }
  if (validated.images > 0 && validated.contents === images.contents && kind !== "validation") {
    const words = "The best epoch and the threshold were chosen by these very images: scores are too good.";
    return finding("validation", "broken", words);
  }
  if (isSplitIdentity(planned) && planned.contents !== validated.contents) {
    const words = "The best epoch was chosen by other images than the validation images of the data.";
    return finding("validation", "broken", words);
  }
  if (kind === "validation") return undefined;
  const words = `What is best was chosen by ${validated.images} validation images, which are others.`;
  return finding("validation", "ok", words);
}

export function leaksFinding({ own, ledger }: Past): SealFinding {
  const leaks = own ? begunIn(ledger?.entries ?? [])?.leaks : undefined;
  if (typeof leaks !== "object" || leaks === null)
    return finding("leaks", "unknown", "Whether the parts of the training's data were apart is not known.");
  const { images, patients, allowed } = leaks;
  if (images + patients === 0)
    return finding("leaks", "ok", "No image, and no patient that is known, was in two parts of the data.");
  const found = [
    ...(patients > 0 ? [`${patients} patients or groups had images in several parts of the data`] : []),
    ...(images > 0 ? [`${images} images were identical to images of another part`] : []),
  ];
  const why = allowed ? ", which --allow-leaks permitted" : "";
  return finding(
    "leaks",
    "broken",
    `${found.join(", and ")}${why}: scores are too good.`.replace(/^./, (c) => c.toUpperCase()),
  );
}

/** What trainings of the run wrote, and whether the checkpoint is among it. */
function writtenIn({ own, ledger, hash }: Past) {
  const entries = own ? (ledger?.entries ?? []) : [];
  const trained = trainedIn(entries);
  const isOneOf = ({ files }: (typeof trained)[number]) => Object.values(Object(files)).includes(hash);
  const last = trained.at(-1);
  return {
    trained,
    isLast: last !== undefined && isOneOf(last),
    isEarlier: trained.some(isOneOf),
    isOpen: trained.length === 0 || isGoingOn(entries),
  };
}

export function checkpointFinding(past: Past): SealFinding {
  const { checkpoint, own, folder } = past;
  const answer = (state: SealFinding["state"], words: string) => finding("checkpoint", state, words);
  const { isLast, isEarlier, isOpen } = writtenIn(past);
  if (isLast) return answer("ok", "The checkpoint is the file that the training wrote.");
  if (isEarlier) return answer("ok", "The checkpoint is a file that the training wrote before it went on.");
  const run = checkpoint.provenance?.run;
  if (folder !== undefined && run !== undefined && run !== folder)
    return answer("broken", "The checkpoint is not of the run whose folder it is in.");
  const open = "Whether the checkpoint is as the training wrote it is not known";
  if (!own) return answer("unknown", `${open}: the ledger of its run is not beside it.`);
  if (isOpen) return answer("unknown", `${open}: the training has not come to its end.`);
  return answer(
    "broken",
    "The checkpoint is not the file that the training wrote: it was changed or replaced.",
  );
}

export function thresholdFinding(past: Past, look: Look): SealFinding | undefined {
  const answer = (state: SealFinding["state"], words: string) => finding("threshold", state, words);
  if (look.chosenAmong !== undefined && look.chosenAmong > 0)
    return answer(
      "broken",
      `The threshold for ${look.chosenBy} was chosen by ${look.chosenAmong} of these very images.`,
    );
  const now = thresholdsOf(past.checkpoint);
  const { trained, isEarlier, isOpen } = writtenIn(past);
  const isKnown = trained.some(({ thresholds }) => JSON.stringify(thresholds) === JSON.stringify(now));
  if (now === null && (isEarlier || isKnown || isOpen)) return undefined;
  if (isEarlier || isKnown)
    return answer(
      "ok",
      `The threshold, ${inWords(now)}, is the one that the training chose on validation images.`,
    );
  if (isOpen)
    return answer(
      "unknown",
      "Who chose the threshold, and by which images, is not known: the ledger does not say.",
    );
  return answer(
    "broken",
    `The threshold is not the one that the training chose: ${inWords(now)} now, ${inWords(trained.at(-1)!.thresholds)} then.`,
  );
}

const inWords = (thresholds: readonly number[] | null): string =>
  Array.isArray(thresholds) ? thresholds.map((value) => Number(value).toPrecision(4)).join(", ") : "none";

export function ledgerFinding({ checkpoint, ledger, own, folder, unreadable }: Past): SealFinding {
  if (unreadable !== undefined)
    return finding("ledger", "broken", `The ledger cannot be read: ${unreadable}`);
  const run = checkpoint.provenance?.run;
  if (!ledger && folder !== undefined && folder === run)
    return finding(
      "ledger",
      "broken",
      `The ledger of the run, ${ledgerFiles.ledger}, was removed from its folder.`,
    );
  if (!ledger)
    return finding(
      "ledger",
      "unknown",
      run === undefined
        ? "The checkpoint is of no run that kept a ledger."
        : `The ledger of the run, ${ledgerFiles.ledger}, is not beside the checkpoint.`,
    );
  if (!own)
    return run === undefined
      ? finding("ledger", "unknown", "The ledger beside the checkpoint does not know it.")
      : finding("ledger", "broken", "The ledger beside the checkpoint is that of another run.");
  const { broken, doubts, entries } = ledger;
  if (broken.length > 0) return finding("ledger", "broken", `The ledger was changed: ${broken.join("; ")}.`);
  if (doubts.length > 0)
    return finding("ledger", "unknown", `Not all of the ledger is sure: ${doubts.join("; ")}.`);
  const length = entries.length === 1 ? "its one entry follows" : `its ${entries.length} entries follow`;
  return finding("ledger", "ok", `The ledger is whole: ${length} from each other.`);
}

export function looksFinding({ ledger, own }: Past, looks: SealEvidence["looks"]): SealFinding {
  if (looks === null || !own)
    return finding(
      "looks",
      "unknown",
      "How often the test images were looked at is not known, and this look is not counted: the ledger of the run is not beside the checkpoint.",
    );
  if (ledger && ledger.broken.length > 0)
    return finding(
      "looks",
      "unknown",
      "How often the test images were looked at is not known for sure: the ledger was changed.",
    );
  if (looks.atLeast)
    return finding(
      "looks",
      "unknown",
      "How often the test images were looked at before the run kept a ledger is not known.",
    );
  return finding(
    "looks",
    "ok",
    "How often the test images were looked at by this package is counted in the ledger.",
  );
}
