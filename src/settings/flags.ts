/** What a table of settings looks like on a command line, and in a config file: its flags, and what each changes. */
import type { Kind, Settings } from "./kind.js";
import type { Rows } from "./table.js";

/** One flag. */
export interface Flag {
  /** Such as "--batch-size <count>". */
  readonly flag: string;
  /** For help, with the default. */
  readonly words: string;
  readonly kind: Kind<unknown>;
  /** What `value` makes of the settings. */
  change(settings: Settings, value: unknown): Settings;
}

/** All flags of a table, in its order. */
export function flagsOf(rows: Rows): Flag[] {
  return Object.entries(rows).flatMap(([name, row]) => {
    const { kind, flag, parts = [] } = row;
    const own: Flag[] =
      flag === undefined
        ? []
        : [{ flag, kind, words: inHelp(row), change: (settings, value) => ({ ...settings, [name]: value }) }];
    const ofParts = parts.map((part) => ({
      flag: part.flag,
      kind: part.kind,
      words: inHelp(part),
      change: (settings: Settings, value: unknown) => ({
        ...settings,
        [name]: part.apply(settings[name] ?? row.default, value as never),
      }),
    }));
    return [...own, ...ofParts];
  });
}

/** The name under which a flag's value is found: "batchSize", and "flip" of "--no-flip". */
export function flagName(flag: string): string {
  const [long = ""] = flag.replace(/^--(no-)?/, "").split(" ");
  return long.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Whether it takes something away: "--no-flip", whose value is false where it is given. */
export function isNegative(flag: string): boolean {
  return flag.startsWith("--no-");
}

function inHelp(row: { words: string; defaultWords?: string; default?: unknown }): string {
  const { words, defaultWords, default: value } = row;
  const plain = typeof value === "number" || typeof value === "string" ? String(value) : undefined;
  const shown = defaultWords ?? plain;
  return shown === undefined ? words : `${words} (default: ${shown})`;
}
