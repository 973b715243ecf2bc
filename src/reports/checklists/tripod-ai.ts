/**
 * TRIPOD+AI (2024): reports of prediction models that use regression or machine learning; 27 items, 52 with their parts.
 *
 * Numbers and subjects are the list's, the wording is ours: the list itself is what counts (its table is open access, at the
 * DOI). Numbers and subjects were compared with two copies of the list that name it as their source.
 */
import * as data from "./answers-of-data.js";
import * as results from "./answers-of-results.js";
import * as model from "./answers-of-training.js";
import type { Checklist } from "./checklist.js";

export const tripodAi: Checklist = {
  name: "TRIPOD+AI",
  publication:
    "Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use regression or machine learning methods. BMJ 2024;385:e078378",
  doi: "10.1136/bmj-2023-078378",
  items: [
    {
      number: "1",
      subject: "Title: a model developed or evaluated, for whom, for which outcome",
      answer: model.titleWithoutPopulation,
      asks: ["population"],
    },
    {
      number: "2",
      subject: "Structured abstract (TRIPOD+AI for Abstracts)",
      answer: model.abstract,
      asks: ["background", "setting", "population", "conclusions"],
    },
    {
      number: "3a",
      subject: "Context in health care, and why this model beside earlier ones",
      asks: ["background"],
    },
    {
      number: "3b",
      subject: "Target population, purpose in the course of care, users",
      asks: ["population", "intendedUse", "users"],
    },
    { number: "3c", subject: "Known inequalities between groups", asks: ["inequalities"] },
    {
      number: "4",
      subject: "Objectives: development, evaluation, or both",
      answer: model.objectives,
      asks: ["objectives"],
    },
    { number: "5a", subject: "Sources of the data, why these, whom they represent", asks: ["dataSource"] },
    { number: "5b", subject: "Dates of the data", asks: ["dates"] },
    { number: "6a", subject: "Setting, number and place of centers", asks: ["setting"] },
    { number: "6b", subject: "Eligibility of participants", asks: ["eligibility"] },
    { number: "6c", subject: "Treatments received, and how they were handled", asks: ["treatments"] },
    {
      number: "7",
      subject: "Data preparation and quality checks, alike for all groups or not",
      answer: data.preprocessing,
    },
    {
      number: "8a",
      subject: "Outcome: definition, time, assessment, why this one",
      answer: results.outcome,
      asks: ["referenceStandard", "outcomeRationale"],
    },
    { number: "8b", subject: "Who assessed the outcome, where that is a judgment", asks: ["annotators"] },
    { number: "8c", subject: "Blinding of that assessment", asks: ["blinding"] },
    { number: "9a", subject: "Choice of predictors before the model was built", answer: results.predictors },
    {
      number: "9b",
      subject: "Definition of predictors, and how and when they were measured",
      answer: results.predictorDefinition,
      asks: ["acquisition"],
    },
    {
      number: "9c",
      subject: "Who assessed predictors, where that is a judgment",
      answer: results.predictorAssessment,
      asks: ["imageSelection"],
    },
    {
      number: "10",
      subject: "Sample size, and why it suffices",
      answer: data.sampleSize,
      asks: ["sampleSize"],
    },
    {
      number: "11",
      subject: "Missing data: handling, and reasons for leaving any out",
      answer: data.missingData,
    },
    {
      number: "12a",
      subject: "Which data served what, and how they were divided",
      answer: data.partition,
      asks: ["division"],
    },
    {
      number: "12b",
      subject: "Handling of predictors: scaling and transformation",
      answer: data.preprocessing,
    },
    {
      number: "12c",
      subject: "Type of model, why, how it was built and tuned, internal validation",
      answer: model.modelBuilding,
      asks: ["modelRationale"],
    },
    {
      number: "12d",
      subject: "Heterogeneity between clusters such as hospitals",
      answer: results.heterogeneity,
    },
    { number: "12e", subject: "Measures and plots of performance, and why these", answer: results.methods },
    { number: "12f", subject: "Model updating that followed the evaluation", answer: model.updating },
    { number: "12g", subject: "How predictions were computed in the evaluation", answer: model.prediction },
    {
      number: "13",
      subject: "Class imbalance: what was done, and recalibration afterwards",
      answer: model.imbalance,
    },
    {
      number: "14",
      subject: "What was done for fairness, and why",
      answer: results.fairness,
      asks: ["biasMitigation"],
    },
    { number: "15", subject: "Output of the model, classification and its thresholds", answer: model.output },
    {
      number: "16",
      subject: "Differences between development and evaluation data",
      answer: data.developmentAndTest,
      asks: ["externalTest"],
    },
    { number: "17", subject: "Ethics approval and consent", asks: ["ethics"] },
    { number: "18a", subject: "Funding and the role of funders", asks: ["funding"] },
    { number: "18b", subject: "Conflicts of interest", asks: ["conflicts"] },
    { number: "18c", subject: "Protocol", asks: ["protocol"] },
    { number: "18d", subject: "Registration", asks: ["registration"] },
    { number: "18e", subject: "Availability of the data", asks: ["dataAvailability"] },
    { number: "18f", subject: "Availability of the code", answer: model.code },
    { number: "19", subject: "Involvement of patients and public", asks: ["patientInvolvement"] },
    {
      number: "20a",
      subject: "Flow of participants, with and without the outcome",
      answer: data.flow,
      asks: ["exclusions"],
    },
    {
      number: "20b",
      subject: "Characteristics of participants, overall and by source",
      answer: data.baseline,
      asks: ["dates", "treatments"],
    },
    {
      number: "20c",
      subject: "Distribution of predictors and outcome beside that of the development data",
      answer: data.characteristics,
      asks: ["characteristics"],
    },
    { number: "21", subject: "Participants and outcome events in each analysis", answer: data.sizes },
    {
      number: "22",
      subject: "The full model, so that others can use and test it, with restrictions",
      answer: model.specification,
      asks: ["modelAvailability"],
    },
    {
      number: "23a",
      subject: "Performance with intervals, for key groups too",
      answer: results.scoresByGroup,
      asks: ["errors"],
    },
    {
      number: "23b",
      subject: "Heterogeneity between clusters, if it was examined",
      answer: results.heterogeneityResults,
    },
    { number: "24", subject: "Results of any model updating", answer: model.updating },
    {
      number: "25",
      subject: "Interpretation, fairness and earlier studies included",
      asks: ["interpretation"],
    },
    {
      number: "26",
      subject: "Limitations and what they do to the results",
      answer: results.limitations,
      asks: ["limitations"],
    },
    {
      number: "27a",
      subject: "Poor or missing input when the model is used",
      answer: results.poorInput,
      asks: ["poorInput"],
    },
    {
      number: "27b",
      subject: "What users have to do and to know",
      answer: results.interaction,
      asks: ["expertise"],
    },
    { number: "27c", subject: "Next steps of research", asks: ["nextSteps"] },
  ],
};
