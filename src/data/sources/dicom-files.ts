/**
 * DICOM files of a folder, which often have names that say nothing, such as "IM000001" or a UID: they are found by how they
 * begin. Those that are known to have no picture (DICOMDIR, reports, presentation states) lie in the same folders.
 */
import { open } from "node:fs/promises";
import { basename, extname } from "node:path";
import { recognizedBytes } from "../decoding/decoder.js";
import { dicomEndings, hasPreamble, isDicom, kindOfFileWithoutPicture } from "../decoding/dicom/signature.js";

/** A file that has no picture, and what it is instead. */
export interface FileWithoutPicture {
  readonly file: string;
  /** Such as "a structured report". */
  readonly kind: string;
}

/** DICOM files among others. */
export interface FoundDicom {
  readonly pictures: ReadonlySet<string>;
  readonly withoutPicture: readonly FileWithoutPicture[];
}

const openAtOnce = 32;

/** Whether a file is DICOM by the ending of its name. */
export const isNamedDicom = (file: string): boolean => dicomEndings.includes(extname(file).toLowerCase());

/**
 * @param candidates  files that are no images by their names, or DICOM by them
 */
export async function findDicom(candidates: readonly string[]): Promise<FoundDicom> {
  const pictures = new Set<string>();
  const withoutPicture: FileWithoutPicture[] = [];
  const look = async (file: string): Promise<void> => {
    const ending = extname(file).toLowerCase();
    const start = await beginningOf(file);
    const kind = start && kindOfFileWithoutPicture(start);
    // Without a preamble a few bytes must do: those of a file that says by its ending to be something else do not.
    const says = start && (hasPreamble(start) || (/^(\.\d*)?$/.test(ending) && isDicom(start)));
    if (kind) withoutPicture.push({ file, kind });
    else if (isNamedDicom(file) || says) pictures.add(file);
  };
  for (let i = 0; i < candidates.length; i += openAtOnce)
    await Promise.all(candidates.slice(i, i + openAtOnce).map(look));
  return { pictures, withoutPicture: withoutPicture.sort((a, b) => (a.file < b.file ? -1 : 1)) };
}

/** Undefined if it cannot be read, which is said where it is read. */
async function beginningOf(file: string): Promise<Uint8Array | undefined> {
  const handle = await open(file).catch(() => undefined);
  if (!handle) return undefined;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(recognizedBytes), 0, recognizedBytes, 0);
    return buffer.subarray(0, bytesRead);
  } catch {
    return undefined;
  } finally {
    await handle.close();
  }
}

/** The sentence about those of a folder, of which there is one at least. */
export function leftOutWithoutPicture(folder: string, files: readonly FileWithoutPicture[]): string {
  const [first] = files;
  const what = files.length === 1 ? "1 DICOM file that has" : `${files.length} DICOM files that have`;
  return `${folder}: left out ${what} no picture (such as ${basename(first?.file ?? "")}, ${first?.kind}).`;
}
