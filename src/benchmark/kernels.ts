/**
 * The kernels that a block is made of, each as one call of backend.h with the shapes of one stage. A kernel's bytes
 * are those of its tensors, each read or written once.
 */
import { constants } from "../native/constants.js";
import { runKernel, savedBySs2d } from "../ops/kernel.js";
import type { Argument } from "../tensor/arguments.js";
import { randn } from "../tensor/creation.js";
import type { Device } from "../tensor/device.js";
import { sizeOf, Tensor } from "../tensor/tensor.js";
import type { Benchmark } from "./benchmark.js";
import { type Stage, scanInstructions } from "./work.js";

/** Random normal numbers, or such of another deviation and mean where a kernel's speed or range depends on it. */
type Input = readonly number[] | { shape: readonly number[]; deviation: number; mean: number };

interface Kernel {
  readonly name: string;
  readonly shape: string;
  /** Name in backend.h. */
  readonly operation: string;
  /** Fields that are not tensors. */
  readonly fields: Readonly<Record<string, number | boolean>>;
  readonly inputs: Readonly<Record<string, Input>>;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  /** Inputs that only the device knows the size of; not among the bytes. */
  readonly opaque?: (device: Device) => Readonly<Record<string, Input>>;
  readonly multiplyAdds?: number;
  readonly exponentials?: number;
}

/** All kernels of the block at one stage. */
export function kernelBenchmarks(stage: Stage, batch: number): Benchmark[] {
  const families = [
    scans,
    selectiveScans,
    convolutions,
    products,
    depthwise,
    layerNorms,
    gatedNorms,
    batchNorms,
  ];
  return families.flatMap((family) => family(stage, batch)).map((kernel) => asBenchmark(kernel, batch));
}

/** The scan of all four directions, forward. */
export function scanForward(stage: Stage, batch: number): Benchmark {
  const [forward] = scans(stage, batch) as [Kernel, Kernel];
  return asBenchmark(forward, batch);
}

function asBenchmark(kernel: Kernel, batch: number): Benchmark {
  const { name, shape, operation, fields, multiplyAdds = 0, exponentials = 0 } = kernel;
  const shapes = [...Object.values(kernel.inputs).map(shapeOf), ...Object.values(kernel.outputs)];
  const sizes = shapes.map((extents) => sizeOf(extents));
  const bytes = 4 * sizes.reduce((sum, size) => sum + size, 0);
  return {
    name,
    shape,
    images: batch,
    cost: { multiplyAdds, exponentials, bytes },
    open(device: Device) {
      const tensors: Record<string, Tensor> = {};
      const inputs = { ...kernel.inputs, ...kernel.opaque?.(device) };
      for (const [field, input] of Object.entries(inputs)) tensors[field] = filled(input, device);
      for (const [field, extents] of Object.entries(kernel.outputs))
        tensors[field] = Tensor.empty(extents, { device });
      const parameters: Record<string, Argument> = { ...fields, ...tensors };
      return {
        run: () => runKernel(device, operation, parameters),
        close: () => {
          for (const tensor of Object.values(tensors)) tensor.dispose();
        },
      };
    },
  };
}

function shapeOf(input: Input): readonly number[] {
  return "shape" in input ? input.shape : input;
}

function filled(input: Input, device: Device): Tensor {
  const y = randn(shapeOf(input), { device });
  if ("shape" in input)
    runKernel(device, "affine", { count: y.size, scale: input.deviation, shift: input.mean, x: y, y });
  return y;
}

// ---- kernels of SS2D -----------------------------------------------------------------------------------------

/** The step sizes come to some hundredths and the decays to what training starts with: -A from 1 to 16. */
function scans({ height, width, channels, states, rank }: Stage, batch: number): Kernel[] {
  const activation = [batch, height * width, channels];
  const projected = [batch, height * width, 4, rank + 2 * states];
  const weights = {
    dt_weight: { shape: [4, channels, rank], deviation: 0.5 * rank ** -0.5, mean: 0 },
    dt_bias: { shape: [4, channels], deviation: 0.5, mean: -4 },
    A_log: { shape: [4, channels, states], deviation: 0.7, mean: 1.9 },
    skip: [4, channels],
  };
  const fields = { batch, height, width, channels, states, rank };
  const shape = `${height}x${width}x${channels}`;
  const exponentials = 4 * batch * height * width * channels * states;
  const projection = 4 * batch * height * width * channels * rank;
  return [
    {
      name: "scan4 forward",
      shape,
      operation: "scan4_forward",
      fields,
      inputs: { u: activation, projected, ...weights },
      outputs: { y: activation },
      multiplyAdds: projection + scanInstructions.forward * exponentials,
      exponentials,
    },
    {
      name: "scan4 backward",
      shape,
      operation: "scan4_backward",
      fields,
      inputs: { u: activation, projected, ...weights, dy: activation },
      // What SS2D saves is the checkpoints and more: memory enough.
      opaque: (device) => ({
        checkpoints: [savedBySs2d(device, { ...fields, channels: channels / 2 })],
      }),
      outputs: {
        du: activation,
        dprojected: projected,
        ddt_weight: weights.dt_weight.shape,
        ddt_bias: weights.dt_bias.shape,
        dA_log: weights.A_log.shape,
        dskip: weights.skip,
      },
      // dt is projected again, and its projection has two gradients
      multiplyAdds: 3 * projection + scanInstructions.backward * exponentials,
      exponentials,
    },
  ];
}

/** The scan with mamba_ssm's arguments, as long as the image has pixels, with one group of B and C. */
function selectiveScans({ height, width, channels, states }: Stage, batch: number): Kernel[] {
  const length = height * width;
  const [sequence, group, vector] = [[batch, channels, length], [batch, 1, states, length], [channels]];
  const checkpoints = [batch, channels, Math.ceil(length / constants().scanChunk), states];
  const inputs = {
    ...{ u: sequence, delta: sequence, A: { shape: [channels, states], deviation: 2, mean: -8 } },
    ...{ B: group, C: group, D: vector, delta_bias: { shape: vector, deviation: 0.5, mean: -4 } },
  };
  const fields = { batch, channels, length, states, groups: 1, delta_softplus: true };
  const exponentials = batch * channels * length * states;
  const common = { shape: `${channels}x${length}`, fields, exponentials };
  return [
    {
      ...common,
      name: "selective scan forward",
      operation: "selective_scan_forward",
      inputs,
      outputs: { y: sequence },
      multiplyAdds: scanInstructions.forward * exponentials,
    },
    {
      ...common,
      name: "selective scan backward",
      operation: "selective_scan_backward",
      inputs: { ...inputs, dy: sequence, checkpoints: { shape: checkpoints, deviation: 0, mean: 0 } },
      outputs: {
        ...{ du: sequence, ddelta: sequence, dA: [channels, states], dB: group, dC: group },
        ...{ dD: vector, ddelta_bias: vector },
      },
      multiplyAdds: scanInstructions.backward * exponentials,
    },
  ];
}

function depthwise({ height, width, channels }: Stage, batch: number): Kernel[] {
  const activation = [batch, height, width, channels];
  const [weight, bias] = [[channels, 1, 3, 3], [channels]];
  const size = sizeOf(activation);
  const common = { shape: `${height}x${width}x${channels}`, exponentials: size };
  const fields = { batch, height, width, channels, silu: true };
  return [
    {
      ...common,
      name: "depthwise forward",
      operation: "depthwise3x3_forward",
      fields,
      inputs: { x: activation, weight, bias },
      outputs: { y: activation },
      multiplyAdds: 9 * size,
    },
    {
      ...common,
      name: "depthwise backward",
      operation: "depthwise3x3_backward",
      fields,
      inputs: { x: activation, weight, bias, dy: activation },
      outputs: { dx: activation, dweight: weight, dbias: bias },
      multiplyAdds: 3 * 9 * size,
    },
  ];
}

function layerNorms({ height, width, channels }: Stage, batch: number): Kernel[] {
  return layerNorm("layer norm", [height, width, channels / 2], batch, false);
}

function gatedNorms({ height, width, channels }: Stage, batch: number): Kernel[] {
  return layerNorm("layer norm x gate", [height, width, channels], batch, true);
}

function layerNorm(
  name: string,
  image: readonly [height: number, width: number, channels: number],
  batch: number,
  gated: boolean,
): Kernel[] {
  const [height, width, channels] = image;
  const rows = batch * height * width;
  const [activation, vector, statistics] = [[rows, channels], [channels], [rows, 2]];
  const common = { shape: image.join("x"), exponentials: gated ? rows * channels : 0 };
  const inputs = { x: activation, weight: vector, bias: vector, ...(gated ? { gate: activation } : {}) };
  return [
    {
      ...common,
      name: `${name} forward`,
      operation: "layer_norm_forward",
      fields: { rows, channels, eps: 1e-5 },
      inputs,
      outputs: { y: activation, statistics },
    },
    {
      ...common,
      name: `${name} backward`,
      operation: "layer_norm_backward",
      fields: { rows, channels, accumulate_dx: false },
      inputs: { ...inputs, statistics, dy: activation },
      outputs: {
        dx: activation,
        dweight: vector,
        dbias: vector,
        ...(gated ? { dgate: activation } : {}),
      },
    },
  ];
}

// ---- kernels of the convolution branch -----------------------------------------------------------------------

/** 3x3 convolutions without the norm and ReLU that the block has in front of them: what a library's convolution does. */
export function plainConvolutions(stage: Stage, batch: number): Benchmark[] {
  return convolutions(stage, batch, false).map((kernel) => asBenchmark(kernel, batch));
}

function convolutions({ height, width, channels }: Stage, batch: number, normalized = true): Kernel[] {
  const c = channels / 2;
  const activation = [batch, height, width, c];
  const weight = { shape: [c, c, 3, 3], deviation: (2 / (9 * c)) ** 0.5, mean: 0 };
  const norm: Record<string, Input> = normalized ? { input_scale: [c], input_shift: [c] } : {};
  const fields = { batch, height, width, in_channels: c, out_channels: c };
  const common = { shape: `${height}x${width}x${c}`, multiplyAdds: batch * height * width * 9 * c * c };
  return [
    {
      ...common,
      name: "conv3x3 forward",
      operation: "conv3x3_forward",
      fields: { ...fields, input_relu: normalized, relu: false },
      inputs: { x: activation, ...norm, weight, bias: [c] },
      outputs: { y: activation },
    },
    {
      ...common,
      name: "conv3x3 backward data",
      operation: "conv3x3_backward_data",
      fields,
      inputs: { dy: activation, weight },
      outputs: { dx: activation },
    },
    {
      ...common,
      name: "conv3x3 backward weight",
      operation: "conv3x3_backward_weight",
      fields: { ...fields, input_relu: normalized },
      inputs: { x: activation, ...norm, dy: activation },
      outputs: { dweight: weight.shape },
    },
  ];
}

function batchNorms({ height, width, channels }: Stage, batch: number): Kernel[] {
  const [rows, c] = [batch * height * width, channels / 2];
  const [activation, vector, statistics] = [[rows, c], [c], [2, c]];
  const shape = `${height}x${width}x${c}`;
  return [
    {
      name: "batch norm statistics",
      shape,
      operation: "batch_norm_statistics",
      fields: { rows, channels: c, eps: 1e-5, momentum: 0.1 },
      inputs: { x: activation, weight: vector, bias: vector },
      outputs: { statistics, scale: vector, shift: vector },
    },
    {
      name: "batch norm backward",
      shape,
      operation: "batch_norm_backward",
      fields: { rows, channels: c, training: true, relu: true, accumulate_dx: false },
      inputs: { x: activation, statistics, scale: vector, shift: vector, dy: activation },
      outputs: { dx: activation, dweight: vector, dbias: vector },
    },
  ];
}

// ---- matrix products of both ---------------------------------------------------------------------------------

function products({ height, width, channels, states, rank }: Stage, batch: number): Kernel[] {
  const [pixels, c] = [`${height}x${width}`, channels / 2];
  const products: [name: string, inputs: number, outputs: number][] = [
    ["in_proj", c, 2 * channels],
    ["x_proj", channels, 4 * (rank + 2 * states)],
    ["out_proj", channels, c],
    ["conv1x1", c, c],
  ];
  const rows = batch * height * width;
  return products.flatMap(([name, inputs, outputs]) =>
    linear(name, `${pixels} ${inputs}>${outputs}`, rows, inputs, outputs),
  );
}

/** y = x weight^T and its two gradients, as the block calls them. */
function linear(name: string, shape: string, rows: number, inputs: number, outputs: number): Kernel[] {
  const [x, y, weight] = [
    [rows, inputs],
    [rows, outputs],
    [outputs, inputs],
  ] as const;
  const product = (
    way: string,
    [m, n, k]: readonly [number, number, number],
    transposed: { a?: boolean; b?: boolean },
    [a, b, result]: readonly [readonly number[], readonly number[], readonly number[]],
  ): Kernel => ({
    name: `${name} ${way}`,
    shape,
    operation: "matmul",
    fields: {
      ...{ batch: 1, m, n, k, accumulate: false, relu: false },
      ...{ transpose_a: transposed.a ?? false, transpose_b: transposed.b ?? false },
      ...{ a_batch: 0, b_batch: 0, c_batch: 0 },
    },
    inputs: { a, b },
    outputs: { c: result },
    multiplyAdds: m * n * k,
  });
  return [
    product("forward", [rows, outputs, inputs], { b: true }, [x, weight, y]),
    product("backward data", [rows, inputs, outputs], {}, [y, weight, x]),
    product("backward weight", [outputs, inputs, rows], { a: true }, [y, x, weight]),
  ];
}
