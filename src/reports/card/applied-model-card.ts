/**
 * A model card with the fields of the Applied Model Card of the Coalition for Health AI (CHAI), version 0.2 of its schema. That is
 * an XML schema; here are its elements by their names, in their order, as plain objects, from which JSON and XML are written.
 *
 * @see https://mc.chai.org/v0.2/schema.xsd (copyright 2024 Coalition for Health AI, Inc., licensed at https://mc.chai.org/LICENSE)
 */

/** The name by which the schema is known. */
export const cardSchema = "https://mc.chai.org/v0.2/schema.xsd";

/** A number of a card. */
export interface MetricResult {
  readonly Label: string;
  /** JSON, such as `{"kind":"estimate_ci","estimate":0.9,"lower":0.8,"upper":0.95,"level":95}`. */
  readonly ValueJson: string;
}

/** What was measured for one purpose. */
export interface KeyMetric {
  readonly MetricGoal: string;
  /** One or more. */
  readonly Results: { readonly MetricResult: readonly MetricResult[] };
  readonly Interpretation: string;
  readonly TestType: string;
  readonly TestingDataDescription: string;
  readonly ValidationProcessAndJustification: string;
}

/** The card. What is optional there is optional here. */
export interface AppliedModelCard {
  readonly BasicInfo: {
    readonly ModelName: string;
    readonly ModelDeveloper: string;
    readonly DeveloperContact: string;
  };
  readonly ReleaseInfo: {
    readonly ReleaseStage: string;
    readonly ReleaseDate: string;
    readonly ReleaseVersion: string;
    readonly GlobalAvailability: string;
    readonly EHRCompatibility?: { readonly EHR: readonly string[] } | undefined;
    readonly RegulatoryApproval?: string | undefined;
  };
  readonly ModelSummary: {
    readonly Summary: string;
    readonly Keywords: { readonly Keyword: readonly string[] };
  };
  readonly UsesAndDirections: {
    readonly IntendedUseAndWorkflow: string;
    readonly PrimaryIntendedUsers: string;
    readonly HowToUse: string;
    readonly TargetedPatientPopulation: string;
    readonly CautionedOutOfScopeSettings: string;
  };
  readonly Warnings: {
    readonly KnownRisksAndLimitations: string;
    readonly KnownBiasesOrEthicalConsiderations: string;
    readonly ClinicalRiskLevel: string;
  };
  readonly TrustIngredients: {
    readonly AISystemFacts: {
      readonly OutcomesAndOutputs: string;
      readonly ModelType: string;
      readonly FoundationModels?: string | undefined;
      readonly InputDataSource: string;
      readonly OutputAndInputDataTypes: string;
      readonly DevelopmentDataCharacterization: string;
      readonly BiasMitigationApproaches: string;
      readonly OngoingMaintenance: string;
      readonly Security?: string | undefined;
      readonly Transparency?: string | undefined;
    };
    readonly TransparencyInformation: {
      readonly FundingSource: string;
      readonly ThirdPartyInformation?: string | undefined;
      readonly StakeholdersConsulted: string;
    };
  };
  readonly KeyMetrics: {
    readonly UsefulnessUsabilityEfficacy: KeyMetric;
    readonly FairnessEquity: KeyMetric;
    readonly SafetyReliability: KeyMetric;
  };
  readonly Resources: {
    readonly EvaluationReferences?: string | undefined;
    readonly ClinicalTrial?: string | undefined;
    readonly PeerReviewedPublications: string;
    readonly ReimbursementStatus?: string | undefined;
    readonly PatientConsentOrDisclosure: string;
  };
  readonly Bibliography: string;
}
