// The SHA-256 of each delivered native file, in prebuilds/SHA256SUMS, as coreutils' sha256sum writes and reads it:
//
//   cd node_modules/medmamba/prebuilds && sha256sum -c SHA256SUMS
//
// scripts/prebuilds.mjs writes it, scripts/verify-prebuilds.mjs refuses what differs from it, and scripts/sbom.mjs names the
// same hashes.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

const sums = "SHA256SUMS";

/**
 * The files below a folder and their SHA-256 in hexadecimal, in the order of their paths; none of a folder that is not there.
 *
 * @returns {{ path: string, hash: string }[]} paths from `directory` on, with "/"
 */
export function hashesOf(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((path) => path !== sums)
    .sort()
    .map((path) => ({ path: path.split(sep).join("/"), hash: sha256(join(directory, path)) }));
}

/** Writes SHA256SUMS of all that is in a folder. */
export function writeSums(directory) {
  const lines = hashesOf(directory).map(({ path, hash }) => `${hash}  ${path}\n`);
  writeFileSync(join(directory, sums), lines.join(""));
}

/** What is wrong between a folder and its SHA256SUMS: a changed, missing or unnamed file, each once; empty if nothing. */
export function whatDiffers(directory) {
  const file = join(directory, sums);
  if (!existsSync(file)) return [`${sums}: it is missing`];
  const problems = [];
  const there = new Map(hashesOf(directory).map(({ path, hash }) => [path, hash]));
  for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
    const [, hash, path] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? [];
    if (path === undefined) problems.push(`${sums}: "${line}" is no line of a hash and a file`);
    else if (!there.has(path)) problems.push(`${path}: ${sums} names it, but it is not there`);
    else if (there.get(path) !== hash) problems.push(`${path}: its SHA-256 is not the one in ${sums}`);
    there.delete(path);
  }
  for (const path of there.keys()) problems.push(`${path}: ${sums} does not name it`);
  return problems;
}

function sha256(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
