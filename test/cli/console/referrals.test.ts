/** "Not sure: refer" as people read it. */
import { expect, it } from "vitest";
import { referralLines, whyReferred } from "../../../src/cli/console/referrals.js";
import type { Assurance, Referral } from "../../../src/index.js";

const reasons: Referral[] = [
  {
    code: "unlike-training",
    sentence: "its fine structure is unlike the training images (stage 1: score 12.21, limit 2.82)",
    classes: [],
  },
  {
    code: "several-possible",
    sentence: "adenocarcinoma, squamous cell carcinoma or normal are possible at a risk of 10 %",
    classes: [],
  },
];
const assurance: Assurance = {
  images: { train: 9, validation: 30 },
  calibration: { reason: "x" },
  sets: {
    risks: [0.1, 0.2],
    least: [
      [null, 0.2],
      [0.3, 0.3],
    ],
    images: [5, 25],
  },
  outliers: { reason: "this network does not show its stages" },
};
const prediction = (decision: "answer" | "refer" | undefined) =>
  ({
    source: "a.png",
    index: 0,
    label: "a",
    probability: 1,
    labels: [],
    probabilities: {},
    decision,
  }) as const;
const told = { classes: ["a", "b"], assurance };

it("gives the reasons below the line of the image, in 80 columns", () => {
  const lines = whyReferred({ decision: "refer", reasons });
  expect(lines[0]).toMatch(/^ {2}because its fine structure is unlike the training images/);
  expect(lines.length).toBeGreaterThan(1);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(whyReferred({ decision: "answer", reasons: [] })).toEqual([]);
});

it("counts what is referred, and says what cannot be told", () => {
  const predictions = [
    prediction("refer"),
    prediction("answer"),
    { source: "b", index: 2, error: new Error() },
  ];
  const lines = referralLines(told, predictions as never, {}).join(" ");
  expect(lines).toContain("1 of 2 images to be referred.");
  expect(lines).toContain(
    "Classes cannot be ruled out at a risk of 10 %: validation has too few images of a",
  );
  expect(lines).toContain("--risk takes 20 %");
  expect(lines).toContain("Images of another kind cannot be told: this network does not show its stages.");
});

it("says nothing where nobody asked, and that an older checkpoint cannot tell", () => {
  expect(referralLines(told, [], { refer: false })).toEqual([]);
  expect(referralLines({ classes: ["a", "b"] }, [], {}).join(" ")).toContain("not known of this checkpoint");
});
