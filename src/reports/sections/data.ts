/** Which images there were, in which part and of which class, whose they are, and what an audit found. */
import type { AuditReport } from "../../audit/report.js";
import { countLabels, expectDataset, type LabelledImages } from "../../data/dataset.js";
import { expectNamed } from "../../settings/given.js";
import { factList } from "../facts.js";
import { escapeMarkup } from "../figures/svg.js";
import { type Cell, tableHtml } from "../tables.js";
import type { ReportSection } from "./section.js";

/** One part of the data. */
export interface DataSplit {
  /** "train", "val", "test", or what it is called. */
  readonly name: string;
  /** How many. */
  readonly images: number;
  /** Null where they are not known. */
  readonly patients: number | null;
  /** Images of each class, in the order of the classes. */
  readonly counts: readonly number[];
}

/** What the section tells, as plain JSON. */
export interface DataEvidence {
  /** Their names. */
  readonly classes: readonly string[];
  /** All parts that have images. */
  readonly splits: readonly DataSplit[];
  /** For the record, in order: where the data are from, how they were divided. No path, no name of a patient. */
  readonly facts?: Readonly<Record<string, string>>;
  /** What an audit found; undefined where there was none. */
  readonly audit?: Pick<AuditReport, "ok" | "warnings"> | undefined;
}

/** Counts the images of data sets. @param parts  by the names of the splits; those of no images are left out @throws ArgumentError */
export function dataEvidenceOf(parts: Readonly<Record<string, LabelledImages>>): DataEvidence {
  expectNamed("dataEvidenceOf", "parts", parts);
  for (const [name, dataset] of Object.entries(parts)) expectDataset("dataEvidenceOf", name, dataset);
  const there = Object.entries(parts).filter(([, dataset]) => dataset.length > 0);
  return {
    classes: there[0]?.[1].classes ?? [],
    splits: there.map(([name, dataset]) => ({
      name,
      images: dataset.length,
      patients: dataset.patients?.some(Boolean) ? new Set(dataset.patients.filter(Boolean)).size : null,
      counts: countLabels(dataset),
    })),
  };
}

/** The section. */
export function dataSection({ classes, splits, facts = {}, audit }: DataEvidence): ReportSection {
  const rows = splits.map(({ name, images, patients, counts }): Cell[] => [
    name,
    String(images),
    patients === null ? "not known" : String(patients),
    ...classes.map((_, at) => String(counts[at] ?? 0)),
  ]);
  const table =
    splits.length === 0
      ? ""
      : tableHtml({
          caption: "Images of each part and class",
          headings: ["Part", "Images", "Patients", ...classes],
          rows,
        });
  const list = Object.keys(facts).length === 0 ? "" : factList(facts);
  return { id: "data", heading: "Data", body: [list, table, auditPart(audit)].filter(Boolean).join("\n") };
}

function auditPart(audit: DataEvidence["audit"]): string {
  if (audit === undefined)
    return `<h3>Audit</h3>\n<p>The data were not audited: copies, leaks from part to part and shortcuts may be in them. <code>medmamba audit</code> looks for them.</p>`;
  const found = audit.warnings.map((sentence) => `<li>${escapeMarkup(sentence)}</li>`).join("\n");
  const verdict = audit.ok
    ? "No leak, contradiction or unreadable image was found."
    : "Something was found that makes scores wrong.";
  return `<h3>Audit</h3>\n<p class="${audit.ok ? "good" : "bad"}">${verdict}</p>${found === "" ? "" : `\n<ul class="findings">${found}</ul>`}`;
}
