/** Names of the files that a report of an evaluation is made of. */

/** Names of the files that `writeReport` writes. */
export const reportFiles = {
  /** Of a training. */
  curves: "curves.svg",
  /** As PNG. */
  curvesPng: "curves.png",
  /** What was taken for what. */
  confusion: "confusion.svg",
  /** As PNG. */
  confusionPng: "confusion.png",
  /** Sensitivity against 1 - specificity. */
  roc: "roc.svg",
  /** As PNG. */
  rocPng: "roc.png",
  /** Precision against recall. */
  precisionRecall: "precision-recall.svg",
  /** As PNG. */
  precisionRecallPng: "precision-recall.png",
  /** Net benefit against the threshold. */
  decision: "decision-curve.svg",
  /** As PNG. */
  decisionPng: "decision-curve.png",
  /** Errors among the images that it is surest of. */
  risk: "risk-coverage.svg",
  /** As PNG. */
  riskPng: "risk-coverage.png",
  /** Probabilities that two classes are given. */
  histogram: "probabilities.svg",
  /** As PNG. */
  histogramPng: "probabilities.png",
  /** How often predictions of a probability come true. */
  reliability: "reliability.svg",
  /** As PNG. */
  reliabilityPng: "reliability.png",
  /** Each subgroup beside all others. */
  subgroups: "subgroups.svg",
  /** As PNG. */
  subgroupsPng: "subgroups.png",
  /** The page with all of them. */
  report: "report.html",
  /** The numbers of the page, to compute with. */
  numbers: "report.json",
} as const;

/** "roc.png" of "roc.svg". */
export const pngOf = (svg: string): string => svg.replace(/\.svg$/, ".png");
