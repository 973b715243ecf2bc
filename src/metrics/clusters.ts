/**
 * Which samples belong together. Two images of one patient are not two patients: whatever is computed about chance has to
 * count patients, and this is who they are, numbered.
 */
import { ArgumentError, EvaluationError } from "../errors.js";
import { expectList, inWords } from "../settings/given.js";
import type { IntervalOptions } from "./estimate.js";

/** @internal Samples by patient. */
export interface Clusters {
  /** (samples) number of the patient, in the order in which they first come. */
  readonly of: Int32Array;
  /** Number of patients. */
  readonly count: number;
  /** Whether one patient has several samples. */
  readonly repeated: boolean;
}

/**
 * @internal
 * @throws EvaluationError if there are patients, but not as many as samples
 */
export function clustersOf(operation: string, samples: number, { patients }: IntervalOptions): Clusters {
  if (patients === undefined) {
    return {
      of: Int32Array.from({ length: samples }, (_, sample) => sample),
      count: samples,
      repeated: false,
    };
  }
  expectList(operation, "patients", patients);
  if (patients.length !== samples) {
    throw new EvaluationError(`${operation}: ${patients.length} patients for ${samples} samples.`);
  }
  const numbers = new Map<string | number, number>();
  const of = new Int32Array(samples);
  let count = 0;
  for (let sample = 0; sample < samples; sample++) {
    const patient: unknown = patients[sample];
    if (!isPatient(patient)) {
      throw new ArgumentError(
        `${operation}: the patient of sample ${sample} has to be text, a number or undefined, but is ${inWords(patient)}.`,
      );
    }
    const known = patient === undefined || patient === "" ? undefined : numbers.get(patient);
    of[sample] = known ?? count;
    if (known !== undefined) continue;
    if (patient !== undefined) numbers.set(patient, count);
    count += 1;
  }
  return { of, count, repeated: count < samples };
}

const isPatient = (value: unknown): value is string | number | undefined =>
  value === undefined || typeof value === "string" || (typeof value === "number" && !Number.isNaN(value));
