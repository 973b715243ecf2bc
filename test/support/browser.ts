/** Debian's Chromium, for tests that read pages as people do. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

/** Its program; undefined where there is none. */
export const chromiumProgram: string | undefined = (process.env.PATH ?? "")
  .split(delimiter)
  .flatMap((folder) => ["chromium", "chromium-browser", "google-chrome"].map((name) => join(folder, name)))
  .find(isProgram);

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether to leave out tests that need it: never in CI, which installs it. */
export const withoutBrowser = chromiumProgram === undefined && !process.env.CI;
if (withoutBrowser)
  console.warn(
    "\n*** there is no chromium here: reports are NOT read in a browser. apt-get install chromium ***\n",
  );

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: chromiumProgram ?? "chromium",
    // Containers have no namespaces for its sandbox, and a small /dev/shm. Only pages of our own are opened.
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
