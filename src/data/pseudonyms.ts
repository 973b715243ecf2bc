/**
 * Names that stand for patients. Who somebody is, is nobody's business here; whether two images are of one person decides
 * what a score is worth. So an identifier is replaced, where it is read, by a keyed hash of it, and is kept nowhere.
 *
 * The key is drawn anew in each process and never written: what was hashed can then not be found by trying all numbers that
 * patients have, and pseudonyms can be compared within a process, across all data sets that it opens, but not with those of
 * another. What has to be the same in two runs (a division, a sum) must not depend on their order or their letters.
 */
import { createHmac, randomBytes } from "node:crypto";

const key = randomBytes(32);
const digits = 16; // Of 4 bits each: among a million patients, two are taken for one by a chance of 3 in 10^8.

/** The same for the same identifier, within this process. */
export function pseudonym(identifier: string): string {
  return createHmac("sha256", key).update(identifier).digest("hex").slice(0, digits);
}
