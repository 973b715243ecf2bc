/** Windows' shells pass `scans\*.dcm` on as it is, where others give a program the files that it stands for. */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/**
 * Paths in whose last name `*` and `?` stand for letters, as the files that they mean, in the order of their names; on Windows
 * alone, where no name has these letters. What means no file stays as it is, and is not there when it is read.
 */
export async function withoutWildcards(
  paths: readonly string[],
  system: string = process.platform,
): Promise<string[]> {
  if (system !== "win32") return [...paths];
  const meant = await Promise.all(paths.map(filesOf));
  return meant.flat();
}

async function filesOf(path: string): Promise<string[]> {
  const [folder, pattern] = [dirname(path), basename(path)];
  if (!/[*?]/.test(pattern)) return [path];
  const escaped = pattern.replace(/[\\^$.+()[\]{}|]/g, "\\$&");
  const matching = new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`, "iu");
  const names = await readdir(folder).catch(() => []);
  const found = names.filter((name) => matching.test(name)).sort();
  return found.length === 0 ? [path] : found.map((name) => join(folder, name));
}
