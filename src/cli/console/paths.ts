/** Finding what a path was meant to be, for the message that says it is not there. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, parse, relative, resolve } from "node:path";
import { howToGet, medMnistOf } from "../../data/sources/medmnist/files.js";
import { editDistance } from "../../settings/nearest.js";
import { CommandError } from "./failure.js";

/**
 * @param what  "data set", "checkpoint": for the message
 * @throws CommandError if there is nothing at `path`, with the most similar name that there is
 */
export function expectPath(path: string, what: string): void {
  if (path.trim() === "") throw new CommandError(`the path of the ${what} is empty: name one.`);
  if (existsSync(path)) return;
  const whole = `${resolve(path)}.npz`;
  const similar = existsSync(whole) ? whole : similarPath(resolve(path));
  const published = what === "data set" ? howToGet(path) : undefined;
  if (published && !(similar && isSameSet(path, similar)))
    throw new CommandError(`${path}: there is no such ${what} here; ${published}.`);
  const question = similar === undefined ? "check the path" : `did you mean ${asGiven(path, similar)}?`;
  throw new CommandError(`${path}: there is no such ${what}; ${question}${similar === undefined ? "." : ""}`);
}

/** "organamnist" is not "organcmnist.npz", however little they differ. */
const isSameSet = (path: string, other: string): boolean =>
  medMnistOf(path)?.name === medMnistOf(other)?.name;

/** As `expectPath`; a folder in place of its checkpoint is told which file to name. */
export function expectCheckpoint(path: string): void {
  expectPath(path, "checkpoint");
  if (!statSync(path).isDirectory()) return;
  const best = join(path, "best.safetensors");
  const advice = existsSync(best) ? `did you mean ${best}?` : "name a .safetensors file.";
  throw new CommandError(`${path} is a folder, not a checkpoint; ${advice}`);
}

/** The path with its first missing part replaced by the most similar name beside it, if that leads somewhere. */
function similarPath(path: string): string | undefined {
  let missing = path;
  while (!existsSync(dirname(missing))) missing = dirname(missing);
  const [parent, name] = [dirname(missing), missing.slice(dirname(missing).length).replace(/^[/\\]/, "")];
  const candidates = readNames(parent)
    .map((candidate) => ({ candidate, distance: editDistance(candidate.toLowerCase(), name.toLowerCase()) }))
    .filter(({ distance }) => distance <= Math.max(1, Math.floor(parse(name).name.length / 3)))
    .sort((a, b) => a.distance - b.distance);
  for (const { candidate } of candidates) {
    const whole = join(parent, candidate, relative(missing, path));
    if (existsSync(whole)) return whole;
  }
  return undefined;
}

function readNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // A parent that may not be listed has nothing to suggest.
  }
}

function asGiven(path: string, similar: string): string {
  return isAbsolute(path) ? similar : relative(process.cwd(), similar);
}
