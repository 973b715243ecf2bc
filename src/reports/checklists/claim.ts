/**
 * CLAIM, 2024 update: reports of artificial intelligence in medical imaging; 44 items.
 *
 * Numbers and subjects are the list's, the wording is ours: the list itself is what counts (open access, at the DOI). Numbers and
 * subjects were compared with two renderings of the list by others, one of them an ontology of such items; the published table
 * itself was not at hand.
 */
import * as data from "./answers-of-data.js";
import * as results from "./answers-of-results.js";
import * as model from "./answers-of-training.js";
import type { Checklist } from "./checklist.js";

export const claim: Checklist = {
  name: "CLAIM 2024",
  publication:
    "Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update. Radiology: Artificial Intelligence 2024;6(4):e240300",
  doi: "10.1148/ryai.240300",
  items: [
    {
      number: "1",
      subject: "Title or abstract names it a study of AI, and of which kind",
      answer: model.title,
    },
    {
      number: "2",
      subject: "Summary of design, methods, results, conclusions",
      answer: model.abstract,
      asks: ["design", "conclusions"],
    },
    {
      number: "3",
      subject: "Background, intended use and role of the AI",
      asks: ["background", "intendedUse"],
    },
    { number: "4", subject: "Aims, objectives, hypotheses", answer: model.objectives, asks: ["objectives"] },
    { number: "5", subject: "Prospective or retrospective", asks: ["design"] },
    { number: "6", subject: "Goal of the study", answer: model.objectives, asks: ["studyGoal"] },
    { number: "7", subject: "Sources of the data", asks: ["dataSource"] },
    { number: "8", subject: "Inclusion and exclusion", asks: ["eligibility"] },
    { number: "9", subject: "Preprocessing", answer: data.preprocessing },
    {
      number: "10",
      subject: "Selection of subsets of the data",
      answer: results.predictorAssessment,
      asks: ["imageSelection"],
    },
    { number: "11", subject: "De-identification", answer: data.deidentification, asks: ["deidentification"] },
    { number: "12", subject: "Missing data", answer: data.missingData },
    { number: "13", subject: "Image acquisition", asks: ["acquisition"] },
    {
      number: "14",
      subject: "Reference standard: how it was obtained",
      answer: results.outcome,
      asks: ["referenceStandard"],
    },
    { number: "15", subject: "Why this reference standard", asks: ["referenceRationale"] },
    { number: "16", subject: "Who set the reference labels", asks: ["annotators"] },
    { number: "17", subject: "Annotation of the test set", asks: ["annotation"] },
    { number: "18", subject: "Agreement between and within those who annotated", asks: ["agreement"] },
    {
      number: "19",
      subject: "How data were assigned to partitions",
      answer: data.partition,
      asks: ["division"],
    },
    {
      number: "20",
      subject: "Level at which partitions are disjoint",
      answer: data.disjointness,
      asks: ["division"],
    },
    { number: "21", subject: "Intended sample size", answer: data.sampleSize, asks: ["sampleSize"] },
    { number: "22", subject: "The model in detail", answer: model.network },
    { number: "23", subject: "Software and versions", answer: model.software },
    {
      number: "24",
      subject: "Initialization of the weights",
      answer: model.initialization,
      asks: ["foundationModels"],
    },
    { number: "25", subject: "Training: augmentation, hyperparameters", answer: model.training },
    { number: "26", subject: "How the final model was selected", answer: model.selection },
    { number: "27", subject: "Ensembling", answer: model.ensembling },
    { number: "28", subject: "Metrics of performance", answer: results.measures },
    { number: "29", subject: "Statistical uncertainty and significance", answer: results.statistics },
    {
      number: "30",
      subject: "Robustness or sensitivity analysis",
      answer: results.robustness,
      asks: ["robustness"],
    },
    { number: "31", subject: "Explainability", answer: results.explanation, asks: ["explainability"] },
    {
      number: "32",
      subject: "Evaluation on internal data",
      answer: results.internalTest,
      asks: ["internalTest"],
    },
    {
      number: "33",
      subject: "Testing on external data",
      answer: results.externalTest,
      asks: ["externalTest"],
    },
    { number: "34", subject: "Registration of a clinical trial", asks: ["registration"] },
    { number: "35", subject: "Numbers included and excluded", answer: data.flow, asks: ["exclusions"] },
    {
      number: "36",
      subject: "Demographic and clinical characteristics of each partition",
      answer: data.characteristics,
      asks: ["characteristics"],
    },
    { number: "37", subject: "Performance with its uncertainty", answer: results.scores },
    { number: "38", subject: "Diagnostic performance and its precision", answer: results.accuracy },
    { number: "39", subject: "Analysis of failures", answer: results.failures, asks: ["errors"] },
    { number: "40", subject: "Limitations", answer: results.limitations, asks: ["limitations"] },
    {
      number: "41",
      subject: "Implications for practice, intended use",
      asks: ["implications", "intendedUse"],
    },
    { number: "42", subject: "Full protocol, or further technical details", answer: model.technicalDetails },
    {
      number: "43",
      subject: "Availability of software, model and data",
      answer: model.availability,
      asks: ["modelAvailability", "dataAvailability"],
    },
    { number: "44", subject: "Funding and the role of funders", asks: ["funding"] },
  ],
};
