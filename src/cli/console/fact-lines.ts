/** Facts of a file as people read them. */
import type { Fact, Facts } from "../../data/facts.js";
import { byteSize, lineWidth, wrapped } from "./wording.js";

/** What facts are counted in, where a number alone does not tell. */
const written: Readonly<Record<string, (fact: Fact) => string>> = {
  bytes: (fact) => byteSize(fact as number),
  spacing: (fact) => `${inWords(fact)} mm`,
  voxels: (fact) => (fact as readonly number[]).join(" x "),
};

/** A fact a line, its name and its value, which goes on below where it is long; all within 80 columns. */
export function factLines(facts: Facts): string[] {
  const rows = Object.entries(facts).filter(([, fact]) => fact !== undefined);
  const column = Math.max(...rows.map(([name]) => nameInWords(name).length)) + 2;
  return rows.flatMap(([name, fact]) => {
    // A file may hold any letters, those that terminals obey among them.
    const text = (written[name] ?? inWords)(fact).replace(/\p{Cc}/gu, "\ufffd");
    return wrapped(text, lineWidth - column).map(
      (line, i) => (i === 0 ? nameInWords(name) : "").padEnd(column) + line,
    );
  });
}

const nameInWords = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function inWords(fact: Fact): string {
  if (typeof fact === "boolean") return fact ? "yes" : "no";
  if (typeof fact !== "object") return typeof fact === "number" ? numberInWords(fact) : String(fact);
  if (Array.isArray(fact)) return fact.map(inWords).join(", ") || "none";
  return Object.entries(fact as Facts)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      const text = typeof value === "object" ? `(${inWords(value)})` : inWords(value);
      return /^\d+$/.test(name) ? `${name}: ${text}` : `${name} ${text}`;
    })
    .join(", ");
}

/** Sizes and scores to a few digits; whole numbers as they are. */
const numberInWords = (value: number): string =>
  Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
