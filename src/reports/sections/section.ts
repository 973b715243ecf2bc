/** A part of a report's page, under a heading of its own. Each kind of evidence is made into one by a file beside this one. */

/** The parts of a report in the order in which they are read: what it comes to first, what it rests on last. */
export const sectionOrder = [
  "summary",
  "scores",
  "classes",
  "operating-point",
  "curves",
  "calibration",
  "pooled",
  "subgroups",
  "mistakes",
  "uncertainty",
  "seal",
  "data",
  "training",
  "run",
  "checklists",
] as const;

/** What links lead to. */
export type SectionId = (typeof sectionOrder)[number];

/** A part of the page. */
export interface ReportSection {
  /** What links lead to, and where it stands. */
  readonly id: SectionId;
  /** Above it, as text. */
  readonly heading: string;
  /** Markup, in which all text is escaped. */
  readonly body: string;
}
