import { MedMambaError } from "../native/errors.js";

/** Something is wrong with a data set or an image; the message names the file, and the line or entry where it has one. */
export class DataError extends MedMambaError {
  constructor(message: string, options?: ErrorOptions) {
    super("MEDMAMBA_DATA", message, options);
  }
}
