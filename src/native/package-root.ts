/**
 * The folder of this package, where its native files are.
 *
 * It is above this file, however deep: src, dist, and the CommonJS build are. A bundler moves this code elsewhere; then
 * the package is looked up by its name, as any module that was left out of the bundle.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// Bundlers that turn this into CommonJS leave no `import.meta.url`.
const thisFile = import.meta.url ? fileURLToPath(import.meta.url) : __filename;

export const packageRoot = findPackageRoot();

/** Loads addons and this package's dependencies, which a bundle elsewhere may not see. */
export const require = createRequire(join(packageRoot, "package.json"));

function findPackageRoot(): string {
  const here = dirname(thisFile);
  for (let directory = here; directory !== dirname(directory); directory = dirname(directory))
    if (isThisPackage(directory)) return directory;
  try {
    return dirname(createRequire(thisFile).resolve("medmamba/package.json"));
  } catch {
    return here;
  }
}

function isThisPackage(directory: string): boolean {
  try {
    const { name } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as { name?: string };
    return name === "medmamba";
  } catch {
    return false;
  }
}
