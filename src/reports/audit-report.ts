/** The report of an audit as files: a page to look at, with the pictures that are the same, and JSON. */
import { join } from "node:path";
import { type Audited, expectAudited } from "../audit/audit.js";
import type { AuditedImage, AuditReport, SimilarPair } from "../audit/report.js";
import { pictureOf } from "../audit/survey.js";
import { miniature } from "../data/decoding/sample.js";
import { ArgumentError } from "../errors.js";
import { expectNamed, expectText, type NamesOf } from "../settings/given.js";
import { type Path, pathOf } from "../settings/paths.js";
import { replaceText } from "../weights/atomic-file.js";
import { makeFolder } from "../weights/file-errors.js";
import { type AuditPage, auditHtml } from "./audit-page.js";
import { expectAuditReport } from "./given-audit.js";

/** Names of the files that `writeAudit` writes. */
export const auditFiles = {
  /** To look at. */
  page: "audit.html",
  /** The report, to compute with. */
  json: "audit.json",
} as const;

/** Pairs that are shown of each kind: enough to judge, few enough for a page that can be mailed. */
const shown = 12;
const pictureSide = 160; // pixels

/** An audit, to be written. */
export interface AuditContents {
  /** Heading of the page. */
  readonly title: string;
  /** What was audited, for the pictures. */
  readonly dataset: Audited;
  /** What was found. */
  readonly report: AuditReport;
}

const contentNames: NamesOf<AuditContents> = { title: true, dataset: true, report: true };

/**
 * Writes `audit.html` and `audit.json`. No name of a patient and no place on the machine is in them.
 *
 * @returns the names of the files
 * @throws ArgumentError for a report that `audit` has not made of the data set; WeightsError for a folder or file that cannot be
 *   written
 */
export async function writeAudit(directory: Path, contents: AuditContents): Promise<string[]> {
  const folder = pathOf("writeAudit", directory, "the directory");
  const { title, dataset, report } = expectNamed("writeAudit", "contents", contents, contentNames);
  expectText("writeAudit", "title", title);
  expectAuditReport("writeAudit", report);
  expectAudited("writeAudit", dataset);
  const page: AuditPage = {
    title,
    report,
    conflicts: await withPictures(dataset, report.labelConflicts.first),
    across: await withPictures(dataset, report.crossSplit.first),
    near: await withPictures(dataset, report.nearDuplicates.first),
  };
  await makeFolder(folder);
  await replaceText(join(folder, auditFiles.page), auditHtml(page));
  await replaceText(join(folder, auditFiles.json), `${JSON.stringify(report, null, 2)}\n`);
  return Object.values(auditFiles);
}

async function withPictures(dataset: Audited, pairs: readonly SimilarPair[]): Promise<AuditPage["near"]> {
  return Promise.all(
    pairs.slice(0, shown).map(async (pair) => {
      const [first, second] = await Promise.all(pair.images.map((image) => dataUri(dataset, image)));
      return { ...pair, pictures: [first ?? "", second ?? ""] as const };
    }),
  );
}

async function dataUri(dataset: Audited, { split, index, name }: AuditedImage): Promise<string> {
  const part = "sample" in dataset ? dataset : dataset[split ?? "train"];
  if (index >= part.length)
    throw new ArgumentError(`writeAudit: the report speaks of ${name}, which the data set does not have.`);
  const bytes = await miniature(await pictureOf(part, index), pictureSide);
  return `data:image/jpeg;base64,${Buffer.from(bytes).toString("base64")}`;
}
