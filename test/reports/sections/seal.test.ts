/** The part of a report about the seal: in words that a reader without the code understands, and no markup but our own. */
import { describe, expect, it } from "vitest";
import {
  lookWords,
  originWords,
  type SealEvidence,
  type SealFinding,
  sealSection,
  testWords,
  thresholdOrigin,
} from "../../../src/reports/sections/seal.js";

const finding = (state: SealFinding["state"], words = `It is ${state}.`): SealFinding => ({
  code: "ledger",
  state,
  words,
});
const looks = { total: 1, earlier: 0, atLeast: false, checkpoints: 1, decisions: 1 };
const asked: SealFinding = { code: "looks", state: "ok", words: "It is counted." };
const evidence: SealEvidence = {
  test: "internal",
  images: 4,
  of: { train: 0, val: 0, test: 4 },
  looks,
  ledger: { entries: 3, hash: "ab12" },
  findings: [finding("ok"), finding("unknown"), finding("broken"), asked],
};

describe("how often test images were looked at", () => {
  it.each<[Partial<NonNullable<SealEvidence["looks"]>> | null, string]>([
    [{}, "These test images were looked at once."],
    [{ total: 0, decisions: 0, checkpoints: 0 }, "These test images were not looked at yet."],
    [{ total: 2 }, "These test images were looked at twice, each time with the same checkpoint."],
    [
      { total: 5, checkpoints: 3, decisions: 3 },
      "These test images were looked at 5 times, with 3 different checkpoints.",
    ],
    [{ total: 5, decisions: 2 }, "These test images were looked at 5 times, with 2 different thresholds."],
    [
      { total: 5, checkpoints: 2, decisions: 3 },
      "These test images were looked at 5 times, with 3 different pairs of checkpoint and threshold.",
    ],
    [
      { total: 3, earlier: 2 },
      "These test images were looked at 3 times. 2 of these looks were at earlier runs in the same folder.",
    ],
    [
      { total: 2, atLeast: true },
      "These test images were seen at least twice, each time with the same checkpoint.",
    ],
    [null, "How often the test images were looked at is not known."],
  ])("%j", (change, words) => {
    expect(lookWords({ test: "internal", looks: change && { ...looks, ...change } })).toBe(words);
  });
});

describe("the section", () => {
  it("has what is broken first, in words and not by color alone, and how far the ledger went", () => {
    const { id, heading, body } = sealSection(evidence);
    expect([id, heading]).toEqual(["seal", "The sealed test set"]);
    expect(body).toMatch(/Internal test: .*looked at once.*One thing that a test needs does not hold/s);
    expect(body).toMatch(/Broken:<\/strong> It is broken.*Not known:<\/strong> .*Holds:<\/strong> It is ok/s);
    expect(body).toContain(
      "had 3 entries when this was written; the SHA-256 of the last is <code>ab12</code>",
    );
  });

  it("says nothing of looks where the images are others, and nothing of a ledger that is not there", () => {
    const { body } = sealSection({ ...evidence, test: "external", looks: null, ledger: null, findings: [] });
    expect(body).toContain(testWords({ test: "external" }));
    expect(body).not.toMatch(/looked at|SHA-256|does not hold/);
  });

  it("escapes what comes from files", () => {
    const { body } = sealSection({
      ...evidence,
      ledger: { entries: 1, hash: "<script>" },
      findings: [finding("broken", "line 1 is not <b>the one</b>")],
    });
    expect(body).not.toMatch(/<script>|<b>/);
  });

  it("asks to say what does not hold", () => {
    expect(sealSection(evidence).body).toContain("Do not pass the scores on without saying so.");
  });

  it("says of other labels that they are others, not that the images were divided otherwise", () => {
    expect(testWords({ test: "mixed", relabelled: true })).toMatch(/labels of these images are others now/);
    expect(testWords({ test: "mixed" })).toMatch(/divided otherwise/);
  });
});

it("who chose a threshold is known from the finding alone", () => {
  const of = (state: SealFinding["state"]) =>
    originWords[thresholdOrigin({ findings: [{ code: "threshold", state, words: "" }] })];
  expect(of("ok")).toBe("chosen on validation images in training");
  expect(of("broken")).toBe("not the one that the training chose");
  expect(of("unknown")).toBe("as stored in the checkpoint");
  expect(originWords[thresholdOrigin({ findings: [] })]).toBe("as stored in the checkpoint");
});
