// Adds up what the native tests (ctest) and the TypeScript tests (vitest) reported under build/, and says which took longest.
import { readFileSync } from "node:fs";
import { relative } from "node:path";

const totals = { passed: 0, failed: 0, skipped: 0 };
/** Test files and native tests: seconds, name, and what of it took longest. */
const durations = [];
const read = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    totals.failed += 1; // a step that left no report did not get to its end
    return undefined;
  }
};

const vitest = read("build/vitest.json");
if (vitest) {
  const report = JSON.parse(vitest);
  totals.passed += report.numPassedTests;
  totals.failed +=
    report.numFailedTests +
    report.testResults.filter(
      ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
    ).length;
  totals.skipped += report.numPendingTests;
  for (const { name, startTime, endTime, assertionResults } of report.testResults) {
    const [longest] = [...assertionResults].sort((a, b) => (b.duration ?? 0) - (a.duration ?? 0));
    const detail = longest && `${seconds((longest.duration ?? 0) / 1000)}: ${longest.fullName}`;
    durations.push({ seconds: (endTime - startTime) / 1000, name: relative(".", name), detail });
  }
}
const ctest = read("build/ctest.xml");
if (ctest) {
  const count = (name) => Number(new RegExp(`<testsuite[^>]*\\s${name}="(\\d+)"`, "s").exec(ctest)?.[1] ?? 0);
  totals.passed += count("tests") - count("failures") - count("skipped") - count("disabled");
  totals.failed += count("failures");
  totals.skipped += count("skipped");
  for (const [, name, time] of ctest.matchAll(/<testcase name="([^"]*)"[^>]*\stime="([\d.]+)"/g))
    durations.push({ seconds: Number(time), name });
}

function seconds(value) {
  return `${value.toFixed(1)} s`;
}

const slowest = durations.sort((a, b) => b.seconds - a.seconds).slice(0, 10);
if (slowest.length > 0) console.log("slowest, and what of them took longest:");
for (const { seconds: whole, name, detail } of slowest)
  console.log(`${seconds(whole).padStart(9)}  ${name}${detail ? ` (${detail})` : ""}`);
console.log(
  `${totals.passed} passed, ${totals.failed} failed${totals.skipped ? `, ${totals.skipped} skipped` : ""}`,
);
