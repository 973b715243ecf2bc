/** What this package says about itself. */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds package.json: two above this file, built or not. */
export const packageRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export const packageVersion = (
  JSON.parse(readFileSync(`${packageRoot}/package.json`, "utf8")) as { version: string }
).version;
