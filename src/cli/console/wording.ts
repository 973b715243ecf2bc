/** Numbers, durations and tables as people read them. */
import { isAbsolute, relative, resolve, sep } from "node:path";

/** Three decimals, without a sign where they are 0; a dash for what is undefined (NaN, or null where it went through JSON). */
export function decimals(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "-";
  return value.toFixed(digits).replace(/^-(?=[0.]*$)/, "");
}

/** "45 s", "1 min 20 s", "2 h 5 min". */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "-";
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${Math.floor(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "1.3 GB": powers of 1000, as disks and drivers count. */
export function byteSize(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** The shorter way to write a path: from here, or from the root. */
export function shortPath(path: string): string {
  if (!isAbsolute(path)) return path;
  const fromHere = relative(process.cwd(), path) || ".";
  return fromHere.length < path.length ? fromHere : path;
}

/** The end of a path, for what is passed on to others: "run/best.safetensors". */
export function lastNames(path: string, count: number): string {
  const names = resolve(path).split(sep).filter(Boolean);
  return names.slice(-count).join("/");
}

/**
 * Rows in columns: the first to the left, the others to the right, unless `left` says that all are. Names that would
 * not let a row fit are cut.
 */
export function columns(rows: readonly (readonly string[])[], { left = false, longest = 28 } = {}): string[] {
  const cut = rows.map((row) =>
    row.map((cell, i) => (i === 0 && cell.length > longest ? `${cell.slice(0, longest - 3)}...` : cell)),
  );
  const widths: number[] = [];
  for (const row of cut)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return cut.map((row) =>
    row
      .map((cell, i) => (i === 0 || left ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** Columns of a terminal. */
export const lineWidth = 80;

/** Lines of words, none longer than `most` unless a word is. */
export function wrapped(text: string, most: number): string[] {
  const result: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > most) {
      result.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...result, line];
}

/** The end of a path where the whole is too long, for images differ in their names and not in where they are. */
export const endOf = (path: string, longest = 44): string =>
  path.length > longest ? `...${path.slice(3 - longest)}` : path;
