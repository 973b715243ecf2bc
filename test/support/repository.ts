/** Places in this repository, wherever the test that asks stands. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What `npm run build` makes of src/cli/main.ts: `medmamba`. */
export const program = join(repository, "dist/cli/main.js");

/** A file or folder of test/fixtures. */
export function fixture(name: string): string {
  return join(repository, "test/fixtures", name);
}
