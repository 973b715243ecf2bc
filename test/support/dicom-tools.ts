/**
 * Programs that read DICOM and are not ours: dicom3tools, dcmtk and PixelMed. Debian has them, and CI installs them (.ci/run); where
 * they are missing, what needs them is left out with a loud word, and in CI fails.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Whether a program is there. @throws Error in CI if it is not */
function isThere(name: string, found: boolean, debianPackage: string): boolean {
  if (found) return true;
  if (process.env.CI) throw new Error(`${name} is not installed: .ci/run has to install ${debianPackage}.`);
  process.stderr.write(`\nNOT TESTED: DICOM files with ${name}: install Debian's ${debianPackage}.\n`);
  return false;
}

const answers = (command: string) => spawnSync(command, ["--version"]).error === undefined;
const pixelmedJar = "/usr/share/java/pixelmed.jar";

export const hasDicom3tools = isThere("dciodvfy", answers("dciodvfy"), "dicom3tools");
export const hasDcmtk = isThere("dcmtk", answers("dsrdump") && answers("dcm2json"), "dcmtk");
export const hasPixelmed = isThere(
  "PixelMed's validator",
  answers("java") && existsSync(pixelmedJar),
  "libpixelmed-java and default-jre-headless",
);

/**
 * What dciodvfy finds wrong with a file, but for what is of the test's own making: that it does not know our coding scheme, and that
 * it does not look at letters in UTF-8.
 */
export function iodProblems(path: string): string[] {
  const { stderr } = spawnSync("dciodvfy", [path], { encoding: "utf8" });
  return stderr
    .split("\n")
    .filter((line) => /^(Error|Warning)/.test(line))
    .filter(
      (line) =>
        line !==
        "Warning - Unrecognized defined term <99MEDMAMBA> for value 1 of attribute <Coding Scheme Designator>",
    );
}

/** A structured report in words, as dcmtk reads it. @throws Error if it does not */
export function reportInWords(path: string): string {
  // +Pl: long values whole.
  const { status, stdout, stderr } = spawnSync("dsrdump", ["+Pl", path], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

interface JsonElement {
  readonly vr: string;
  readonly Value?: readonly unknown[];
}

/** Values of a file by tag, as dcmtk reads them. */
export function elementsOf(path: string): Readonly<Record<string, JsonElement>> {
  const { status, stdout, stderr } = spawnSync("dcm2json", [path], { encoding: "utf8", maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** Lines of PixelMed's validator of structured reports that begin with "Error" or "Warning". */
export function templateProblems(path: string): { readonly output: string; readonly problems: string[] } {
  // Its rules are larger than Java now takes by default.
  const limits = ["xpathTotalOpLimit", "xpathExprOpLimit", "xpathExprGrpLimit"].map(
    (name) => `-Djdk.xml.${name}=0`,
  );
  const classes = [pixelmedJar, "/usr/share/java/slf4j-api.jar"].join(":");
  const validator = "com.pixelmed.validate.DicomSRValidator";
  const { stdout, stderr } = spawnSync("java", [...limits, "-cp", classes, validator, path], {
    encoding: "utf8",
  });
  const output = stdout + stderr;
  return { output, problems: output.split("\n").filter((line) => /^(Error|Warning)/.test(line)) };
}
