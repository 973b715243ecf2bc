/** Statements as callers and files bring them. */
import { ArgumentError } from "../../errors.js";
import { expectNamed, inWords } from "../../settings/given.js";
import { isShortList } from "../../settings/kind.js";
import { type CardStatements, type StatementName, statementRows } from "./statements.js";

/** More is no statement but a file of something else. */
const mostLetters = 20_000;

/**
 * Statements with their text: what is null or empty says nothing, a list is its entries with commas between.
 *
 * @param where  begins the sentences of errors
 * @throws ArgumentError for a name that there is not, with the nearest one, and for what is neither text nor number
 */
export function givenStatements(where: string, given: unknown): CardStatements {
  const named = expectNamed(where, "a card", given as Partial<Record<StatementName, unknown>>, statementRows);
  const found = Object.entries(named).flatMap(([name, value]) => {
    const text = (isShortList(value) ? value : [value ?? ""])
      .map((item) => textOf(where, name, item).trim())
      .filter((item) => item !== "")
      .join(", ");
    if (text.length > mostLetters)
      throw new ArgumentError(
        `${where}: ${name} has ${text.length} letters; a statement has ${mostLetters} at most.`,
      );
    return text === "" ? [] : [[name, text] as const];
  });
  return Object.fromEntries(found);
}

function textOf(where: string, name: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value === null) return "";
  throw new ArgumentError(`${where}: ${name} has to be text or a list of text, but is ${inWords(value)}.`);
}
