/**
 * Files that are beside the repository and not in it, `shared` next to it: real images that are too large, or not ours to pass
 * on. Tests that want them are left out where there are none, which is said.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./repository.js";

/** The path of a file or folder of them; undefined where it is not there, with a word on stderr. */
export function given(name: string): string | undefined {
  const path = join(repository, "../shared", name);
  if (existsSync(path)) return path;
  process.stderr.write(`\nNOT TESTED: there is no ${path}, and what is tested on it is left out.\n`);
  return undefined;
}
