import { MedMambaError } from "../native/errors.js";

/** Labels, probabilities or a record of training that cannot be evaluated or drawn as given. */
export class EvaluationError extends MedMambaError {
  constructor(message: string) {
    super("MEDMAMBA_EVALUATION", message);
  }
}
