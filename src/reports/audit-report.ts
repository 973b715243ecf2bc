/** The report of an audit as files: a page to look at, with the pictures that are the same, and JSON. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Audited, AuditedImage, AuditReport, SimilarPair } from "../audit/audit.js";
import { pictureOf } from "../audit/survey.js";
import { miniature } from "../data/decoding/sample.js";
import { replaceText } from "../weights/atomic-file.js";
import { type AuditPage, auditHtml } from "./audit-page.js";

/** Names of the files that `writeAudit` writes. */
export const auditFiles = { page: "audit.html", json: "audit.json" } as const;

/** Pairs that are shown of each kind: enough to judge, few enough for a page that can be mailed. */
const shown = 12;
const pictureSide = 160; // pixels

/**
 * Writes `audit.html` and `audit.json`. No name of a patient and no place on the machine is in them.
 *
 * @param contents.dataset  what was audited, for the pictures
 * @returns the names of the files
 */
export async function writeAudit(
  directory: string,
  {
    title,
    dataset,
    report,
  }: { readonly title: string; readonly dataset: Audited; readonly report: AuditReport },
): Promise<string[]> {
  const page: AuditPage = {
    title,
    report,
    conflicts: await withPictures(dataset, report.labelConflicts.first),
    across: await withPictures(dataset, report.crossSplit.first),
    near: await withPictures(dataset, report.nearDuplicates.first),
  };
  await mkdir(directory, { recursive: true });
  await replaceText(join(directory, auditFiles.page), auditHtml(page));
  await replaceText(join(directory, auditFiles.json), `${JSON.stringify(report, null, 2)}\n`);
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

async function dataUri(dataset: Audited, { split, index }: AuditedImage): Promise<string> {
  const part = "sample" in dataset ? dataset : dataset[split ?? "train"];
  const bytes = await miniature(await pictureOf(part, index), pictureSide);
  return `data:image/jpeg;base64,${Buffer.from(bytes).toString("base64")}`;
}
