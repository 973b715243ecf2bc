/** Card files: YAML or JSON in which people state of a study and a model what no run can know. */
import { givenStatements } from "../../reports/card/given-statements.js";
import { type CardStatements, keyOf, statementRows } from "../../reports/card/statements.js";
import { nearest } from "../../settings/nearest.js";
import { readNamed } from "./config.js";
import { UsageError } from "./failure.js";

/**
 * The statements of a file, by their names: `intended-use` or `intendedUse`.
 *
 * @throws CommandError if the file cannot be read, UsageError if it says what no card says
 */
export async function readCardFile(path: string): Promise<CardStatements> {
  const { settings, placeOf } = await readNamed(
    path,
    "card file",
    'statements are expected, a line each, such as "users: radiologists"',
  );
  const names = Object.keys(statementRows);
  const named = Object.entries(settings).map(([key, value]) => {
    const name = key.replace(/[-_ ]+(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (names.includes(name)) return [name, value] as const;
    const meant = nearest(key, names);
    const advice =
      meant === undefined
        ? "`medmamba report --statements` lists what it can."
        : `did you mean ${keyOf(meant)}?`;
    throw new UsageError(`${placeOf(key)}: a card has no ${key.slice(0, 64)}; ${advice}`);
  });
  return givenStatements(path, Object.fromEntries(named));
}

/** All statements with what to write, as an empty card file: to be filled in. */
export function emptyCardFile(): string {
  const rows = Object.entries(statementRows).map(([name, { words }]) => `# ${words}\n${keyOf(name)}:\n`);
  return `# What no run can know. Leave empty what you do not state.\n\n${rows.join("\n")}`;
}
