// Adds up what the native tests (ctest) and the TypeScript tests (vitest) reported under build/.
import { readFileSync } from "node:fs";

const totals = { passed: 0, failed: 0, skipped: 0 };
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
}
const ctest = read("build/ctest.xml");
if (ctest) {
  const count = (name) => Number(new RegExp(`<testsuite[^>]*\\s${name}="(\\d+)"`, "s").exec(ctest)?.[1] ?? 0);
  totals.passed += count("tests") - count("failures") - count("skipped") - count("disabled");
  totals.failed += count("failures");
  totals.skipped += count("skipped");
}
console.log(
  `${totals.passed} passed, ${totals.failed} failed${totals.skipped ? `, ${totals.skipped} skipped` : ""}`,
);
