/** Whether the test was one: which images were judged, how often they were looked at, and what speaks against the seal. */
import { escapeMarkup } from "../figures/svg.js";
import type { ReportSection } from "./section.js";

/**
 * What the judged images are to the checkpoint: its own test images, other data, those that its epoch and threshold were chosen
 * by, those that it learned from, all of these, some of them, or nobody knows.
 */
export type TestKind = "internal" | "external" | "validation" | "train" | "all" | "mixed" | "unknown";

/** Whether something that a test needs holds. */
export interface SealFinding {
  /** What was asked. */
  readonly code: /** Are these the images that the training set aside, with the labels that they had? */
    | "split"
    /** Is none of them among those that were trained or validated on? */
    | "apart"
    /** Was the best epoch chosen by other images? */
    | "validation"
    /** Are the parts of the training's data apart? */
    | "leaks"
    /** Is the checkpoint the file that the run wrote? */
    | "checkpoint"
    /** Was the threshold chosen on validation images? */
    | "threshold"
    /** Is the ledger whole, and of this run? */
    | "ledger"
    /** Is it known how often the test images were looked at? */
    | "looks"
    /** Was this look written down? */
    | "recorded";
  readonly state: "ok" | "broken" | "unknown";
  /** The answer as a sentence. */
  readonly words: string;
}

/** What is known about a test, as plain JSON. */
export interface SealEvidence {
  readonly test: TestKind;
  /** That were judged. */
  readonly images: number;
  /** True where these are the images that they should be, divided as they were, but with other labels. */
  readonly relabelled?: boolean;
  /** How many of them the checkpoint was trained, validated and is to be tested on; null where that is not known. */
  readonly of: { readonly train: number; readonly val: number; readonly test: number } | null;
  /** How often the test images of the training were looked at, this time included; null where that is not known. */
  readonly looks: {
    readonly total: number;
    /** By earlier runs in the same folder, which this one replaced. */
    readonly earlier: number;
    /** Whether there may be more. */
    readonly atLeast: boolean;
    /** Different checkpoints, and pairs of a checkpoint and thresholds, that were looked at in this run. */
    readonly checkpoints: number;
    readonly decisions: number;
  } | null;
  /** How far the ledger went when this was written: entries, and the SHA-256 of the last; null where there is none. */
  readonly ledger: { readonly entries: number; readonly hash: string } | null;
  readonly findings: readonly SealFinding[];
}

const kinds: Readonly<Record<TestKind, string>> = {
  internal: "Internal test: the images that the training had set aside.",
  external:
    "External test: other images than those of the training. Whether they are from another hospital, scanner or year is for you to say.",
  validation:
    "No test: these are the validation images, by which the best epoch and the threshold were chosen. Scores are better than can be expected of others.",
  train: "No test: these are the images that the network has learned from. Scores say nothing of others.",
  all: "No test: all images of the training's data, most of which the network has learned from. Scores say nothing of others.",
  mixed:
    "No test as it was planned: some of the training's images, divided otherwise, labelled otherwise or among others.",
  unknown:
    "It is not known what these images are to the network: the checkpoint does not say what it was trained on.",
};

/** What kind of a test it was, as a sentence or two. */
export const testWords = ({ test, relabelled }: Pick<SealEvidence, "test" | "relabelled">): string =>
  relabelled
    ? "No test as it was planned: labels of these images are others now than in the training."
    : kinds[test];

/** Who chose a threshold: the training on validation images, somebody else, or nobody knows. */
export type ThresholdOrigin = "training" | "another" | "unknown";

/** Of the checkpoint's own threshold. */
export function thresholdOrigin({ findings }: Pick<SealEvidence, "findings">): ThresholdOrigin {
  const state = findings.find(({ code }) => code === "threshold")?.state ?? "unknown";
  return ({ ok: "training", broken: "another", unknown: "unknown" } as const)[state];
}

/** How a threshold is told of, as the end of a sentence. */
export const originWords: Readonly<Record<ThresholdOrigin, string>> = {
  training: "chosen on validation images in training",
  another: "not the one that the training chose",
  unknown: "as stored in the checkpoint",
};

const times = (count: number): string => (count === 1 ? "once" : count === 2 ? "twice" : `${count} times`);

/** How often the test images were looked at, as a sentence or two. */
export function lookWords({ looks, test }: Pick<SealEvidence, "looks" | "test">): string {
  if (looks === null || (looks.total === 0 && looks.atLeast))
    return "How often the test images were looked at is not known.";
  const { total, earlier, atLeast, checkpoints, decisions } = looks;
  const how =
    total === 0 ? "not looked at yet" : `${atLeast ? "seen at least" : "looked at"} ${times(total)}`;
  const own = total - earlier;
  const different =
    own < 2
      ? ""
      : decisions === 1
        ? ", each time with the same checkpoint"
        : `, with ${decisions} different ${checkpoints === decisions ? "checkpoints" : checkpoints === 1 ? "thresholds" : "pairs of checkpoint and threshold"}`;
  const before =
    earlier === 0
      ? ""
      : ` ${own === 0 ? "All" : `${earlier}`} of these looks ${earlier === 1 ? "was" : "were"} at earlier runs in the same folder.`;
  const images = test === "internal" ? "These test images" : "The test images of the training";
  return `${images} were ${how}${different}.${before}`;
}

const judged = {
  internal: "internal test",
  external: "external test",
  validation: "validation",
  train: "training",
  all: "training",
  mixed: undefined,
  unknown: undefined,
} as const;

/** What a summary calls the judged images; undefined where they are several things, or it is not known what. */
export const judgedWords = ({ test }: Pick<SealEvidence, "test">): (typeof judged)[TestKind] => judged[test];

/** What speaks against the test beside what kind it is, as sentences. */
export const sealCautions = ({ test, findings }: Pick<SealEvidence, "test" | "findings">): string[] =>
  findings
    .filter(({ state }) => state === "broken")
    .filter(({ code }) => code !== "split" || test === "mixed")
    .map(({ words }) => words);

/** What a summary says where more than one decision was tried on the test images: the best of several looks better than it is. */
export function lookCautions({ looks, test }: Pick<SealEvidence, "looks" | "test">): string[] {
  if (looks === null || test !== "internal") return [];
  return looks.earlier > 0 || looks.decisions > 1 ? [lookWords({ looks, test })] : [];
}

const states: Readonly<Record<SealFinding["state"], readonly [word: string, style: string]>> = {
  ok: ["Holds", "good"],
  broken: ["Broken", "bad"],
  unknown: ["Not known", "note"],
};

const order = ["broken", "unknown", "ok"] as const;

/** The part of a report about the sealed test set. */
export function sealSection(evidence: SealEvidence): ReportSection {
  const { findings, ledger } = evidence;
  const broken = findings.filter(({ state }) => state === "broken").length;
  const sum =
    broken === 0
      ? ""
      : `<p><strong class="bad">${broken === 1 ? "One thing that a test needs does" : `${broken} things that a test needs do`} not hold.</strong> Do not pass the scores on without saying so.</p>`;
  const sorted = order.flatMap((state) => findings.filter((finding) => finding.state === state));
  const items = sorted.map(({ state, words, code }) => {
    const [word, style] = states[state];
    return `<li data-seal="${code} ${state}"><strong class="${style}">${word}:</strong> ${escapeMarkup(words)}</li>`;
  });
  const isAsked = findings.some(({ code }) => code === "looks");
  const looked = isAsked ? `<p>${escapeMarkup(lookWords(evidence))}</p>` : "";
  const anchor =
    ledger === null
      ? ""
      : `<p class="note">The ledger of the run had ${ledger.entries} entries when this was written; the SHA-256 of the last is <code>${escapeMarkup(ledger.hash)}</code>. If it has fewer now, or another line in that place, it was changed.</p>`;
  return {
    id: "seal",
    heading: "The sealed test set",
    body: `<p>${escapeMarkup(testWords(evidence))}</p>
${looked}
${sum}
<ul class="findings">${items.join("")}</ul>
${anchor}`,
  };
}
