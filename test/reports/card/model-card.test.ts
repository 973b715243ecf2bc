/** The model card: the fields of the Applied Model Card of CHAI, as JSON, as XML and as a page. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../../src/errors.js";
import { fillCard } from "../../../src/reports/card/fill-card.js";
import { givenStatements } from "../../../src/reports/card/given-statements.js";
import { statementRows } from "../../../src/reports/card/statements.js";
import { cardJson, cardXml } from "../../../src/reports/card/written-card.js";
import { cardFiles, writeModelCard } from "../../../src/reports/card-files.js";
import type { RunFacts } from "../../../src/reports/checklists/facts.js";
import { modelCardHtml } from "../../../src/reports/model-card.js";
import { wholeFacts } from "../../support/run-facts.js";
import { root } from "../../support/temporary-folder.js";

interface Elements {
  readonly [name: string]: "text" | Elements;
}

/**
 * The elements of https://mc.chai.org/v0.2/schema.xsd in their order, written down from it by hand: "?" may be missing, "*" is a
 * list of any length, "+" of one or more.
 */
const metric: Elements = {
  MetricGoal: "text",
  Results: { "MetricResult+": { Label: "text", ValueJson: "text" } },
  Interpretation: "text",
  TestType: "text",
  TestingDataDescription: "text",
  ValidationProcessAndJustification: "text",
};
const schema: Elements = {
  BasicInfo: { ModelName: "text", ModelDeveloper: "text", DeveloperContact: "text" },
  ReleaseInfo: {
    ReleaseStage: "text",
    ReleaseDate: "text",
    ReleaseVersion: "text",
    GlobalAvailability: "text",
    "EHRCompatibility?": { "EHR*": "text" },
    "RegulatoryApproval?": "text",
  },
  ModelSummary: { Summary: "text", Keywords: { "Keyword*": "text" } },
  UsesAndDirections: {
    IntendedUseAndWorkflow: "text",
    PrimaryIntendedUsers: "text",
    HowToUse: "text",
    TargetedPatientPopulation: "text",
    CautionedOutOfScopeSettings: "text",
  },
  Warnings: {
    KnownRisksAndLimitations: "text",
    KnownBiasesOrEthicalConsiderations: "text",
    ClinicalRiskLevel: "text",
  },
  TrustIngredients: {
    AISystemFacts: {
      OutcomesAndOutputs: "text",
      ModelType: "text",
      "FoundationModels?": "text",
      InputDataSource: "text",
      OutputAndInputDataTypes: "text",
      DevelopmentDataCharacterization: "text",
      BiasMitigationApproaches: "text",
      OngoingMaintenance: "text",
      "Security?": "text",
      "Transparency?": "text",
    },
    TransparencyInformation: {
      FundingSource: "text",
      "ThirdPartyInformation?": "text",
      StakeholdersConsulted: "text",
    },
  },
  KeyMetrics: { UsefulnessUsabilityEfficacy: metric, FairnessEquity: metric, SafetyReliability: metric },
  Resources: {
    "EvaluationReferences?": "text",
    "ClinicalTrial?": "text",
    PeerReviewedPublications: "text",
    "ReimbursementStatus?": "text",
    PatientConsentOrDisclosure: "text",
  },
  Bibliography: "text",
};

/** What in a value is not as the elements say. */
function problems(elements: "text" | Elements, value: unknown, place: string): string[] {
  if (elements === "text") {
    const isText = typeof value === "string" && value.trim() !== "" && !/undefined|NaN/.test(value);
    return isText ? [] : [`${place} is ${JSON.stringify(value)}`];
  }
  const given = Object(value) as Record<string, unknown>;
  const names = Object.keys(elements).map((name) => name.replace(/[?*+]$/, ""));
  const inOrder = names.filter((name) => name in given).join() === Object.keys(given).join();
  return [
    ...(inOrder ? [] : [`${place} has ${Object.keys(given).join()}`]),
    ...Object.entries(elements).flatMap(([key, inner]) => {
      const [name, how] = [key.replace(/[?*+]$/, ""), key.slice(-1)];
      const found = given[name];
      if (how === "?" && found === undefined) return [];
      if (how !== "*" && how !== "+") return problems(inner, found, `${place}.${name}`);
      const list = Array.isArray(found) ? found : [];
      const few = how === "+" && list.length === 0 ? [`${place}.${name} is empty`] : [];
      return [...few, ...list.flatMap((item, i) => problems(inner, item, `${place}.${name}.${i}`))];
    }),
  ];
}

const allStated = Object.fromEntries(Object.keys(statementRows).map((name) => [name, `About ${name}.`]));
const { evaluation, parts, ...unjudged } = wholeFacts;
const cases: readonly (readonly [string, RunFacts, object])[] = [
  ["of a whole run", wholeFacts, {}],
  ["of a whole run with all statements", wholeFacts, allStated],
  ["of a run that was not judged", unjudged, {}],
  ["of nothing", {}, {}],
  ["of other data", { ...wholeFacts, evaluation: { ...evaluation!, external: true, part: "all" } }, {}],
];

describe.each(cases)("the card %s", (_, facts, statements) => {
  const card = fillCard(facts, statements);

  it("has what the schema of CHAI has, as JSON and as XML", () => {
    const read = JSON.parse(cardJson(card)) as { schema: string; AppliedModelCard: unknown };
    expect(read.schema).toBe("https://mc.chai.org/v0.2/schema.xsd");
    expect(problems(schema, read.AppliedModelCard, "card")).toEqual([]);
    const xml = cardXml(card);
    const opened = [...xml.matchAll(/<([A-Za-z]+)[ >]/g)].map(([, name]) => name);
    const closed = [...xml.matchAll(/<\/([A-Za-z]+)>/g)].map(([, name]) => name);
    expect([...opened].sort()).toEqual([...closed].sort());
    expect(xml).toContain(`<AppliedModelCard xmlns="${read.schema}">`);
  });

  it("has numbers as the schema's examples have them", () => {
    const results = Object.values(card.KeyMetrics).flatMap(({ Results }) => Results.MetricResult);
    for (const { ValueJson } of results) {
      const { kind, ...value } = JSON.parse(ValueJson);
      expect(["estimate_ci", "single"]).toContain(kind);
      const numbers =
        kind === "single" ? [value.value] : [value.estimate, value.lower, value.upper, value.level];
      expect(numbers.every(Number.isFinite), ValueJson).toBe(true);
    }
  });

  it("is for research, and says what it must not be used for", () => {
    const { CautionedOutOfScopeSettings: not } = card.UsesAndDirections;
    expect(not).toContain("Not without somebody who looks at the image.");
    if (statements === allStated) {
      expect(card.ReleaseInfo.ReleaseStage).toBe("About releaseStage.");
      expect(not).toContain("About outOfScope.");
    } else {
      expect(card.ReleaseInfo.ReleaseStage).toBe("Research only, not a medical device");
      expect(not).toContain("research software and no medical device");
      expect(card.UsesAndDirections.IntendedUseAndWorkflow).toMatch(/^You must write this: /);
    }
  });
});

describe("the page", () => {
  const odd = { ...wholeFacts, classes: ["<b>no</b>", "yes"] };
  const page = modelCardHtml(fillCard(odd, { users: "<script>alert(1)</script>", name: "A & B" }));

  it("escapes everything, and loads nothing", () => {
    expect(page).not.toMatch(/<script|<b>no/);
    expect(page).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
    expect(page).toContain("<h1>Model card: A &amp; B</h1>");
    expect(page).not.toMatch(/(src|href)="http/);
  });

  it("marks what is to be written by words", () => {
    expect(page).toContain("<strong>You must write this:</strong> the patients that it is meant for.");
    expect(page.indexOf("What it must not be used for")).toBeLessThan(page.indexOf("Usefulness"));
  });

  it("has the numbers of the run", () => {
    expect(page).toContain("0.913 (95 % interval 0.861 to 0.952)");
    expect(page).toContain("0.970 (95 % interval 0.710 to 1.230)");
    expect(page).toContain("149 internal test images");
  });
});

describe("the stated use", () => {
  const use = (intendedUse: string, regulatoryApproval?: string) =>
    fillCard(wholeFacts, { intendedUse, ...(regulatoryApproval && { regulatoryApproval }) }).UsesAndDirections
      .IntendedUseAndWorkflow;

  it.each([
    "To order the work list; every image is read by a radiologist.",
    "Triage in emergency.",
    "To diagnose pneumonia.",
  ])("contradicts the card: %s", (stated) => {
    expect(use(stated)).toMatch(/ This names diagnosis, treatment or triage .* must not be used/);
    expect(use(stated, "CE 0123")).toBe(stated);
  });

  it("does not where it is none of that", () => {
    const stated = "Research on stored images. Not for triage.";
    expect(use(stated)).toBe(stated);
  });
});

it("says that an image may be referred where the model may", () => {
  const says = (facts: RunFacts) => fillCard(facts).UsesAndDirections.CautionedOutOfScopeSettings;
  const { uncertainty, ...answering } = wholeFacts;
  expect(says({ ...answering, uncertainty: { ...uncertainty, risk: 0.1 } })).toContain(
    "one of these answers or referred to a human",
  );
  expect(says(answering)).toContain("every image is given one of these answers, also one that shows");
});

it("has commands as code, and no sign before what rounds to 0", () => {
  const attribute = { attribute: "sex", value: "F", samples: 30, metric: "auc", inside: { value: 0.9 } };
  const judged = {
    ...evaluation!,
    subgroups: [{ ...attribute, difference: { value: -0.1, interval: [-0.2, -0.0001] as const } }],
  };
  const card = fillCard(
    { ...wholeFacts, evaluation: judged },
    { maintenance: "By `medmamba evaluate <x>`." },
  );
  expect(modelCardHtml(card)).toContain("By <code>medmamba evaluate &lt;x&gt;</code>.");
  expect(modelCardHtml(card)).toContain("-0.100 (95 % interval -0.200 to 0.000)");
});

describe("statements", () => {
  it("are text, and lists of it", () => {
    const given = {
      users: " radiologists ",
      keywords: ["lung", "x-ray"],
      name: "",
      contact: null,
      releaseDate: 2026,
    };
    expect(givenStatements("card", given)).toEqual({
      users: "radiologists",
      keywords: "lung, x-ray",
      releaseDate: "2026",
    });
  });

  it("are refused with the nearest name, and if they are none", () => {
    const refuse = (given: unknown) => {
      try {
        givenStatements("card.yaml", given);
      } catch (error) {
        expect(error).toBeInstanceOf(ArgumentError);
        return (error as Error).message;
      }
      throw new Error("nothing was thrown");
    };
    expect(refuse({ intendeduse: "x" })).toBe(
      "card.yaml: intendeduse is no setting; did you mean intendedUse?",
    );
    expect(refuse({ users: { of: "it" } })).toMatch(
      /users has to be text or a list of text, but is an object/,
    );
    expect(refuse({ users: ["a", ["b"]] })).toMatch(/users has to be text/);
    expect(refuse([])).toMatch(/a card has to be an object/);
    expect(refuse({ summary: "x".repeat(20_001) })).toMatch(/summary has 20001 letters/);
  });
});

it("writes all files", async () => {
  expect(await writeModelCard(root, wholeFacts, { funding: "Nobody." })).toEqual(Object.values(cardFiles));
  for (const file of Object.values(cardFiles)) {
    const text = readFileSync(join(root, file), "utf8");
    expect(text.length, file).toBeGreaterThan(1000);
    expect(text, file).toContain("Nobody.");
  }
  await expect(writeModelCard(root, wholeFacts, { fundin: "x" } as object)).rejects.toThrow(
    /did you mean funding/,
  );
});
