/**
 * What only people can say of a study and of a model: each with a name, by which a card file has it, and with what to write. A
 * table, so that checklists, the model card, the card file and its messages speak of the same.
 */

/** A statement. */
interface StatementRow {
  /** What to write, as the end of a sentence. */
  readonly words: string;
}

const row = (words: string): StatementRow => ({ words });

/** Of the study: what checklists ask beside what a run knows. */
const studyRows = {
  background: row(
    "the problem of health, whether this is diagnosis or prognosis, what is done today, and earlier models with references",
  ),
  inequalities: row("known inequalities of health and care between groups of these patients"),
  objectives: row("the aims of the study, and its hypotheses if there are any"),
  studyGoal: row(
    "what the study is to be: a new model, a feasibility study, a comparison, a trial of non-inferiority",
  ),
  design: row(
    "whether the data were collected for this study beforehand (prospective) or were there already (retrospective)",
  ),
  conclusions: row("the conclusions, in a sentence or two"),
  dataSource: row(
    "where images and labels come from (hospital, registry, public set with its link), whether in routine care or for the study, why these, and whom they stand for",
  ),
  dates: row(
    "first and last date on which patients were taken in, and the end of follow-up if there was one",
  ),
  setting: row("kind, number and places of the centers"),
  eligibility: row("who and which images were taken in and left out, in the order applied"),
  recruitment: row("how possible patients were found: by symptoms, earlier tests, a registry"),
  series: row("whether all patients one after the other, a random sample, or those at hand were taken"),
  exclusions: row("how many patients and images were left out before the run saw any, and why"),
  treatments: row("treatments before image and label, and what was made of them; or that there were none"),
  acquisition: row(
    "devices (manufacturer, model) and protocols by which the images were made, and when in the course of care",
  ),
  imageSelection: row("whether anybody chose, cropped or marked images before the run: who, and how"),
  deidentification: row("how images and tables were de-identified before the run"),
  referenceStandard: row(
    "how the label of each image was found out (the reference standard), so that others can repeat it, with its categories or cut-offs",
  ),
  referenceRationale: row("why this reference standard and no other"),
  outcomeRationale: row(
    "why this outcome, at which time, and whether it was found out in the same way in all groups of patients",
  ),
  annotators: row("who set the labels: how many, their training, experience and background"),
  annotation: row("how labels were set: tools, in care or afterwards, of the test images in particular"),
  agreement: row(
    "how far those who set labels agreed, with themselves and each other, and what was done where not",
  ),
  blinding: row("what those who set the labels knew of the patient and of any model's output"),
  division: row("how the data were divided, and at which level parts have nothing in common"),
  characteristics: row("age, sex and whatever else describes patients and images of each part"),
  sampleSize: row("how the number of patients was decided on, and why it is enough"),
  modelRationale: row("why this network, and which other settings and models were tried"),
  robustness: row(
    "how scores change with noise, other devices or other preprocessing; or that it was not examined",
  ),
  explainability: row(
    "how it was shown what the model looks at, and how that was checked; or that it was not done",
  ),
  severity: row("how severe the finding was in those who have it"),
  alternatives: row("what those without the finding had instead"),
  interval: row("time and treatments between image and reference standard"),
  representativeness: row(
    "whether the finding is as common, and as it looks, among these images as among the patients that the model is meant for",
  ),
  internalTest: row("how it did on images of the same source that were set aside"),
  errors: row("which errors it made, against the reference, and whether in some groups more often"),
  externalTest: row(
    "why there is no test on external data; or how setting, patients, labels and images of the external data differ",
  ),
  harms: row("harm done to anybody by making the images or finding out the labels; or that there was none"),
  interpretation: row("what the results mean, beside the aims, earlier studies and fairness"),
  limitations: row("the limits of the study, and which way each may have moved the results"),
  implications: row("what follows for practice, and what stands in the way"),
  ethicalConsiderations: row("ethical questions of using the model, and of fairness"),
  poorInput: row("what is to be done with images of poor quality, or without one"),
  expertise: row("what users have to know, and what they have to do with images and answers"),
  nextSteps: row("what is to be studied next, for other places and patients in particular"),
  ethics: row("the ethics committee that approved the study or waived it, its reference, and consent"),
  conflicts: row("conflicts of interest, and commercial interests"),
  protocol: row("where the protocol of the study can be had; or that there is none"),
  registration: row("registry and number of the study; or that it is not registered"),
  dataAvailability: row("whether and how others can get the data"),
  modelAvailability: row("whether and how others can get the model, and what limits its use"),
  patientInvolvement: row("how patients and the public took part in the study; or that they did not"),
  outputStorage: row("whether answers of the model are kept, where, and who can examine them"),
};

/** Of the model: what the model card asks beside that. */
const modelRows = {
  name: row("a name for the model"),
  developer: row("who made it"),
  contact: row("how they can be reached"),
  releaseStage: row("how far it is: research, pilot, in use"),
  releaseDate: row("the date of this version"),
  releaseVersion: row("its version"),
  availability: row("in which countries it may be used"),
  ehrs: row("systems of health records that it works with"),
  regulatoryApproval: row("approvals as a medical device, with their numbers"),
  summary: row("the model in a few sentences for everyone"),
  keywords: row("keywords, with commas between"),
  intendedUse: row(
    "what it is to be used for, and where in the course of care; without an approval that is not diagnosis, treatment or triage",
  ),
  users: row("who is to use it"),
  howToUse: row("how its answers are to be used"),
  population: row("the patients that it is meant for"),
  outOfScope: row("what it must not be used for, beside what is said already"),
  risks: row("known risks and limits, beside what is said already"),
  biases: row("known biases and ethical questions, beside what is said already"),
  riskLevel: row("how much harm a wrong answer can do, and by which classification"),
  foundationModels: row("models of others that it is made from"),
  biasMitigation: row("what was done against bias, beside what is said already"),
  maintenance: row("who watches and renews it, how and how often"),
  security: row("what protects it and the data"),
  transparency: row("how users are told of it and of its limits"),
  funding: row("who paid, and what they had a say in"),
  thirdParty: row("parts of others in it, and their terms"),
  stakeholders: row("who was asked in making it: doctors, patients, others"),
  publications: row("publications about it"),
  evaluationReferences: row("where its evaluation is described"),
  clinicalTrial: row("clinical trials of it"),
  reimbursement: row("whether its use is paid for"),
  consent: row("how patients are told of it, and asked"),
  bibliography: row("references, as BibTeX"),
};

/** All statements. */
export const statementRows = { ...modelRows, ...studyRows } as const;

/** A statement's name as a card file is to have it: "intended-use"; "intendedUse" is taken, too. */
export const keyOf = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** By what a card file has a statement. */
export type StatementName = keyof typeof statementRows;

/** What people have stated. */
export type CardStatements = Readonly<Partial<Record<StatementName, string>>>;
