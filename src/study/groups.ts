/** Images in groups by what a table says of them, to compare scores between. */
import type { LabelledImages } from "../data/index.js";

/** By the titles of columns, (images) the group of each; undefined where that is not known. */
export type Groups = Readonly<Record<string, readonly (string | undefined)[]>>;

/** More different numbers than this, such as ages, are put into groups of about as many images. */
const mostNumbers = 10;

/** The groups of columns. @param titles  as the data set has them */
export function groupsOf(titles: readonly string[], { attributes = {} }: LabelledImages): Groups {
  return Object.fromEntries(titles.map((title) => [title, inQuarters(attributes[title] ?? [])]));
}

/** Many different numbers by the quarter that they are in: "<43", "43 to <57", "57 to <68", "68 or more". */
function inQuarters(texts: readonly (string | undefined)[]): readonly (string | undefined)[] {
  const values = texts.map((text) => (text === undefined ? undefined : numberOf(text)));
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  if (sorted.some(Number.isNaN) || new Set(sorted).size <= mostNumbers) return texts;
  const quarters = [1, 2, 3].map((quarter) => sorted[Math.floor((quarter * sorted.length) / 4)]!);
  const edges = [...new Set(quarters)].filter((edge) => edge > sorted[0]!);
  return values.map((value) => {
    if (value === undefined) return undefined;
    const above = edges.filter((edge) => value >= edge).length;
    if (above === 0) return `<${edges[0]}`;
    return above === edges.length ? `${edges[above - 1]} or more` : `${edges[above - 1]} to <${edges[above]}`;
  });
}

/** NaN for what is none; an age may be written as DICOM does, "063Y". */
export const numberOf = (text: string): number =>
  text.trim() === "" ? Number.NaN : Number(text.replace(/Y$/, ""));
