/**
 * Whom DICOM files are of, by what they say themselves, where no table says it: a folder of them is then divided by patient like
 * any other data. The identifier becomes a pseudonym where it is read.
 */
import { extname } from "node:path";
import { imageExtensions } from "../decoding/decoder.js";
import { isDicom } from "../decoding/dicom/signature.js";
import { defaultMaxPixels, largestFile } from "../decoding/limits.js";
import { readWhole } from "../decoding/sample.js";
import { pseudonym } from "../pseudonyms.js";
import type { SplitName } from "../splitting/split-names.js";
import { isNamedDicom } from "./dicom-files.js";
import type { ImageEntry, Listing } from "./source.js";

const readAtOnce = 8;

/** What is known of an image of a listing, as far as it matters here. */
interface OfAPatient {
  readonly file: string;
  readonly patient?: string | undefined;
}

/**
 * The same entries, with the patients of DICOM files that had none. Where all of these files name the same one, as those do that
 * were made anonymous, it is nobody.
 *
 * @param onWarning  gets a sentence if all name the same
 */
export async function withDicomPatients<Entry extends OfAPatient>(
  path: string,
  entries: readonly Entry[],
  onWarning: (message: string) => void,
): Promise<(Entry & OfAPatient)[]> {
  const files = new Set(entries.filter(isCandidate).map(({ file }) => file));
  const found = await patientsOf([...files]);
  const named = [...found.values()].filter((patient) => patient !== undefined);
  if (named.length > 1 && new Set(named).size === 1) {
    onWarning(
      `${path}: all ${named.length} DICOM files name the same patient, which is taken for none: say whom they are of by a column patient of a table.`,
    );
    return [...entries];
  }
  return entries.map((entry) => {
    const patient = entry.patient ?? found.get(entry.file);
    return patient === undefined ? entry : { ...entry, patient };
  });
}

/** The same for all entries of a listing, however they are divided. */
export async function listingWithPatients(
  path: string,
  listing: Listing,
  onWarning: (message: string) => void,
): Promise<Listing> {
  const { splits, undivided } = listing;
  const lists: [SplitName | undefined, readonly ImageEntry[]][] = [
    ...(Object.entries(splits) as [SplitName, ImageEntry[]][]),
    ...(undivided ? [[undefined, undivided] as [undefined, ImageEntry[]]] : []),
  ];
  const all = lists.flatMap(([, entries]) => entries);
  if (!all.some(isCandidate)) return listing;
  const known = await withDicomPatients(path, all, onWarning);
  let next = 0;
  const taken = lists.map(([name, { length }]) => {
    next += length;
    return [name, known.slice(next - length, next)] as const;
  });
  return {
    ...listing,
    splits: Object.fromEntries(taken.filter(([name]) => name !== undefined)),
    ...(undivided && { undivided: taken.at(-1)?.[1] ?? [] }),
  };
}

/** Whether a file may be DICOM: by its ending, or because it has none of another kind. */
function isCandidate({ file, patient }: OfAPatient): boolean {
  if (patient !== undefined) return false;
  return isNamedDicom(file) || !imageExtensions.includes(extname(file).toLowerCase());
}

async function patientsOf(files: readonly string[]): Promise<Map<string, string | undefined>> {
  const found = new Map<string, string | undefined>();
  for (let start = 0; start < files.length; start += readAtOnce) {
    const group = files.slice(start, start + readAtOnce);
    const patients = await Promise.all(group.map(patientOf));
    for (const [i, file] of group.entries()) found.set(file, patients[i]);
  }
  return found;
}

/** Undefined where the file does not say it, is none, or cannot be read, which is said where it is decoded. */
async function patientOf(file: string): Promise<string | undefined> {
  try {
    const bytes = await readWhole(file, largestFile(defaultMaxPixels()));
    if (!isDicom(bytes)) return undefined;
    const { dicomIdentity } = await import("../decoding/dicom/describe.js");
    const { patientId } = dicomIdentity(bytes);
    return patientId ? pseudonym(patientId) : undefined;
  } catch {
    return undefined;
  }
}
