/** What `evaluate` says beside scores: intervals, a chosen threshold, another checkpoint. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { program } from "../support/repository.js";
import { smallRecipe, study, writeScans } from "../support/small-study.js";
import { root, write } from "../support/temporary-folder.js";

function evaluate(...args: string[]) {
  const given = ["evaluate", "--checkpoint", "run/best.safetensors", "--data", "scans", "--device", "cpu"];
  return spawnSync(process.execPath, [program, ...given, ...args], { cwd: root, encoding: "utf8" });
}

const json = (...args: string[]) => JSON.parse(evaluate(...args, "--json").stdout);

beforeAll(async () => {
  await writeScans(join(root, "scans"), { count: 40 });
  const rows = ["benign", "malignant"].flatMap((label, which) =>
    Array.from({ length: 40 }, (_, i) => {
      const sex = i === 39 && which ? "" : i % 7 === 3 ? "F" : "M";
      return `scans/${label}/${String(i).padStart(2, "0")}.png,${label},${sex},${30 + i}`;
    }),
  );
  await write("study.csv", ["path,label,sex,age", ...rows].join("\n"));
  await study(join(root, "run"), { ...smallRecipe, data: join(root, "scans") });
  await study(join(root, "other"), { ...smallRecipe, imageSize: 24, epochs: 1, data: join(root, "scans") });
});

describe("evaluate", () => {
  it("has an interval or a reason for every score", () => {
    const scores = json();
    const { level, patients, ...intervals } = scores.intervals;
    expect([level, patients]).toEqual([0.95, null]);
    for (const [score, found] of Object.entries<unknown>(intervals)) {
      const several = Array.isArray(found) && typeof found[0] !== "number";
      for (const one of several ? (found as unknown[]) : [found]) {
        if (Array.isArray(one)) {
          const [lower, upper] = one;
          const value = scores[score];
          expect(lower).toBeLessThanOrEqual(upper);
          if (typeof value === "number") expect(lower <= value && value <= upper, score).toBe(true);
        } else expect(one, score).toEqual({ reason: expect.any(String) });
      }
    }
    const numbers = Object.keys(scores).filter((key) => [scores[key]].flat().every(Number.isFinite));
    const exact = ["samples", "threshold", "confusionMatrix", "testLooks"];
    for (const key of numbers.filter((key) => !exact.includes(key)))
      expect(intervals, key).toHaveProperty(key);
    expect(scores.operatingPoint.sensitivity.value).toBe(scores.atThreshold.sensitivity);
    expect(scores.calibration.bins.length).toBeGreaterThan(1);
    expect(scores.calibration.line).toHaveProperty("slope");
  });

  it("prints them within 80 columns, and puts them on the page", () => {
    const { stdout } = evaluate("--report", "report");
    expect(stdout).toMatch(
      /Called malignant from a probability of [\d.]+ on \(chosen on validation images\s+in training\)/,
    );
    expect(stdout).toMatch(/Images by class, where the most probable class is called:\n +true \\ called/);
    expect(stdout).toMatch(/macro F1 +[\d.]+ +[\d.]+ to [\d.]+/);
    for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
    const page = readFileSync(join(root, "report/report.html"), "utf8");
    expect(page).toMatch(/Macro F1<\/th><td class="number">[\d.]+<\/td><td class="number">[\d.]+ – [\d.]+/);
  });

  it("chooses a threshold for a sensitivity on the val images", () => {
    const { operatingPoint } = json("--sensitivity", "0.9");
    expect(operatingPoint.validation.sensitivity.value).toBeGreaterThanOrEqual(0.9);
    expect(operatingPoint.criterion).toEqual({ criterion: "sensitivity", atLeast: 0.9 });
    const { truePositives, falseNegatives } = operatingPoint;
    expect(operatingPoint.sensitivity.value).toBe(truePositives / (truePositives + falseNegatives));
    expect(evaluate("--sensitivity", "0.9").stdout).toContain(
      "To find 90.0 % of malignant, by the val images",
    );
    const among = evaluate("--sensitivity", "0.9", "--split", "all");
    expect(among.stderr).toMatch(/val images, which are among those judged here/);
    expect(evaluate("--sensitivity", "2").status).toBe(2);
  });

  it("compares with another checkpoint, whatever image size that needs", () => {
    const { auc, against } = json("--against", "other/best.safetensors");
    expect(against.checkpoint).toBe("other/best.safetensors");
    expect(against.first.value).toBeCloseTo(auc, 12);
    const [other] = [evaluate("--checkpoint", "other/best.safetensors", "--json")];
    expect(against.second.value).toBeCloseTo(JSON.parse(other!.stdout).auc, 12);
    expect(against.difference.value).toBeCloseTo(against.first.value - against.second.value, 12);
    const { stdout, stderr } = evaluate("--against", "other/best.safetensors");
    expect(stdout).toContain("Against other/best.safetensors, on the same images:");
    expect(stderr).toBe("");
    const self = json("--against", "run/best.safetensors").against;
    expect(self.difference).toEqual({ value: 0, reason: "both rank these samples alike" });
    expect(evaluate("--against", "nothing.safetensors").stderr).toMatch(/nothing.safetensors/);
  });

  it("judges the groups of a table's columns, named one by one", () => {
    const judged = ["--data", "study.csv", "--split", "all", "--subgroups"];
    const { subgroups, samples } = json(...judged, "sex,AGE");
    const groups = subgroups.map(({ attribute, value, samples }: never) => [attribute, value, samples]);
    expect(groups).toEqual([
      ["sex", "F", 12],
      ["sex", "M", 67],
      ["age", "<40", 20],
      ["age", "40 to <50", 20],
      ["age", "50 to <60", 20],
      ["age", "60 or more", 20],
    ]);
    expect(samples).toBe(80);
    const [women, men] = subgroups;
    expect(women.warning).toMatch(/only 12 samples/);
    expect(men).not.toHaveProperty("warning");
    for (const metric of ["accuracy", "auc"]) {
      const { inside, difference } = men.scores[metric];
      expect(inside.lower).toBeLessThanOrEqual(inside.value);
      expect(inside.value - difference.value).toBeCloseTo(men.scores[metric].outside.value, 12);
    }
    const { stdout } = evaluate(...judged, "sex");
    expect(stdout).toMatch(/By sex, each group beside all other images:/);
    expect(stdout).toMatch(/ M +67 +accuracy +[\d.]+ +[\d.]+ to [\d.]+ +-?[\d.]+ +-?[\d.]+ to -?[\d.]+/);
    expect(stdout).toMatch(/F: only 12 samples/);
    expect(stdout).toMatch(/1 image without a value of sex/);
    for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(stdout).not.toMatch(/By age/);
  });

  it("says which column may be meant, and that a folder has none", () => {
    expect(evaluate("--data", "study.csv", "--subgroups", "sexx")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/no column sexx; did you mean sex\?/),
    });
    expect(evaluate("--data", "study.csv", "--subgroups", "ward").stderr).toMatch(/there are .*sex, age/);
    expect(evaluate("--subgroups", "sex").stderr).toMatch(/these data have none beside labels/);
    expect(evaluate("--subgroups", "sex,").status).toBe(2);
  });

  it("warns where the other may have seen the images", async () => {
    await writeScans(join(root, "elsewhere"), { seed: 3 });
    await study(join(root, "stranger"), { ...smallRecipe, data: join(root, "elsewhere") });
    const { stderr, status } = evaluate("--against", "stranger/best.safetensors");
    expect(stderr).toMatch(/may have seen some of these images/);
    expect(status).toBe(0);
  });
});
