/**
 * UIDs under 2.25, the root for those that are UUIDs (PS3.5, B.2). They are drawn from what an object is about and not by lot,
 * so that the same images, checkpoint and answers make the same object: an archive that gets it twice has it once.
 */
import { createHash } from "node:crypto";

/** The UID of a thing that is named by texts: a UUID of version 8 (RFC 9562), whose bits are their SHA-256. */
export function ownUid(...names: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256").update("medmamba");
  // Lengths keep ("ab", "c") apart from ("a", "bc").
  for (const name of names) hash.update(`\0${Buffer.byteLength(name)}\0`).update(name);
  const bytes = hash.digest().subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return `2.25.${BigInt(`0x${bytes.toString("hex")}`)}`;
}
