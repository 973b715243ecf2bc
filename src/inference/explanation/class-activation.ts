/**
 * Where in an image the evidence for a class lies, from the features A of a stage and the gradient G = dy/dA of the class's
 * logit y: pure numbers, one value for each place of the features.
 *
 *   Grad-CAM   relu( sum over channels of A . mean of G over all places )   https://arxiv.org/abs/1610.02391
 *   HiResCAM   relu( sum over channels of A . G )                           https://arxiv.org/abs/2011.08891
 *
 * Grad-CAM asks which channels speak for the class and shows where they are strong, also where the class did not look;
 * HiResCAM multiplies place by place and shows only what the logit was made of. After the last stage of MedMamba, whose
 * features are averaged over all places before they are weighed, G is the same everywhere and the two are one.
 */
import { ArgumentError } from "../../errors.js";
import { expectCounts, expectNamed, expectTypedArray } from "../../settings/given.js";

/** Values over places, row by row. */
export interface HeatMap {
  /** Places from top to bottom. */
  readonly height: number;
  /** Places from left to right. */
  readonly width: number;
  /** (height, width), 0 where nothing speaks for the class. */
  readonly data: Float32Array;
}

/** @throws ArgumentError unless there are values for all places */
export function expectMap(operation: string, map: HeatMap): void {
  const { height, width, data } = expectNamed(operation, "the map", map, {
    height: true,
    width: true,
    data: true,
  });
  expectCounts(operation, { height, width }, 1);
  expectTypedArray(operation, "the values of the map", data);
  if (data.length !== height * width)
    throw new ArgumentError(`${operation}: a map of ${height} x ${width} has ${data.length} values.`);
}

/** Features or their gradient: (height, width, channels). */
export interface StageFeatures {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Float32Array;
}

/** Channels weighed by their mean gradient. */
export function gradCam(features: StageFeatures, gradient: Float32Array): HeatMap {
  const { height, width, channels, data } = features;
  const places = height * width;
  const weights = new Float64Array(channels);
  for (let i = 0; i < gradient.length; ++i) weights[i % channels]! += (gradient[i] as number) / places;
  return positivePart(features, (place, channel) => data[place * channels + channel]! * weights[channel]!);
}

/** Channels weighed by their gradient at each place. */
export function hiResCam(features: StageFeatures, gradient: Float32Array): HeatMap {
  const { channels, data } = features;
  return positivePart(features, (place, channel) => {
    const at = place * channels + channel;
    return data[at]! * gradient[at]!;
  });
}

function positivePart(
  { height, width, channels }: StageFeatures,
  term: (place: number, channel: number) => number,
): HeatMap {
  const data = Float32Array.from({ length: height * width }, (_, place) => {
    let sum = 0;
    for (let channel = 0; channel < channels; ++channel) sum += term(place, channel);
    return Math.max(0, sum);
  });
  return { height, width, data };
}

/** The place of the largest value, the first one of several. */
export function peakOf({ width, data }: HeatMap): { row: number; column: number; value: number } {
  let best = 0;
  for (let place = 1; place < data.length; ++place) if (data[place]! > data[best]!) best = place;
  return { row: Math.floor(best / width), column: best % width, value: data[best] ?? 0 };
}
