/** Real images that lie beside the repository, not in it; tests that want them say loudly where they are missing. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./repository.js";

/** The place of some of them, and whether they are there. */
export function sharedData(name: string): { readonly path: string; readonly missing: boolean } {
  const path = join(repository, "../shared/data", name);
  const missing = !existsSync(path);
  if (missing)
    console.warn(`SKIPPED: ../shared/data/${name} is not there, so nothing is tested on real images.`);
  return { path, missing };
}
