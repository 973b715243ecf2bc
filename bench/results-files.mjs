// bench/results: a benchmark's numbers as JSON for machines, with a page for people beside.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(fileURLToPath(import.meta.url)), "results");

/** Writes NAME.json and NAME.md, and NAME.svg if there is a figure; returns what a person should be told. */
export function writeResults(name, { json, markdown, svg }) {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  writeFileSync(`${file}.json`, `${JSON.stringify(json, null, 2)}\n`);
  writeFileSync(`${file}.md`, markdown.join("\n"));
  if (svg) writeFileSync(`${file}.svg`, svg);
  return `written: ${relative(process.cwd(), file)}.json${svg ? ", .md and .svg" : " and .md"}`;
}

/** Lines of a table: the first column to the left, the others to the right. */
export function markdownTable([heading, ...rows]) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(heading), line(heading.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)];
}

export function threeDigits(value) {
  return value < 100 ? value.toPrecision(3) : String(Math.round(value));
}
