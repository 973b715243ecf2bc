/** Whether an audit that somebody names is of the data of a run: by its images and classes, since an audit names no data. */
import type { AuditReport } from "../../audit/report.js";
import { ArgumentError } from "../../errors.js";
import type { PartFacts } from "./facts.js";
import { counted, listed } from "./words.js";

/**
 * Images may be fewer in the run by those that cannot be read and by copies that training leaves out. Nothing is compared where
 * the data of the training are not known.
 *
 * @param parts  the data of the training
 * @throws ArgumentError if classes are others, or their images are more, or fewer by more than that
 */
export function expectAuditOf(operation: string, audit: AuditReport, parts: readonly PartFacts[]): void {
  const own = total(parts.map(({ classes }) => classes));
  if (own.size === 0) return;
  const audited = total(Object.values(audit.splits).map(({ classes }) => classes));
  const spared = audit.images.unreadable.count + audit.crossSplit.copiesOfTrain;
  const names = new Set([...own.keys(), ...audited.keys()]);
  const isSame = [...names].every((name) => {
    const missing = (audited.get(name) ?? Number.NaN) - (own.get(name) ?? Number.NaN);
    return missing >= 0 && missing <= spared;
  });
  if (isSame) return;
  throw new ArgumentError(
    `${operation}: the audit is of other data (${inWords(audited)}) than the run (${inWords(own)}): name the audit of the run's data.`,
  );
}

function total(parts: readonly Readonly<Record<string, number>>[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const part of parts)
    for (const [name, count] of Object.entries(part)) counts.set(name, (counts.get(name) ?? 0) + count);
  return counts;
}

const inWords = (counts: ReadonlyMap<string, number>): string =>
  listed([...counts].map(([name, count]) => `${counted(count, "image")} of ${name}`)) || "no images";
