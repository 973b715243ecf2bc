/** Names of the files that a report of an evaluation is made of. */

/** Figures, as SVG. */
const figures = {
  /** Of a training. */
  curves: "curves.svg",
  /** What was taken for what. */
  confusion: "confusion.svg",
  /** Sensitivity against 1 - specificity. */
  roc: "roc.svg",
  /** Precision against recall. */
  precisionRecall: "precision-recall.svg",
  /** Net benefit against the threshold. */
  decision: "decision-curve.svg",
  /** Errors among the images that it is surest of. */
  risk: "risk-coverage.svg",
  /** Probabilities that two classes are given. */
  histogram: "probabilities.svg",
  /** How often predictions of a probability come true. */
  reliability: "reliability.svg",
  /** Each subgroup beside all others. */
  subgroups: "subgroups.svg",
} as const;

/** "roc.png" of "roc.svg". */
export const pngOf = (svg: string): string => svg.replace(/\.svg$/, ".png");

/** The same as PNG. */
const pictures = Object.fromEntries(
  Object.entries(figures).map(([name, file]) => [`${name}Png`, pngOf(file)]),
) as { readonly [name in keyof typeof figures as `${name}Png`]: string };

/** Names of the files that `writeReport` writes; a figure is there as PNG too, by the same name. */
export const reportFiles = {
  ...figures,
  ...pictures,
  /** The page with all of them. */
  report: "report.html",
  /** All numbers of the page, to compute with. */
  numbers: "report.json",
} as const;
