/** The model card as a page that stands alone: what it is, what for and what not, for whom, how good, and what is not known. */
import { type AppliedModelCard, cardSchema, type KeyMetric } from "./card/applied-model-card.js";
import { toBeWritten } from "./card/fill-card.js";
import { decimal } from "./checklists/words.js";
import { textWithCode } from "./code-markup.js";
import { escapeMarkup } from "./figures/svg.js";
import { pageHtml } from "./page.js";
import { textTable } from "./text-table.js";

/** Headings in the words of the public template, by the names of the schema. */
const titles: Readonly<Record<string, string>> = {
  ModelDeveloper: "Developer",
  DeveloperContact: "Contact",
  ReleaseStage: "Release stage",
  ReleaseDate: "Release date",
  ReleaseVersion: "Release version",
  GlobalAvailability: "Global availability",
  EHRCompatibility: "Compatible health record systems",
  RegulatoryApproval: "Regulatory approval",
  IntendedUseAndWorkflow: "Intended use and workflow",
  PrimaryIntendedUsers: "Primary intended users",
  HowToUse: "How to use",
  TargetedPatientPopulation: "Targeted patient population",
  KnownRisksAndLimitations: "Known risks and limitations",
  KnownBiasesOrEthicalConsiderations: "Known biases or ethical considerations",
  ClinicalRiskLevel: "Clinical risk level",
  OutcomesAndOutputs: "Outcomes and outputs",
  ModelType: "Model type",
  FoundationModels: "Foundation models",
  InputDataSource: "Input data source",
  OutputAndInputDataTypes: "Output and input data types",
  DevelopmentDataCharacterization: "Development data",
  BiasMitigationApproaches: "Bias mitigation",
  OngoingMaintenance: "Ongoing maintenance",
  Security: "Security and compliance",
  Transparency: "Transparency",
  FundingSource: "Funding",
  ThirdPartyInformation: "Third parties",
  StakeholdersConsulted: "Stakeholders consulted",
  MetricGoal: "Goal",
  Interpretation: "Interpretation",
  TestType: "Type of test",
  TestingDataDescription: "Testing data",
  ValidationProcessAndJustification: "Validation process and justification",
  EvaluationReferences: "Evaluation references",
  ClinicalTrial: "Clinical trial",
  PeerReviewedPublications: "Peer reviewed publications",
  ReimbursementStatus: "Reimbursement",
  PatientConsentOrDisclosure: "Patient consent or disclosure",
};

/** The page. All text is escaped. */
export function modelCardHtml(card: AppliedModelCard): string {
  const { BasicInfo, ReleaseInfo, ModelSummary, UsesAndDirections, Warnings } = card;
  const { TrustIngredients, KeyMetrics, Resources, Bibliography } = card;
  const { ModelName, ...developer } = BasicInfo;
  const { CautionedOutOfScopeSettings, ...uses } = UsesAndDirections;
  const { EHRCompatibility, ...release } = ReleaseInfo;
  const ehrs = EHRCompatibility && { EHRCompatibility: EHRCompatibility.EHR.join(", ") };
  return pageHtml(
    `Model card: ${ModelName}`,
    [
      `<p class="lead">${textMarkup(ModelSummary.Summary)}</p>`,
      `<p><strong>${escapeMarkup(ReleaseInfo.ReleaseStage)}.</strong></p>`,
      section("What it must not be used for", `<p>${textMarkup(CautionedOutOfScopeSettings)}</p>`),
      section("Uses and directions", fields(uses)),
      section("Warnings", fields(Warnings)),
      section(
        "Usefulness, usability and efficacy",
        metricMarkup(KeyMetrics.UsefulnessUsabilityEfficacy, "usefulness"),
      ),
      section("Fairness and equity", metricMarkup(KeyMetrics.FairnessEquity, "fairness")),
      section("Safety and reliability", metricMarkup(KeyMetrics.SafetyReliability, "reliability")),
      section("The system", fields(TrustIngredients.AISystemFacts)),
      section("Transparency", fields(TrustIngredients.TransparencyInformation)),
      section("Developer and release", fields({ ...developer, ...release, ...ehrs })),
      section("Resources", fields(Resources)),
      section(
        "Bibliography",
        `<p class="note" style="overflow-wrap: anywhere">${escapeMarkup(Bibliography)}</p>`,
      ),
      `<p class="note">Fields of the Applied Model Card of the Coalition for Health AI, draft schema 0.2 (${escapeMarkup(cardSchema)}). It is no certificate: nobody but its authors has looked at it.</p>`,
    ].join("\n"),
  );
}

const section = (heading: string, body: string): string =>
  `<section><h2>${escapeMarkup(heading)}</h2>\n${body}</section>`;

/** What is to be written is told by words, not by colour. */
function textMarkup(text: string): string {
  if (!text.startsWith(toBeWritten)) return textWithCode(text);
  return `<strong>${escapeMarkup(toBeWritten.trim())}</strong> ${escapeMarkup(text.slice(toBeWritten.length))}`;
}

function fields(values: Readonly<Record<string, string | undefined>>): string {
  const parts = Object.entries(values).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [
          `<h3 style="font-size: 15px; margin: 16px 0 2px">${escapeMarkup(titles[name] ?? name)}</h3>\n<p style="margin: 0; overflow-wrap: anywhere">${textMarkup(value)}</p>`,
        ],
  );
  return parts.join("\n");
}

function metricMarkup({ Results, ...about }: KeyMetric, of: string): string {
  const rows = Results.MetricResult.map(({ Label, ValueJson }) => [
    escapeMarkup(Label),
    escapeMarkup(valueInWords(ValueJson)),
  ]);
  return `${textTable(`Numbers on ${of}`, ["Of what", "Value"], rows)}\n${fields(about)}`;
}

/** "0.912 (95 % interval 0.874 to 0.941)". */
function valueInWords(json: string): string {
  const { kind, value, unit, estimate, lower, upper, level } = JSON.parse(json) as Record<string, unknown>;
  const number = (one: unknown) =>
    typeof one !== "number" ? String(one) : Number.isInteger(one) ? String(one) : decimal(one);
  if (kind === "estimate_ci")
    return `${number(estimate)} (${String(level)} % interval ${number(lower)} to ${number(upper)})`;
  return unit === undefined || unit === "count" ? number(value) : `${number(value)} ${String(unit)}`;
}
