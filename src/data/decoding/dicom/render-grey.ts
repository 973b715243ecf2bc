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
  const padding = paddingIn(stored, transformation, counts);
  const table = bitDepth === 8 ? new Uint8Array(counts.length) : new Uint16Array(counts.length);
  toOutput(stored, { padding, counts, transformation, most, out: table });
  for (let i = 0; i < values.length; ++i) out[i] = table[(values[i] as number) - low] as number;
  return out;
}

/** The same without a table, for floating-point numbers and integers far apart. */
function renderEach(values: Values, transformation: GreyTransformation, most: number, out: Output): void {
  const stored = Float64Array.from(values);
  const padding = paddingIn(stored, transformation, undefined);
  for (let i = 0; i < stored.length; ++i) if (!Number.isFinite(stored[i])) padding[i] = 1;
  toOutput(stored, { padding, counts: undefined, transformation, most, out });
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
  counts: Uint32Array | undefined,
): Uint8Array {
  const result = new Uint8Array(stored.length);
  if (!padding) return result;
  let left = false;
  for (let i = 0; i < stored.length; ++i) {
    const value = stored[i] as number;
    if (value >= padding[0] && value <= padding[1]) result[i] = 1;
    else if (counts?.[i] !== 0) left = true;
  }
  return left ? result : result.fill(0);
}

/** Stored values become those of the modality, in place. */
function toModality(values: Float64Array, { modality }: GreyTransformation): void {
  if (modality.kind === "table") {
    for (let i = 0; i < values.length; ++i) values[i] = lookUp(modality.table, values[i] as number);
    return;
  }
  const { slope, intercept } = modality;
  for (let i = 0; i < values.length; ++i) values[i] = (values[i] as number) * slope + intercept;
}

function lookUp({ first, entries }: LookupTable, value: number): number {
  const index = Math.floor(value) - first;
  const last = entries.length - 1;
  return entries[index < 0 ? 0 : index > last ? last : index] as number;
}

/** What goes with each of some values. */
interface Rendering {
  /** Whether it is none of the picture. */
  readonly padding: Uint8Array;
  /** How many pixels have it; one each where undefined. */
  readonly counts: Uint32Array | undefined;
  readonly transformation: GreyTransformation;
  /** What white is. */
  readonly most: number;
  readonly out: Output;
}

/** Greys of stored values, which are worked on in place: a picture of floating-point numbers is large enough once. */
function toOutput(values: Float64Array, rendering: Rendering): void {
  const { padding, transformation, most, out } = rendering;
  const { view, inverted } = transformation;
  toModality(values, transformation);
  if (view.kind === "table") {
    const scale = 1 / (2 ** view.table.bits - 1);
    for (let i = 0; i < values.length; ++i) values[i] = lookUp(view.table, values[i] as number) * scale;
  } else if (view.kind === "window") {
    applyWindow(values, view.window);
  } else {
    const [black, white] =
      view.kind === "percentile" ? percentiles(values, rendering) : range(values, rendering);
    const scale = white > black ? 1 / (white - black) : 0;
    for (let i = 0; i < values.length; ++i) values[i] = ((values[i] as number) - black) * scale;
  }
  for (let i = 0; i < values.length; ++i) {
    const value = values[i] as number;
    const bounded = value > 1 ? 1 : value > 0 ? value : 0;
    out[i] = padding[i] ? 0 : (inverted ? 1 - bounded : bounded) * most + 0.5;
  }
}

/** PS3.3, C.11.2.1.2 and C.11.2.1.3, in place, to results from 0 to 1 before they are bounded. */
function applyWindow(values: Float64Array, { center, width, function: kind }: Window): void {
  if (kind === "SIGMOID") {
    for (let i = 0; i < values.length; ++i)
      values[i] = 1 / (1 + Math.exp((-4 * ((values[i] as number) - center)) / width));
    return;
  }
  // LINEAR counts pixels' values, of which the first and the last in the window are black and white.
  const half = kind === "LINEAR" ? 0.5 : 0;
  const span = width - 2 * half;
  const black = center - half - span / 2;
  for (let i = 0; i < values.length; ++i) {
    const above = (values[i] as number) - black;
    values[i] = span > 0 ? above / span : above > 0 ? 1 : 0;
  }
}

/** Pixels that have the i-th value and are no padding. */
const pixelsOf = ({ padding, counts }: Rendering, i: number): number =>
  padding[i] ? 0 : counts ? (counts[i] as number) : 1;

function range(values: Float64Array, rendering: Rendering): readonly [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < values.length; ++i) {
    if (pixelsOf(rendering, i) === 0) continue;
    const value = values[i] as number;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/**
 * The values below and above which the tails lie, as numpy's percentile has them: a position among the sorted pixels, and a
 * line between the two that it lies between.
 */
function percentiles(values: Float64Array, rendering: Rendering): readonly [number, number] {
  const nth = rendering.counts ? sortedByCounts(values, rendering) : sortedPixels(values, rendering);
  const at = (part: number): number => {
    const position = part * (nth.length - 1);
    const below = nth.value(Math.floor(position));
    return below + (nth.value(Math.ceil(position)) - below) * (position % 1);
  };
  return nth.length === 0 ? [0, 0] : [at(tail), at(1 - tail)];
}

/** Pixels in the order of their values: how many there are, and what the n-th is. */
interface Sorted {
  readonly length: number;
  value(n: number): number;
}

function sortedPixels(values: Float64Array, { padding }: Rendering): Sorted {
  const sorted = values.filter((_, i) => padding[i] === 0).sort();
  return { length: sorted.length, value: (n) => sorted[n] as number };
}

function sortedByCounts(values: Float64Array, rendering: Rendering): Sorted {
  const order = Uint32Array.from(values.keys()).filter((i) => pixelsOf(rendering, i) > 0);
  order.sort((a, b) => (values[a] as number) - (values[b] as number));
  return {
    length: order.reduce((sum, i) => sum + pixelsOf(rendering, i), 0),
    value(n) {
      let passed = 0;
      const found = order.find((i) => {
        passed += pixelsOf(rendering, i);
        return passed > n;
      });
      return values[found as number] as number;
    },
  };
}
