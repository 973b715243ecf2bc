/**
 * Greys as they are seen, in the standard's order: the values of the modality, padding left out, a window or a table of
 * values of interest, inversion, 8 or 16 bits.
 *
 * All of that is a function of the stored value. Where stored values are integers it is worked out once for each of those
 * between the lowest and the highest there is, and a picture is a look-up for each pixel.
 */
import type { StoredPixels } from "./codecs/codec.js";
import type { GreyTransformation, Window } from "./grey-transformation.js";
import type { LookupTable } from "./lookup-table.js";

type Values = StoredPixels["values"];
type Output = Uint8Array | Uint16Array;

/** Parts of the pixels below black and above white with "percentile". */
const tail = 0.005;
const longestTable = 2 ** 17; // entries; values further apart are treated one by one

/** (rows, columns), 0 is black. What is padding is black, whatever the rest is. */
export function renderGrey(values: Values, transformation: GreyTransformation, bitDepth: 8 | 16): Output {
  const most = 2 ** bitDepth - 1;
  const out = bitDepth === 8 ? new Uint8Array(values.length) : new Uint16Array(values.length);
  const [low, high] = finiteRange(values);
  const isInteger = !(values instanceof Float32Array || values instanceof Float64Array);
  if (!isInteger || high - low >= longestTable) {
    renderEach(values, transformation, most, out);
    return out;
  }
  const counts = new Uint32Array(high - low + 1);
  for (let i = 0; i < values.length; ++i) ++counts[(values[i] as number) - low]!;
  const stored = Float64Array.from(counts, (_, i) => low + i);
  const seen = stored.map((_, i) => Math.min(counts[i] as number, 1));
  const padding = paddingIn(stored, transformation, seen);
  for (let i = 0; i < counts.length; ++i) if (padding[i]) counts[i] = 0;
  const modality = toModality(stored, transformation);
  const table = bitDepth === 8 ? new Uint8Array(counts.length) : new Uint16Array(counts.length);
  toOutput(modality, padding, counts, transformation, most, table);
  for (let i = 0; i < values.length; ++i) out[i] = table[(values[i] as number) - low] as number;
  return out;
}

/** The same without a table, for floating-point numbers and integers far apart. */
function renderEach(values: Values, transformation: GreyTransformation, most: number, out: Output): void {
  const stored = Float64Array.from(values);
  const padding = paddingIn(stored, transformation, undefined);
  for (let i = 0; i < stored.length; ++i) if (!Number.isFinite(stored[i])) padding[i] = 1;
  const counts = new Uint32Array(stored.length);
  for (let i = 0; i < counts.length; ++i) counts[i] = padding[i] ? 0 : 1;
  toOutput(toModality(stored, transformation), padding, counts, transformation, most, out);
}

function finiteRange(values: Values): readonly [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < values.length; ++i) {
    const value = values[i] as number;
    if (value < low && value !== -Infinity) low = value;
    if (value > high && value !== Infinity) high = value;
  }
  return low <= high ? [low, high] : [0, 0];
}

/** 1 for each value that is padding; for none where all are, since then it is not the padding that is meant. */
function paddingIn(
  stored: Float64Array,
  { padding }: GreyTransformation,
  seen: Float64Array | undefined,
): Uint8Array {
  const result = new Uint8Array(stored.length);
  if (!padding) return result;
  let left = false;
  for (let i = 0; i < stored.length; ++i) {
    const value = stored[i] as number;
    if (value >= padding[0] && value <= padding[1]) result[i] = 1;
    else if (!seen || seen[i]) left = true;
  }
  return left ? result : result.fill(0);
}

function toModality(stored: Float64Array, { modality }: GreyTransformation): Float64Array {
  const result = new Float64Array(stored.length);
  if (modality.kind === "table") {
    for (let i = 0; i < stored.length; ++i) result[i] = lookUp(modality.table, stored[i] as number);
    return result;
  }
  const { slope, intercept } = modality;
  for (let i = 0; i < stored.length; ++i) result[i] = (stored[i] as number) * slope + intercept;
  return result;
}

function lookUp({ first, entries }: LookupTable, value: number): number {
  const index = Math.floor(value) - first;
  const last = entries.length - 1;
  return entries[index < 0 ? 0 : index > last ? last : index] as number;
}

/** Greys of the modality's values, each of which stands for as many pixels as `counts` says. */
function toOutput(
  modality: Float64Array,
  padding: Uint8Array,
  counts: Uint32Array,
  { view, inverted }: GreyTransformation,
  most: number,
  out: Output,
): void {
  const grey = new Float64Array(modality.length); // from 0 to 1
  if (view.kind === "table") {
    const scale = 1 / (2 ** view.table.bits - 1);
    for (let i = 0; i < grey.length; ++i) grey[i] = lookUp(view.table, modality[i] as number) * scale;
  } else if (view.kind === "window") {
    applyWindow(modality, view.window, grey);
  } else {
    const [black, white] =
      view.kind === "percentile" ? percentiles(modality, counts) : range(modality, counts);
    const scale = white > black ? 1 / (white - black) : 0;
    for (let i = 0; i < grey.length; ++i) grey[i] = ((modality[i] as number) - black) * scale;
  }
  for (let i = 0; i < grey.length; ++i) {
    const value = grey[i] as number;
    const bounded = value > 1 ? 1 : value > 0 ? value : 0;
    out[i] = padding[i] ? 0 : (inverted ? 1 - bounded : bounded) * most + 0.5;
  }
}

/** PS3.3, C.11.2.1.2 and C.11.2.1.3, with results from 0 to 1 before they are bounded. */
function applyWindow(modality: Float64Array, window: Window, grey: Float64Array): void {
  const { center, width } = window;
  if (window.function === "SIGMOID") {
    for (let i = 0; i < grey.length; ++i)
      grey[i] = 1 / (1 + Math.exp((-4 * ((modality[i] as number) - center)) / width));
    return;
  }
  // LINEAR counts pixels' values, of which the first and the last in the window are black and white.
  const half = window.function === "LINEAR" ? 0.5 : 0;
  const span = width - 2 * half;
  const black = center - half - span / 2;
  for (let i = 0; i < grey.length; ++i) {
    const above = (modality[i] as number) - black;
    grey[i] = span > 0 ? above / span : above > 0 ? 1 : 0;
  }
}

function range(modality: Float64Array, counts: Uint32Array): readonly [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < modality.length; ++i) {
    if (counts[i] === 0) continue;
    const value = modality[i] as number;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** The values below and above which the tails lie. */
function percentiles(modality: Float64Array, counts: Uint32Array): readonly [number, number] {
  const order = Uint32Array.from(modality.keys()).filter((i) => counts[i] !== 0);
  if (order.length === 0) return [0, 0];
  order.sort((a, b) => (modality[a] as number) - (modality[b] as number));
  const total = order.reduce((sum, i) => sum + (counts[i] as number), 0);
  // numpy's percentile: a position among the sorted pixels, and a line between the two that it lies between.
  const at = (part: number): number => {
    const position = part * (total - 1);
    let passed = 0;
    for (const [n, i] of order.entries()) {
      passed += counts[i] as number;
      if (position >= passed) continue;
      const value = modality[i] as number;
      const next = modality[order[n + 1] ?? i] as number;
      return position > passed - 1 ? value + (next - value) * (position - (passed - 1)) : value;
    }
    return modality[order.at(-1) as number] as number;
  };
  return [at(tail), at(1 - tail)];
}
