/**
 * One case of an operation: its inputs, the operation itself, and what it should compute. ops.test.ts compares the
 * results, gradcheck.test.ts the gradients, each on every backend.
 */
import type { Tensor } from "../../../src/index.js";
import type { Values } from "../values.js";

export interface OperationCase {
  readonly name: string;
  readonly inputs: Readonly<Record<string, Values>>;
  run(tensors: Readonly<Record<string, Tensor>>): Tensor;
  reference(values: Readonly<Record<string, Values>>): Values;
  /** Inputs whose true gradient is zero, so that what comes out is rounding. */
  readonly flat: readonly string[];
  /** Relative errors that rounding to float32 may cause in the result and in the gradients. */
  readonly rounding: { readonly result: number; readonly gradient: number };
}

interface Definition<Name extends string> {
  name: string;
  inputs: Record<Name, Values>;
  run(tensors: Record<Name, Tensor>): Tensor;
  reference(values: Record<Name, Values>): Values;
  flat?: readonly NoInfer<Name>[];
  rounding?: Partial<OperationCase["rounding"]>;
}

export function operationCase<Name extends string>(definition: Definition<Name>): OperationCase {
  const { name, inputs, flat = [], rounding } = definition;
  return {
    name,
    inputs,
    run: (tensors) => definition.run(tensors as Record<Name, Tensor>),
    reference: (values) => definition.reference(values as Record<Name, Values>),
    flat,
    rounding: { result: 1e-6, gradient: 5e-6, ...rounding },
  };
}
