/** What a run says of its data: how many, whose, divided how, prepared how. */
import type { Answer } from "./checklist.js";
import type { ColumnFact, PartFacts, RunFacts } from "./facts.js";
import { counted, decimal, judgedInWords, listed, partInWords, partsOf, sentences } from "./words.js";

/** Images, patients and classes of each part. */
export function sizes(facts: RunFacts): string | undefined {
  const parts = partsOf(facts);
  if (parts.length === 0) return undefined;
  const other = facts.externalPart && partInWords("external test", facts.externalPart);
  const all = [...parts.map(([title, part]) => partInWords(title, part)), ...(other ? [other] : [])];
  return `${all.join("; ")}.`;
}

/** What was left out by the run is known; what was left out before is not. */
export function flow(facts: RunFacts): Answer | undefined {
  const found = sizes(facts);
  if (found === undefined) return undefined;
  const left = facts.division?.leaksAllowed === false;
  return {
    partly: sentences(
      "From the table or folder on:",
      found,
      left && "Training images identical to a validation or test image were left out.",
    ),
  };
}

/** Which data served what. */
export function partition(facts: RunFacts): Answer | undefined {
  const found = partitionInWords(facts);
  if (found === undefined) return undefined;
  return facts.division?.given === true ? { partly: found } : found;
}

/** The same as a sentence, whoever divided. */
export function partitionInWords(facts: RunFacts): string | undefined {
  const { division, seal } = facts;
  const found = sizes(facts);
  if (found === undefined || division === undefined) return undefined;
  return sentences(
    dividedHow(facts),
    "Training images fitted the weights; validation images chose epoch and thresholds; test images were only judged.",
    found,
    seal && `The ledger of the run counts ${counted(seal.looks, "evaluation")} on the test images.`,
  );
}

function dividedHow({ division = {} }: RunFacts): string {
  const { given, validationFraction, testFraction, seed, keptTogether } = division;
  if (given) return "The data came divided, by whoever made them.";
  if (validationFraction === undefined || testFraction === undefined || seed === undefined)
    return "The data came divided.";
  const percent = (share: number) => `${Math.round(share * 1000) / 10} %`;
  const by = keptTogether ? "by patient, where patients are known, and by class" : "by class";
  const shares = `${percent(validationFraction)} for validation and ${percent(testFraction)} for test (seed ${seed})`;
  return given === false
    ? `The data were divided at random ${by}, ${shares}.`
    : `Data that came undivided are divided at random ${by}, ${shares}; data that came divided are left so.`;
}

/** At which level parts have nothing in common. */
export function disjointness(facts: RunFacts): string | undefined {
  const { division, audit } = facts;
  const known = partsOf(facts).some(([, { patients }]) => patients !== null);
  if (division?.leaksAllowed === undefined || partsOf(facts).length === 0) return undefined;
  if (division.leaksAllowed)
    return "Not ensured: training was told to go on although patients or images are in two parts.";
  const unit = division.groups === undefined ? "patient" : `group (column ${division.groups})`;
  return sentences(
    known || division.groups !== undefined
      ? `Parts are disjoint by ${unit}: a ${unit} with images in two of them is refused.`
      : "Parts are disjoint by image; of no image the patient is known.",
    "Training images identical to a validation or test image are left out.",
    audit &&
      `The audit found ${counted(audit.crossSplit, "pair")} of identical or nearly identical images across parts.`,
  );
}

/** How images become what the network sees. */
export function preprocessing({ preprocessing, frames = "first", audit }: RunFacts): string | undefined {
  if (!preprocessing) return undefined;
  const { imageSize, channels, mean, std, resize, window, bitDepth } = preprocessing;
  const shape = {
    stretch: "stretched to a square",
    cover: "scaled to cover a square and cut",
    contain: "scaled into a square with black borders",
  }[resize];
  return sentences(
    `Each picture is decoded (DICOM and other measurements: values from black to white by window "${window}", to ${bitDepth} bits; of files with several pictures: ${frames}), ${shape} of ${imageSize} x ${imageSize} pixels with ${counted(channels, "channel")}, brought to 0..1, less ${listed(mean.map(String))}, divided by ${listed(std.map(String))}.`,
    "All images are treated alike, whosever they are.",
    "Images that cannot be decoded stop the run, with their names.",
    audit && auditInWords(audit),
  );
}

function auditInWords({ images, unreadable, duplicates, labelConflicts, burnedIn }: AuditWords): string {
  return `An audit of ${counted(images, "image")} found ${unreadable} unreadable, ${counted(duplicates, "set")} of identical images, ${counted(labelConflicts, "pair")} under different labels, and ${burnedIn} that say that words are burned in.`;
}

type AuditWords = NonNullable<RunFacts["audit"]>;

/** The preprocessing is known, how the images were made is not. */
export function acquisition(facts: RunFacts): Answer | undefined {
  const text = preprocessing(facts);
  return text === undefined ? undefined : { partly: text };
}

/** What was missing, and what became of it. */
export function missingData(facts: RunFacts): string | undefined {
  const { audit } = facts;
  const parts = partsOf(facts);
  if (parts.length === 0) return undefined;
  const gaps = parts.flatMap(([title, { columns }]) =>
    Object.entries(columns)
      .filter(([, { missing }]) => missing > 0)
      .map(([name, { missing }]) => `${name} of ${counted(missing, `${title} image`)}`),
  );
  return sentences(
    "Every image in the run has a picture and a label: an image without label, or that cannot be read, is refused when the data are opened.",
    audit && `The audit found ${counted(audit.unreadable, "unreadable image")}.`,
    "Nothing was imputed.",
    gaps.length > 0
      ? `Not known is ${listed(gaps)}; those images are in no group of that column and count everywhere else.`
      : "The columns that are described have no gap.",
  );
}

/** Ages and the like of each part. */
export function characteristics(facts: RunFacts): string | undefined {
  const parts = partsOf(facts);
  const external = facts.externalPart ? [["external test", facts.externalPart] as const] : [];
  const all = [...parts, ...external];
  if (all.length < 2 || all.some(([, { columns }]) => Object.keys(columns).length === 0)) return undefined;
  return all.map(([title, part]) => `${partInWords(title, part)}: ${columnsInWords(part)}.`).join(" ");
}

function columnsInWords({ columns }: PartFacts): string {
  return Object.entries(columns)
    .map(([name, fact]) => `${name} ${columnInWords(fact)}`)
    .join("; ");
}

function columnInWords(fact: ColumnFact): string {
  const gap = fact.missing > 0 ? `, not known of ${fact.missing}` : "";
  if ("median" in fact)
    return `median ${fact.median} (quartiles ${fact.quartiles[0]} and ${fact.quartiles[1]})${gap}`;
  const counts = Object.entries(fact.counts).map(([value, count]) => `${value} ${count}`);
  return `${counts.join(", ")}${gap}`;
}

/** The same without what a run does not know: dates, treatments, follow-up. */
export function baseline(facts: RunFacts): Answer | undefined {
  const found = characteristics(facts);
  return found === undefined ? undefined : { partly: found };
}

/** With what an audit says of the pictures; without one they are not described technically. */
export function technicalBaseline(facts: RunFacts): Answer | undefined {
  const found = characteristics(facts);
  if (found === undefined) return undefined;
  const some = Object.entries(facts.audit?.sizes ?? {}).slice(0, 5);
  if (some.length === 0) return { partly: found };
  return `${found} Sizes in pixels: ${some.map(([size, count]) => `${size} (${count})`).join(", ")}.`;
}

/** How the test images were chosen makes them like the others, or not. */
export function developmentAndTest(facts: RunFacts): Answer | undefined {
  const { evaluation, division } = facts;
  if (!evaluation) return undefined;
  const isInternal = evaluation.external === false && evaluation.part === "test";
  if (isInternal && division?.given === true)
    return {
      partly: "The test images are of the same data set, which came divided; preprocessing is the same.",
    };
  if (isInternal && division?.given === false)
    return "Internal test: setting, eligibility, labels and preprocessing are those of the development data, of which the test images are a part that was set aside at random.";
  if (evaluation.external === undefined) return undefined;
  return {
    partly: `Judged on ${counted(evaluation.samples, judgedInWords(facts).replace(/s$/, ""))}; preprocessing is the same.`,
  };
}

/** Whether there was another data set. */
export function externalEvaluation(facts: RunFacts): Answer | undefined {
  const { evaluation } = facts;
  if (evaluation?.external === undefined) return undefined;
  if (!evaluation.external) return "No external evaluation was done.";
  const found = characteristics(facts);
  return found === undefined ? { partly: sizes(facts) ?? "" } : { partly: found };
}

/** The number of patients is known, its reason is not. */
export function sampleSize(facts: RunFacts): Answer | undefined {
  const found = sizes(facts);
  if (found === undefined) return undefined;
  const auc = facts.evaluation?.scores.AUC?.interval;
  const width = auc && `The 95 % interval of the test AUC is ${decimal(auc[1] - auc[0])} wide.`;
  return { partly: sentences(found, width) };
}

/** What became of names and numbers of patients in the run; not what was done before. */
export function deidentification({ audit }: RunFacts): Answer | undefined {
  return {
    partly: sentences(
      "In the run patients are replaced by pseudonyms whose key is drawn anew in each process and kept nowhere; checkpoint and report have no name, number or date of a patient.",
      audit && `${counted(audit.burnedIn, "DICOM file")} said that words are burned into the picture.`,
    ),
  };
}
