/** A model card from what a run knows and what people have stated; what neither says is marked as to be written. */
import { characteristics, sizes } from "../checklists/answers-of-data.js";
import { fairness, limits } from "../checklists/answers-of-results.js";
import { imbalance, network, output, specification } from "../checklists/answers-of-training.js";
import type { RunFacts } from "../checklists/facts.js";
import { classesInWords, estimate, judgedInWords, sentences } from "../checklists/words.js";
import type { AppliedModelCard } from "./applied-model-card.js";
import { fairnessMetric, reliability, usefulness } from "./key-metrics.js";
import { type CardStatements, type StatementName, statementRows } from "./statements.js";

/** What a field begins with that is to be written. */
export const toBeWritten = "You must write this: ";

/** What it is unless somebody states otherwise. */
export const researchOnly = "Research only, not a medical device";

const textOf = (answer: ReturnType<typeof specification>): string | undefined =>
  typeof answer === "object" ? answer.partly : answer;

/** Whether a statement of the use names what the card forbids, in a sentence that does not say that it is not for that. */
function namesForbiddenUse({ intendedUse = "", regulatoryApproval }: CardStatements): boolean {
  if (regulatoryApproval !== undefined) return false;
  const forbidden = /\b(triag|diagnos|treat|priorit)|work-? ?list/i;
  return intendedUse
    .split(/[.;!?\n]/)
    .some((sentence) => forbidden.test(sentence) && !/\b(not|no|never|without|nor)\b/i.test(sentence));
}

/** What stands beside such a statement. */
const contradiction =
  "This names diagnosis, treatment or triage (such as the order of a work list), for which the card says that it must not be used: state another use, or the approval as a medical device (regulatory-approval).";

/** What an image may be answered. */
function answersInWords({ uncertainty }: RunFacts): string {
  const mayRefer = uncertainty?.risk !== undefined || uncertainty?.falseAlarms !== undefined;
  return mayRefer
    ? 'every image is given one of these answers or referred to a human ("not sure: refer"); one that shows something else may still be given one of them.'
    : "every image is given one of these answers, also one that shows something else.";
}

/** What it must not be used for whatever people state: it follows from what it is. */
export function mustNotBeUsedFor(facts: RunFacts, statements: CardStatements): string {
  return sentences(
    statements.regulatoryApproval === undefined &&
      "Not for diagnosis, treatment or triage of a patient: it is research software and no medical device.",
    `Not for any question but this: ${classesInWords(facts) || "its classes"}; ${answersInWords(facts)}`,
    "Not for images of other kinds, devices, places or patients than those it was trained and tested on, until it has been tested there.",
    "Not without somebody who looks at the image.",
    statements.outOfScope,
  );
}

/** The card. Every field that the schema asks for has text. */
export function fillCard(facts: RunFacts, statements: CardStatements = {}): AppliedModelCard {
  const stated = (name: StatementName): string =>
    statements[name] ?? `${toBeWritten}${statementRows[name].words}.`;
  const both = (known: string | undefined | false, name: StatementName): string =>
    known ? sentences(known, statements[name]) : stated(name);
  const found = textOf(fairness(facts));
  const unknown = "Not known from the run.";
  return {
    BasicInfo: {
      ModelName: statements.name ?? `MedMamba to tell ${classesInWords(facts) || "classes"}`,
      ModelDeveloper: stated("developer"),
      DeveloperContact: stated("contact"),
    },
    ReleaseInfo: {
      ReleaseStage: statements.releaseStage ?? researchOnly,
      ReleaseDate: stated("releaseDate"),
      ReleaseVersion: statements.releaseVersion ?? versionOf(facts),
      GlobalAvailability: stated("availability"),
      EHRCompatibility: statements.ehrs === undefined ? undefined : { EHR: itemsOf(statements.ehrs) },
      RegulatoryApproval: statements.regulatoryApproval,
    },
    ModelSummary: {
      Summary: statements.summary ?? summary(facts),
      Keywords: { Keyword: itemsOf(statements.keywords ?? "MedMamba, image classification") },
    },
    UsesAndDirections: {
      IntendedUseAndWorkflow: sentences(
        stated("intendedUse"),
        namesForbiddenUse(statements) && contradiction,
      ),
      PrimaryIntendedUsers: stated("users"),
      HowToUse: both(textOf(specification(facts)), "howToUse"),
      TargetedPatientPopulation: stated("population"),
      CautionedOutOfScopeSettings: mustNotBeUsedFor(facts, statements),
    },
    Warnings: {
      KnownRisksAndLimitations: both(limits(facts).join(" "), "risks"),
      KnownBiasesOrEthicalConsiderations: both(
        facts.evaluation && fairnessMetric(facts).Interpretation,
        "biases",
      ),
      ClinicalRiskLevel: stated("riskLevel"),
    },
    TrustIngredients: {
      AISystemFacts: {
        OutcomesAndOutputs: output(facts) ?? unknown,
        ModelType: network(facts) ?? unknown,
        FoundationModels: statements.foundationModels,
        InputDataSource: stated("dataSource"),
        OutputAndInputDataTypes: inputTypes(facts) ?? unknown,
        DevelopmentDataCharacterization: sentences(characteristics(facts) ?? sizes(facts)) || unknown,
        BiasMitigationApproaches: both(sentences(imbalance(facts), found), "biasMitigation"),
        OngoingMaintenance: stated("maintenance"),
        Security: statements.security,
        Transparency: statements.transparency,
      },
      TransparencyInformation: {
        FundingSource: stated("funding"),
        ThirdPartyInformation: statements.thirdParty,
        StakeholdersConsulted: stated("stakeholders"),
      },
    },
    KeyMetrics: {
      UsefulnessUsabilityEfficacy: usefulness(facts),
      FairnessEquity: fairnessMetric(facts),
      SafetyReliability: reliability(facts),
    },
    Resources: {
      EvaluationReferences: statements.evaluationReferences,
      ClinicalTrial: statements.clinicalTrial,
      PeerReviewedPublications: stated("publications"),
      ReimbursementStatus: statements.reimbursement,
      PatientConsentOrDisclosure: stated("consent"),
    },
    Bibliography: statements.bibliography ?? architecture,
  };
}

/** What it tells, and how well: two sentences for everyone. */
function summary(facts: RunFacts): string {
  const { evaluation } = facts;
  const auc = evaluation?.scores.AUC;
  return sentences(
    `A deep network (MedMamba) that tells ${classesInWords(facts) || "classes"} on images.`,
    evaluation &&
      auc &&
      `On ${evaluation.samples} ${judgedInWords(facts)} its area under the ROC curve was ${estimate(auc)}.`,
  );
}

/** The paper of the network. */
const architecture =
  "@misc{medmamba, title={MedMamba: Vision Mamba for Medical Image Classification}, author={Yue, Yubiao and Li, Zhenzhang}, year={2024}, eprint={2403.03849}, archivePrefix={arXiv}}";

function versionOf({ checkpoint, software }: RunFacts): string {
  const hash = checkpoint?.sha256;
  const file = hash === undefined ? "an unnamed checkpoint" : `weights with SHA-256 ${hash}`;
  return `${file}${software ? `, made with ${software.name} ${software.version}` : ""}`;
}

function inputTypes({ preprocessing, classes }: RunFacts): string | undefined {
  if (!preprocessing || !classes) return undefined;
  const { channels, imageSize } = preprocessing;
  return `Input: one picture (DICOM, NIfTI, PNG, JPEG, TIFF and others), brought to ${imageSize} x ${imageSize} pixels with ${channels === 1 ? "1 channel" : `${channels} channels`}. Output: ${classes.length} probabilities from 0 to 1.`;
}

const itemsOf = (text: string): string[] =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
