/** A part of a report's page, under a heading of its own. Each kind of evidence is made into one by a file beside this one. */
import { ArgumentError } from "../../errors.js";
import { expectList, expectNamed, expectText, inWords, type NamesOf } from "../../settings/given.js";

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
  "comparison",
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
  /** Where links lead, and where in the order it stands. */
  readonly id: SectionId;
  /** Text over it. */
  readonly heading: string;
  /** Markup, in which all text is escaped. */
  readonly body: string;
}

const sectionNames: NamesOf<ReportSection> = { id: true, heading: true, body: true };

/** @throws ArgumentError unless all are sections, no two of the same id */
export function expectSections(operation: string, sections: readonly ReportSection[]): void {
  expectList(operation, "sections", sections);
  const seen = new Set<SectionId>();
  for (const section of sections) {
    const { id, heading, body } = expectNamed(operation, "a section", section, sectionNames);
    if (!sectionOrder.includes(id))
      throw new ArgumentError(
        `${operation}: the id of a section is ${inWords(id)}, not one of ${sectionOrder.join(", ")}.`,
      );
    expectText(operation, `the heading of section ${id}`, heading);
    expectText(operation, `the body of section ${id}`, body);
    if (seen.has(id)) throw new ArgumentError(`${operation}: there are two sections ${id}.`);
    seen.add(id);
  }
}
