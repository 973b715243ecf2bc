/** The selective scan, SS2D and the SS-Conv-SSM block, naively and in double. */
import {
  batchNorm,
  channelStatistics,
  conv2d,
  depthwise3x3,
  layerNorm,
  linear,
  silu,
  slice,
  softplus,
} from "./reference.js";
import { at, generate, map, type NamedValues, type Values } from "./values.js";

export interface ScanValues {
  u: Values;
  delta: Values;
  A: Values;
  /** (batch, groups, states, length) */
  B: Values;
  C: Values;
  D?: Values | undefined;
  z?: Values | undefined;
  deltaBias?: Values | undefined;
}

/** mamba_ssm's selective_scan_fn, and the state after the last step. */
export function selectiveScan(x: ScanValues, deltaSoftplus: boolean): { y: Values; lastState: Values } {
  const [batch = 0, channels = 0, length = 0] = x.u.shape;
  const [, groups = 1, states = 0] = x.B.shape;
  const y = generate(x.u.shape, () => 0);
  const lastState = generate([batch, channels, states], () => 0);
  for (let b = 0; b < batch; b += 1) {
    for (let d = 0; d < channels; d += 1) {
      const group = Math.floor(d / (channels / groups));
      const start = (b * channels + d) * length;
      const h = new Float64Array(states);
      for (let t = 0; t < length; t += 1) {
        const biased = x.delta.data[start + t]! + (x.deltaBias?.data[d] ?? 0);
        const delta = deltaSoftplus ? softplus(biased) : biased;
        const u = x.u.data[start + t]!;
        let sum = (x.D?.data[d] ?? 0) * u;
        for (let n = 0; n < states; n += 1) {
          const step = ((b * groups + group) * states + n) * length + t;
          h[n] = Math.exp(delta * x.A.data[d * states + n]!) * h[n]! + delta * x.B.data[step]! * u;
          sum += x.C.data[step]! * h[n]!;
        }
        y.data[start + t] = sum * (x.z ? silu(x.z.data[start + t]!) : 1);
      }
      lastState.data.set(h, (b * channels + d) * states);
    }
  }
  return { y, lastState };
}

/** The pixel that a direction visits at step t: rows, columns, and both reversed. */
function pixelOf(direction: number, t: number, height: number, width: number): number {
  const step = direction < 2 ? t : height * width - 1 - t;
  return direction % 2 === 0 ? step : (step % height) * width + Math.floor(step / height);
}

/** SS2D of images (batch, height, width, c), with the parameters' names of `Ss2dParameters`. */
export function ss2d(x: Values, p: NamedValues): Values {
  const [batch = 0, height = 0, width = 0] = x.shape;
  const inner = p.conv2dBias!.shape[0]!;
  const [states, rank, pixels] = [p.aLogs!.shape[1]!, p.dtProjsWeight!.shape[2]!, height * width];
  const projected = linear(x, p.inProjWeight!);
  const u = map(depthwise3x3(slice(projected, 3, 0, inner), p.conv2dWeight!, p.conv2dBias!), silu);
  const z = slice(projected, 3, inner, 2 * inner);
  const sum = generate(u.shape, () => 0);
  for (let k = 0; k < 4; k += 1) {
    const columns = rank + 2 * states;
    const own = { shape: [columns, inner], data: p.xProjWeight!.data.subarray(k * columns * inner) };
    const dtBC = linear(u, own); // (batch, height, width, rank + 2 states)
    for (let b = 0; b < batch; b += 1) {
      for (let d = 0; d < inner; d += 1) {
        const h = new Float64Array(states);
        for (let t = 0; t < pixels; t += 1) {
          const pixel = b * pixels + pixelOf(k, t, height, width);
          let dt = at(p.dtProjsBias!, k, d);
          for (let r = 0; r < rank; r += 1)
            dt += at(p.dtProjsWeight!, k, d, r) * dtBC.data[pixel * columns + r]!;
          const delta = softplus(dt);
          const input = u.data[pixel * inner + d]!;
          let y = p.ds!.data[k * inner + d]! * input;
          for (let n = 0; n < states; n += 1) {
            const A = -Math.exp(at(p.aLogs!, k * inner + d, n));
            const B = dtBC.data[pixel * columns + rank + n]!;
            h[n] = Math.exp(delta * A) * h[n]! + delta * B * input;
            y += dtBC.data[pixel * columns + rank + states + n]! * h[n]!;
          }
          sum.data[pixel * inner + d]! += y;
        }
      }
    }
  }
  return linear(layerNorm(sum, p.outNormWeight!, p.outNormBias!, z), p.outProjWeight!);
}

export interface BlockSettings {
  training: boolean;
  /** (batch) */
  pathScale?: Values | undefined;
  /** Running statistics of the three batch normalisations, used in evaluation. */
  running: readonly { mean: Values; variance: Values }[];
}

/** The SS-Conv-SSM block of images (batch, height, width, 2c); parameters of the branch, SS2D and LayerNorm in one. */
export function ssConvSsm(
  x: Values,
  p: NamedValues,
  { training, pathScale, running }: BlockSettings,
): Values {
  const [, height = 0, width = 0, channels = 0] = x.shape;
  const c = channels / 2;
  const relu = (y: Values) => map(y, (value) => Math.max(value, 0));
  const norm = (y: Values, i: 1 | 2 | 3) => {
    const statistics = training ? channelStatistics(y) : running[i - 1]!;
    return batchNorm(y, p[`norm${i}Weight`]!, p[`norm${i}Bias`]!, statistics);
  };
  let left = norm(slice(x, 3, 0, c), 1);
  left = relu(norm(conv2d(left, p.conv1Weight!, p.conv1Bias, { padding: 1 }), 2));
  left = relu(norm(conv2d(left, p.conv2Weight!, p.conv2Bias, { padding: 1 }), 3));
  left = relu(conv2d(left, p.conv3Weight!, p.conv3Bias));
  const right = ss2d(layerNorm(slice(x, 3, c, channels), p.ln1Weight!, p.ln1Bias!), p);
  return map(x, (value, index) => {
    const [row, channel] = [Math.floor(index / channels), index % channels];
    const half = row * c + Math.floor(channel / 2);
    if (channel % 2 === 0) return left.data[half]! + value;
    return right.data[half]! * (pathScale?.data[Math.floor(row / (height * width))] ?? 1) + value;
  });
}
