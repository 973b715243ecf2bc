/**
 * STARD-AI (2025): reports of diagnostic accuracy of artificial intelligence; 40 items, 48 with their parts. It is numbered anew: the
 * 30 items of STARD 2015 are in it, four of them changed, with 14 new ones.
 *
 * Numbers and subjects are the list's, the wording is ours: the list itself is what counts (open access, at the DOI). Numbers and
 * subjects were compared with three copies of the list that name it as their source.
 */
import * as data from "./answers-of-data.js";
import * as results from "./answers-of-results.js";
import * as model from "./answers-of-training.js";
import type { Checklist } from "./checklist.js";

export const stardAi: Checklist = {
  name: "STARD-AI",
  publication:
    "Sounderajah V, Guni A, Liu X, et al. The STARD-AI reporting guideline for diagnostic accuracy studies using artificial intelligence. Nature Medicine 2025;31:3283-3289",
  doi: "10.1038/s41591-025-03953-8",
  items: [
    {
      number: "1",
      subject: "Title or abstract names it a study of AI's diagnostic accuracy, with a measure",
      answer: model.title,
    },
    { number: "2", subject: "Structured summary", answer: model.abstract, asks: ["design", "conclusions"] },
    {
      number: "3",
      subject: "Background, intended use, new or established, place in the workflow",
      asks: ["background", "intendedUse"],
    },
    { number: "4", subject: "Objectives and hypotheses", answer: model.objectives, asks: ["objectives"] },
    { number: "5", subject: "Prospective or retrospective data", asks: ["design"] },
    { number: "6", subject: "Ethics approval", asks: ["ethics"] },
    { number: "7", subject: "Eligibility of participants and of data, in order", asks: ["eligibility"] },
    { number: "8", subject: "How possible participants were identified", asks: ["recruitment"] },
    { number: "9", subject: "Where and when", asks: ["setting", "dates"] },
    { number: "10", subject: "Consecutive, random or convenience series", asks: ["series"] },
    { number: "11", subject: "Source of the data: routine, for the study, open", asks: ["dataSource"] },
    { number: "12", subject: "Who annotated, and how", asks: ["annotators", "annotation"] },
    {
      number: "13",
      subject: "Devices that made the data; software of the index test",
      answer: model.devicesAndSoftware,
      asks: ["acquisition"],
    },
    {
      number: "14",
      subject: "Acquisition and preprocessing",
      answer: data.acquisition,
      asks: ["acquisition"],
    },
    { number: "15a", subject: "Index test, so that it can be repeated", answer: model.network },
    {
      number: "15b",
      subject: "How it was developed and tested, with sample sizes",
      answer: model.development,
    },
    { number: "15c", subject: "Cut-offs of the index test, fixed before or explored", answer: model.output },
    { number: "15d", subject: "End user, and the expertise needed", asks: ["users", "expertise"] },
    {
      number: "16a",
      subject: "Reference standard, so that it can be repeated",
      answer: results.outcome,
      asks: ["referenceStandard"],
    },
    { number: "16b", subject: "Why this reference standard", asks: ["referenceRationale"] },
    {
      number: "16c",
      subject: "Cut-offs of the reference standard",
      answer: results.outcome,
      asks: ["referenceStandard"],
    },
    { number: "17a", subject: "What readers of the index test knew", answer: results.indexBlinding },
    { number: "17b", subject: "What assessors of the reference knew", asks: ["blinding"] },
    { number: "18", subject: "How accuracy was estimated and compared", answer: results.methods },
    { number: "19", subject: "Indeterminate results", answer: results.indeterminate },
    { number: "20", subject: "Missing data", answer: data.missingData },
    {
      number: "21",
      subject: "Analyses of variability, fixed before or explored",
      answer: results.variability,
      asks: ["robustness"],
    },
    { number: "22", subject: "Intended sample size", answer: data.sampleSize, asks: ["sampleSize"] },
    {
      number: "23",
      subject: "Analysis of errors, of bias and fairness",
      answer: results.errorsAndFairness,
      asks: ["errors"],
    },
    { number: "24", subject: "Flow of participants", answer: data.flow, asks: ["exclusions"] },
    {
      number: "25",
      subject: "Demographic, clinical, technical characteristics of each set",
      answer: data.technicalBaseline,
      asks: ["characteristics"],
    },
    { number: "26a", subject: "Severity in those with the condition", asks: ["severity"] },
    { number: "26b", subject: "Alternative diagnoses in those without", asks: ["alternatives"] },
    { number: "27", subject: "Time and treatments between index test and reference", asks: ["interval"] },
    {
      number: "28",
      subject: "Whether the data stand for the intended population",
      asks: ["representativeness"],
    },
    {
      number: "29",
      subject: "How external data differ",
      answer: data.externalEvaluation,
      asks: ["externalTest"],
    },
    {
      number: "30",
      subject: "Index test against reference, cross-tabulated",
      answer: results.confusion,
      asks: ["errors"],
    },
    { number: "31", subject: "Accuracy with its precision", answer: results.accuracy },
    { number: "32", subject: "Adverse events", answer: results.harms, asks: ["harms"] },
    {
      number: "33",
      subject: "Limitations: bias, uncertainty, generalizability",
      answer: results.limitations,
      asks: ["limitations"],
    },
    { number: "34", subject: "Implications for practice", asks: ["implications", "intendedUse"] },
    { number: "35", subject: "Ethical considerations and fairness", asks: ["ethicalConsiderations"] },
    { number: "36", subject: "Registration", asks: ["registration"] },
    { number: "37", subject: "Protocol", asks: ["protocol"] },
    { number: "38", subject: "Funding and the role of funders", asks: ["funding"] },
    { number: "39", subject: "Commercial interests", asks: ["conflicts"] },
    {
      number: "40a",
      subject: "Availability of data and code, with restrictions",
      answer: model.availability,
      asks: ["dataAvailability"],
    },
    {
      number: "40b",
      subject: "Whether outputs are kept and can be audited",
      answer: results.outputStorage,
      asks: ["outputStorage"],
    },
  ],
};
