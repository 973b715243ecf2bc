/** The findings of an audit as sentences: what was found, and what to do. */
import { wilsonInterval } from "../metrics/intervals.js";
import type { AuditReport, Some } from "./report.js";

type Findings = Omit<AuditReport, "warnings" | "ok">;

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
const are = (count: number, noun: string): string => `${plural(count, noun)} ${count === 1 ? "is" : "are"}`;
const example = (some: Some<{ readonly name: string }>): string =>
  some.first[0] === undefined ? "" : ` (such as ${some.first[0].name})`;

export function warningsOf(findings: Findings): string[] {
  return [
    ...leaks(findings),
    ...conflicts(findings),
    ...pictures(findings),
    ...small(findings),
    ...mixtures(findings),
    ...shortcuts(findings),
  ];
}

function* leaks({ patients, crossSplit, duplicates, nearDuplicates }: Findings): Generator<string> {
  const { acrossSplits, groupsAcrossSplits } = patients;
  if (acrossSplits > 0) {
    yield `${plural(acrossSplits, "patient")} ${acrossSplits === 1 ? "has" : "have"} images in more than one split: what is measured is too good. Divide anew with \`medmamba split --again\`.`;
  }
  if (groupsAcrossSplits > 0) {
    yield `${plural(groupsAcrossSplits, "group")} that should stay together ${groupsAcrossSplits === 1 ? "has" : "have"} images in more than one split.`;
  }
  if (crossSplit.count > 0) {
    yield `${are(crossSplit.copiesOfTrain, "validation or test image")} in train as well, to the pixel or nearly (${plural(crossSplit.count, "pair")} across splits, ${crossSplit.identical} identical): keep one of each, or both in one split.`;
  }
  const within = [
    ...(duplicates.count > 0 ? [`${are(duplicates.count, "image")} there more than once`] : []),
    ...(nearDuplicates.count > 0
      ? [
          `${plural(nearDuplicates.count, "pair")} of images ${nearDuplicates.count === 1 ? "is" : "are"} nearly the same`,
        ]
      : []),
  ];
  if (within.length > 0) yield `${within.join(", and ")}: intervals take them for independent.`;
}

function* conflicts({ labelConflicts }: Findings): Generator<string> {
  const { count, first } = labelConflicts;
  const [pair] = first;
  if (!pair) return;
  const [a, b] = pair.images;
  yield `${are(count, "pair")} of the same image under different labels, such as ${a.name} (${a.labels.join(", ") || "none"}) and ${b.name} (${b.labels.join(", ") || "none"}): one of the two is wrong.`;
}

function* pictures({ images }: Findings): Generator<string> {
  const { unreadable, constant, blank, tiny, clipped, burnedIn, count } = images;
  if (burnedIn.count > 0)
    yield `${plural(burnedIn.count, "DICOM file")} ${burnedIn.count === 1 ? "says" : "say"} that words are burned into the picture${example(burnedIn)}: they may name the patient, or give the label away.`;
  if (unreadable.count > 0)
    yield `${are(unreadable.count, "image")} unreadable${example(unreadable)}: ${unreadable.first[0]?.reason}.`;
  if (constant.count > 0)
    yield `${are(constant.count, "image")} of one value throughout${example(constant)}.`;
  if (blank.count > 0) yield `${are(blank.count, "image")} blank but for a few pixels${example(blank)}.`;
  if (tiny.count > 0)
    yield `${tiny.count === count ? `All ${count} images are` : are(tiny.count, "image")} less than 32 pixels wide or high${tiny.count === count ? "" : example(tiny)}.`;
  if (clipped.count > 0)
    yield `${are(clipped.count, "image")} cut off at white or black${example(clipped)}: a tenth of the pixels is white, or a third black, beside any border.`;
}

/** Half of a 95 % interval wider than this says little. */
const widest = 0.1;
/** The sensitivity that is supposed. */
const supposed = 0.9;

/** Images of a class that make the interval of a sensitivity of 0.9 as narrow as plus or minus 0.1. */
export function imagesForInterval(): number {
  let count = 2;
  while (halfWidth(count) > widest) count += 1;
  return count;
}

function halfWidth(count: number): number {
  const [low, high] = wilsonInterval(supposed * count, count);
  return (high - low) / 2;
}

function* small({ splits }: Findings): Generator<string> {
  const enough = imagesForInterval();
  for (const [split, { classes }] of Object.entries(splits)) {
    if (split !== "test" && split !== "all") continue;
    const few = Object.entries(classes).filter(([, count]) => count < enough);
    if (few.length === 0) continue;
    const which = few.map(([name, count]) => {
      if (count === 0) return `${name} none`;
      const [low, high] = wilsonInterval(supposed * count, count);
      return `${name} ${count} (a sensitivity of 0.90 may be ${low.toFixed(2)} to ${high.toFixed(2)})`;
    });
    const images = split === "test" ? "test images" : "images";
    yield `Few ${images} of ${plural(few.length, "class").replace(/classs$/, "classes")}: ${which.join(", ")}; from ${enough} on the interval is within 0.1.`;
  }
}

function* mixtures({ images }: Findings): Generator<string> {
  const mixed = [
    ["sizes", images.sizes],
    ["bit depths", images.bitDepths],
    ["grey and color", images.channels],
    ["photometric interpretations", images.photometrics],
    ["spacings", images.spacings],
  ] as const;
  for (const [what, counts] of mixed) {
    const [commonest, ...others] = Object.entries(counts);
    if (!commonest || others.length === 0) continue;
    const shown = [commonest, ...others].slice(0, 3).map(([value, count]) => `${value}: ${count}`);
    const more = others.length > 2 ? ", and others" : "";
    yield `Images are of mixed ${what} (${shown.join(", ")}${more}): see below whether the label follows from it.`;
  }
}

function* shortcuts({ shortcuts: { features, chance } }: Findings): Generator<string> {
  const found = features.filter(({ suspicious }) => suspicious);
  if (found.length === 0) return;
  const shown = found.slice(0, 5).map(({ feature, auc, interval: [low, high] }) => {
    return `${feature} (AUC ${auc.toFixed(2)}, ${low.toFixed(2)} to ${high.toFixed(2)})`;
  });
  const more = found.length > 5 ? ` and ${found.length - 5} more` : "";
  yield `The label follows from what is no finding: ${shown.join(", ")}${more}; by chance it would be ${chance?.auc.toFixed(2)}. A network may learn that instead.`;
}
