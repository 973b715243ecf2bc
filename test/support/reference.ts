/** What each operation computes, naively and in double: the formulas of its documentation, written as loops. */
import { at, generate, map, padded, rowsOf, sizeOf, tabulate, type Values } from "./values.js";

// ---- elementwise ---------------------------------------------------------------------------------------------

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
export const silu = (x: number): number => x * sigmoid(x);
export const softplus = (x: number): number => Math.log1p(Math.exp(x));
export const gelu = (x: number): number => (x * (1 + errorFunction(x / Math.SQRT2))) / 2;

/** erf(x) = 2 / sqrt(pi) exp(-x^2) sum over n of 2^n x^(2n+1) / (2n+1)!!, whose terms do not cancel. */
export function errorFunction(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 200; n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** f(a, b) with NumPy's broadcasting. */
export function broadcast(a: Values, b: Values, f: (a: number, b: number) => number): Values {
  const axes = Math.max(a.shape.length, b.shape.length);
  const extent = (x: Values, axis: number) => x.shape[axis - axes + x.shape.length] ?? 1;
  const shape = Array.from({ length: axes }, (_, axis) => Math.max(extent(a, axis), extent(b, axis)));
  const element = (x: Values, index: readonly number[]) => {
    const own = index.slice(axes - x.shape.length);
    return at(x, ...own.map((i, axis) => (x.shape[axis] === 1 ? 0 : i)));
  };
  return tabulate(shape, (index) => f(element(a, index), element(b, index)));
}

// ---- shapes and sums -----------------------------------------------------------------------------------------

export function permute(x: Values, axes: readonly number[]): Values {
  const shape = axes.map((axis) => x.shape[axis]!);
  return tabulate(shape, (index) => {
    const source = new Array<number>(axes.length);
    for (const [to, from] of axes.entries()) source[from] = index[to]!;
    return at(x, ...source);
  });
}

export function slice(x: Values, axis: number, start: number, end: number): Values {
  const shape = x.shape.map((extent, i) => (i === axis ? end - start : extent));
  return tabulate(shape, (index) => at(x, ...index.map((i, along) => (along === axis ? i + start : i))));
}

export function concat(parts: readonly Values[], axis: number): Values {
  const [first] = parts;
  const total = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
  const shape = first!.shape.map((extent, i) => (i === axis ? total : extent));
  return tabulate(shape, (index) => {
    let [part, position] = [0, index[axis]!];
    while (position >= parts[part]!.shape[axis]!) {
      position -= parts[part]!.shape[axis]!;
      part += 1;
    }
    return at(parts[part]!, ...index.map((i, along) => (along === axis ? position : i)));
  });
}

/** Sum over `axes`, which are dropped. */
export function sumOver(x: Values, axes: readonly number[]): Values {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const shape = kept.map((axis) => x.shape[axis]!);
  const y = generate(shape, () => 0);
  tabulate(x.shape, (index) => {
    const position = kept.reduce((sum, axis) => sum * x.shape[axis]! + index[axis]!, 0);
    y.data[position]! += at(x, ...index);
    return 0;
  });
  return y;
}

export function meanOver(x: Values, axes: readonly number[]): Values {
  const count = sizeOf(axes.map((axis) => x.shape[axis]!));
  return map(sumOver(x, axes), (sum) => sum / count);
}

// ---- products and convolutions -------------------------------------------------------------------------------

/** (..., m, k) times (..., k, n), or times (k, n) for all. */
export function matmul(a: Values, b: Values): Values {
  const [m = 0, k = 0] = a.shape.slice(-2);
  const n = b.shape.at(-1)!;
  const shape = [...a.shape.slice(0, -1), n];
  return generate(shape, (index) => {
    const [matrix, row, column] = [Math.floor(index / (m * n)), Math.floor(index / n) % m, index % n];
    const [aStart, bStart] = [(matrix * m + row) * k, b.shape.length > 2 ? matrix * k * n : 0];
    let sum = 0;
    for (let i = 0; i < k; i += 1) sum += a.data[aStart + i]! * b.data[bStart + i * n + column]!;
    return sum;
  });
}

/** x weight^T + bias over the last axis. */
export function linear(x: Values, weight: Values, bias?: Values): Values {
  const [outputs = 0, inputs = 0] = weight.shape;
  return generate([...x.shape.slice(0, -1), outputs], (index) => {
    const [row, output] = [Math.floor(index / outputs), index % outputs];
    let sum = bias?.data[output] ?? 0;
    for (let i = 0; i < inputs; i += 1) sum += x.data[row * inputs + i]! * weight.data[output * inputs + i]!;
    return sum;
  });
}

/** Any square kernel, stride and zero padding; channels-last images and PyTorch's weights. */
export function conv2d(x: Values, weight: Values, bias?: Values, { stride = 1, padding = 0 } = {}): Values {
  const [batch = 0, height = 0, width = 0, inputs = 0] = x.shape;
  const [outputs = 0, , kernel = 0] = weight.shape;
  const extent = (side: number) => Math.floor((side + 2 * padding - kernel) / stride) + 1;
  return tabulate([batch, extent(height), extent(width), outputs], ([image, row, column, output]) => {
    let sum = bias?.data[output!] ?? 0;
    for (let i = 0; i < kernel; i += 1) {
      for (let j = 0; j < kernel; j += 1) {
        const [from, along] = [row! * stride + i - padding, column! * stride + j - padding];
        for (let channel = 0; channel < inputs; channel += 1) {
          sum += padded(x, image!, from, along, channel) * at(weight, output!, channel, i, j);
        }
      }
    }
    return sum;
  });
}

export function depthwise3x3(x: Values, weight: Values, bias?: Values): Values {
  return tabulate(x.shape, ([image, row, column, channel]) => {
    let sum = bias?.data[channel!] ?? 0;
    for (let i = 0; i < 3; i += 1) {
      for (let j = 0; j < 3; j += 1) {
        sum += padded(x, image!, row! + i - 1, column! + j - 1, channel!) * at(weight, channel!, 0, i, j);
      }
    }
    return sum;
  });
}

// ---- normalisation -------------------------------------------------------------------------------------------

export function layerNorm(x: Values, weight: Values, bias: Values, gate?: Values, eps = 1e-5): Values {
  const { rows, channels } = rowsOf(x);
  const y = generate(x.shape, () => 0);
  for (let row = 0; row < rows; row += 1) {
    const values = x.data.subarray(row * channels, (row + 1) * channels);
    const mean = values.reduce((sum, value) => sum + value, 0) / channels;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / channels;
    for (let c = 0; c < channels; c += 1) {
      const normal = ((values[c]! - mean) / Math.sqrt(variance + eps)) * weight.data[c]! + bias.data[c]!;
      y.data[row * channels + c] = normal * (gate ? silu(gate.data[row * channels + c]!) : 1);
    }
  }
  return y;
}

/** Mean and biased variance of each channel. */
export function channelStatistics(x: Values): { mean: Values; variance: Values } {
  const { rows, channels } = rowsOf(x);
  const column = (c: number) => Array.from({ length: rows }, (_, row) => x.data[row * channels + c]!);
  const mean = generate([channels], (c) => column(c).reduce((sum, value) => sum + value, 0) / rows);
  const squares = (c: number) => column(c).reduce((sum, value) => sum + (value - mean.data[c]!) ** 2, 0);
  return { mean, variance: generate([channels], (c) => squares(c) / rows) };
}

/** Normalises each channel by the given statistics. */
export function batchNorm(
  x: Values,
  weight: Values,
  bias: Values,
  { mean, variance }: { mean: Values; variance: Values },
  eps = 1e-5,
): Values {
  const { channels } = rowsOf(x);
  return map(x, (value, index) => {
    const c = index % channels;
    const normal = (value - mean.data[c]!) / Math.sqrt(variance.data[c]! + eps);
    return normal * weight.data[c]! + bias.data[c]!;
  });
}

// ---- heads and losses ----------------------------------------------------------------------------------------

export function logSoftmax(x: Values): Values {
  const { channels } = rowsOf(x);
  return map(x, (value, index) => {
    const start = index - (index % channels);
    const row = x.data.subarray(start, start + channels);
    const most = Math.max(...row);
    return value - most - Math.log(row.reduce((sum, other) => sum + Math.exp(other - most), 0));
  });
}

export function softmax(x: Values): Values {
  return map(logSoftmax(x), Math.exp);
}

const scalar = (value: number): Values => generate([], () => value);

export function crossEntropy(
  logits: Values,
  labels: readonly number[],
  { smoothing = 0, weights }: { smoothing?: number; weights?: Values | undefined } = {},
): Values {
  const { channels: classes } = rowsOf(logits);
  const weight = (label: number) => weights?.data[label] ?? 1;
  const loss = map(logSoftmax(logits), (value) => -value);
  let [sum, total] = [0, 0];
  for (const [row, label] of labels.entries()) {
    sum += (1 - smoothing) * weight(label) * at(loss, row, label);
    for (let c = 0; c < classes; c += 1) sum += (smoothing / classes) * weight(c) * at(loss, row, c);
    total += weight(label);
  }
  return scalar(sum / total);
}

export function focalLoss(
  logits: Values,
  labels: readonly number[],
  { gamma = 2, weights }: { gamma?: number; weights?: Values | undefined } = {},
): Values {
  const logs = logSoftmax(logits);
  const losses = labels.map((label, row) => {
    const log = at(logs, row, label);
    return -(weights?.data[label] ?? 1) * (1 - Math.exp(log)) ** gamma * log;
  });
  return scalar(losses.reduce((sum, loss) => sum + loss, 0) / labels.length);
}

export function binaryCrossEntropy(logits: Values, targets: Values, positiveWeight = 1): Values {
  const losses = map(logits, (x, i) => {
    const t = targets.data[i]!;
    return positiveWeight * t * softplus(-x) + (1 - t) * softplus(x);
  });
  return scalar(losses.data.reduce((sum, loss) => sum + loss, 0) / losses.data.length);
}

export function mse(x: Values, target: Values): Values {
  const squares = map(x, (value, i) => (value - target.data[i]!) ** 2);
  return scalar(squares.data.reduce((sum, square) => sum + square, 0) / x.data.length);
}
