/** Facts as sentences: what the answers of all checklists are put together from. */
import type { PartFacts, RunFacts, ScoreFact } from "./facts.js";

/** "1 image", "2 images". */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** "a, b and c". */
export function listed(items: readonly string[]): string {
  const last = items.at(-1) ?? "";
  return items.length < 2 ? last : `${items.slice(0, -1).join(", ")} and ${last}`;
}

/** Three decimals; what rounds to 0 has no sign. */
export const decimal = (value: number): string => value.toFixed(3).replace(/^-(?=[0.]*$)/, "");

/** "0.912 (95 % interval 0.874 to 0.941)", or why there is none. */
export function estimate({ value, interval, reason }: ScoreFact): string {
  if (value === null) return `not defined${reason === undefined ? "" : `, because ${reason}`}`;
  if (interval) return `${decimal(value)} (95 % interval ${decimal(interval[0])} to ${decimal(interval[1])})`;
  return `${decimal(value)} (no interval${reason === undefined ? "" : `, because ${reason}`})`;
}

/** Sentences one after the other; what is not known is left out. */
export const sentences = (...parts: readonly (string | false | undefined)[]): string =>
  parts.filter((part) => part).join(" ");

export const partTitles = { train: "training", val: "validation", test: "test" } as const;

/** "training 84 images of 60 patients (benign 40, malignant 44)". */
export function partInWords(title: string, { images, patients, classes }: PartFacts): string {
  const of = patients === null ? "" : ` of ${counted(patients, "patient")}`;
  const each = Object.entries(classes).map(([name, count]) => `${name} ${count}`);
  return `${title} ${counted(images, "image")}${of} (${each.join(", ")})`;
}

/** The parts that there are, in the order of training, validation, test. */
export function partsOf({ parts = {} }: RunFacts): (readonly [string, PartFacts])[] {
  return (["train", "val", "test"] as const).flatMap((name) => {
    const part = parts[name];
    return part && part.images > 0 ? [[partTitles[name], part] as const] : [];
  });
}

/** The classes between which it tells. */
export const classesInWords = ({ classes = [] }: RunFacts): string => listed(classes);

/** Which images were judged, in the words of CLAIM 2024. */
export function judgedInWords({ evaluation }: RunFacts): string {
  if (!evaluation) return "";
  if (evaluation.external === true) return "external test images";
  if (evaluation.part === "test")
    return evaluation.external === false ? "internal test images" : "test images";
  return { train: "training images", val: "validation images", all: "images" }[evaluation.part];
}
