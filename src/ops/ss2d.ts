/** SS2D: the selective scan of an image in four directions, with its projections. */
import { expectNamed } from "../settings/given.js";
import { isRecorded, record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats, expectShape, extents } from "./check.js";

/** Parameters of SS2D for c channels, D = 2c, N states and rank R. */
export interface Ss2dParameters {
  /** (2D, c) */
  inProjWeight: Tensor;
  /** (D, 1, 3, 3) */
  conv2dWeight: Tensor;
  /** (D) */
  conv2dBias: Tensor;
  /** (4, R + 2N, D) */
  xProjWeight: Tensor;
  /** (4, D, R) */
  dtProjsWeight: Tensor;
  /** (4, D) */
  dtProjsBias: Tensor;
  /** (4D, N) logarithm of -A */
  aLogs: Tensor;
  /** (4D) skip connection of each direction */
  ds: Tensor;
  /** (D) */
  outNormWeight: Tensor;
  /** (D) */
  outNormBias: Tensor;
  /** (c, D) */
  outProjWeight: Tensor;
}

/** Field of `mm_ss2d_weights` for each parameter. */
const fields: Readonly<Record<keyof Ss2dParameters, string>> = {
  inProjWeight: "in_proj_weight",
  conv2dWeight: "conv2d_weight",
  conv2dBias: "conv2d_bias",
  xProjWeight: "x_proj_weight",
  dtProjsWeight: "dt_projs_weight",
  dtProjsBias: "dt_projs_bias",
  aLogs: "A_logs",
  ds: "Ds",
  outNormWeight: "out_norm_weight",
  outNormBias: "out_norm_bias",
  outProjWeight: "out_proj_weight",
};

/** Checks the parameters' shapes for `channels` and returns the states and the rank. @internal */
export function ss2dSizes(
  operation: string,
  channels: number,
  p: Ss2dParameters,
): { states: number; rank: number } {
  expectNamed(operation, "the parameters", p, fields);
  expectFloats(operation, Object.fromEntries(ss2dNames.map((name) => [name, p[name]])));
  const [inner, states, rank] = [2 * channels, p.aLogs.shape[1] ?? 0, p.dtProjsWeight.shape[2] ?? 0];
  const { inProjWeight, conv2dWeight, conv2dBias, xProjWeight, dtProjsWeight, dtProjsBias, aLogs, ds } = p;
  const { outNormWeight, outNormBias, outProjWeight } = p;
  expectShape(operation, { inProjWeight }, [2 * inner, channels]);
  expectShape(operation, { conv2dWeight }, [inner, 1, 3, 3]);
  expectShape(operation, { conv2dBias, outNormWeight, outNormBias }, [inner]);
  expectShape(operation, { xProjWeight }, [4, rank + 2 * states, inner]);
  expectShape(operation, { dtProjsWeight }, [4, inner, rank]);
  expectShape(operation, { dtProjsBias }, [4, inner]);
  expectShape(operation, { aLogs }, [4 * inner, states]);
  expectShape(operation, { ds }, [4 * inner]);
  expectShape(operation, { outProjWeight }, [channels, inner]);
  return { states, rank };
}

/** Tensors by parameter name, as fields of the native struct. @internal */
export function renamed<Name extends string>(
  names: Readonly<Record<Name, string>>,
  tensors: { readonly [N in Name]: Tensor },
): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries<string>(names).map(([name, field]) => [field, tensors[name as Name]]),
  );
}

/** The fields of `mm_ss2d_weights` or `mm_ss2d_gradients`. @internal */
export function ss2dFields(tensors: Ss2dParameters): Record<string, Tensor> {
  return renamed(fields, tensors);
}

/**
 * Gradient tensors for a set of parameters: those that `into` gives, and memory to throw away for frozen ones.
 * @internal
 */
export function gradientsOf<Name extends string>(
  names: readonly Name[],
  saved: { readonly [N in Name]: Tensor },
  into: (name: Name) => Tensor | undefined,
): { [N in Name]: Tensor } {
  const entries = names.map((name) => [name, into(name) ?? Tensor.like(saved[name])]);
  return Object.fromEntries(entries) as { [N in Name]: Tensor };
}

/** @internal */
export const ss2dNames = Object.keys(fields) as (keyof Ss2dParameters)[];

/**
 * Selective scan of an image in four directions: rows, columns, and both reversed (arXiv 2401.10166).
 * `x, z = inProj(input)`, `u = silu(depthwise3x3(x))`, the four scans of `u` are summed, normalised, gated by
 * `silu(z)` and projected back.
 *
 * @param x  (batch, height, width, c)
 * @returns  the same shape
 * @throws ShapeError, DTypeError
 */
export function ss2d(x: Tensor, parameters: Ss2dParameters): Tensor {
  const [batch, height, width, channels] = extents("ss2d", "x", x, ["batch", "height", "width", "channels"]);
  expectFloats("ss2d", { x });
  const { states, rank } = ss2dSizes("ss2d", channels, parameters);
  const sizes = { batch, height, width, channels, states, rank };
  const plan = x.device.plan("ss2d", sizes);
  const inputs = { x, ...parameters };
  const saved = isRecorded(...Object.values(inputs)) ? Tensor.empty([plan.saved], x) : undefined;
  const workspace = Tensor.empty([plan.forwardWorkspace], x);
  const y = Tensor.like(x);
  x.device.call("ss2d_forward", {
    ...sizes,
    x_row: 0,
    x,
    weights: ss2dFields(parameters),
    y,
    saved,
    workspace,
  });
  workspace.dispose();

  return record("ss2d", y, inputs, { ...inputs, kept: saved }, (dy, { kept, ...saved }, into) => {
    const dx = into("x") ?? Tensor.like(dy);
    const gradients = gradientsOf(ss2dNames, saved, into);
    const scratch = Tensor.empty([plan.backwardWorkspace], dy);
    dy.device.call("ss2d_backward", {
      ...sizes,
      x_row: 0,
      dx_row: 0,
      accumulate_dx: false,
      x: saved.x,
      weights: ss2dFields(saved),
      saved: kept,
      dy,
      dx,
      gradients: ss2dFields(gradients),
      workspace: scratch,
    });
    scratch.dispose();
    return { x: dx, ...gradients };
  });
}
