/** By which a file is known again, whatever it is called. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { weightsError } from "./file-errors.js";

/** SHA-256 of a file in hexadecimal digits. @throws WeightsError naming it, if it cannot be read */
export async function fileHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash).catch((error: unknown) => {
    throw weightsError(path, error);
  });
  return hash.digest("hex");
}
