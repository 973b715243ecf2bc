/** A picture with what a network made of it in colour: the plain one on the left, the same with the map over it on the right. */
import { scaleLinear } from "d3-scale";
import type { Pixels } from "../data/decoding/decoder.js";
import type { Explanation } from "../inference/explanation/explain.js";
import { mapAtPicture } from "../inference/explanation/placement.js";

/** From nothing to most: dark violet over red to pale yellow, rising in lightness, so that it reads in grey too. */
const glow = ["#000004", "#420a68", "#932667", "#dd513a", "#fca50a", "#fcffa4"];

/** Entries of the table of colours. */
const levels = 256;

/** How much of the picture shows through where the map is largest. */
const strongest = 0.7;

/** Pixels between the two pictures. */
const gap = 8;

/** RGB in 8 bits. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  /** (height, width, 3) */
  readonly data: Uint8Array;
}

/**
 * Draws an explanation.
 *
 * @returns the picture twice, at its own size, with `gap` white pixels between; colours end at the explanation's scale
 */
export function drawHeatMap(explanation: HeatMapOf): Drawing {
  const { picture } = explanation;
  const { width, height } = picture;
  const over = drawOverlay(explanation);
  const drawing = {
    width: 2 * width + gap,
    height,
    data: new Uint8Array(3 * (2 * width + gap) * height).fill(255),
  };
  for (let row = 0; row < height; ++row) {
    const left = 3 * row * drawing.width;
    for (let at = 0; at < 3 * width; ++at)
      drawing.data[left + at] = eightBits(picture, row * width + Math.floor(at / 3), at % 3);
    drawing.data.set(over.data.subarray(3 * row * width, 3 * (row + 1) * width), left + 3 * (width + gap));
  }
  return drawing;
}

/** The picture with the map over it, at its own size; colours end at the explanation's scale, so that noise does not glow. */
export function drawOverlay({ picture, map, placement, scale }: HeatMapOf): Drawing {
  const { width, height } = picture;
  const over = mapAtPicture(map, picture, placement);
  const data = new Uint8Array(3 * width * height);
  const colours = tableOfColours();
  for (let pixel = 0; pixel < width * height; ++pixel) {
    const share = Math.min(1, Math.max(0, (over[pixel] as number) / scale));
    const colour = 3 * Math.round(share * (levels - 1));
    const part = strongest * share;
    for (let channel = 0; channel < 3; ++channel)
      data[3 * pixel + channel] =
        eightBits(picture, pixel, channel) * (1 - part) + (colours[colour + channel] as number) * part;
  }
  return { width, height, data };
}

/** What is drawn of an explanation. */
export type HeatMapOf = Pick<Explanation, "picture" | "map" | "placement" | "scale">;

/** As a PNG. */
export async function heatMapPng(explanation: HeatMapOf): Promise<Uint8Array> {
  const { width, height, data } = drawHeatMap(explanation);
  const { default: sharp } = await import("sharp"); // as decoding does, only where a picture is made
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** A value of a picture in 8 bits; of grey ones each channel is the same. */
export function eightBits({ channels, bitDepth, data }: Pixels, pixel: number, channel: number): number {
  const value = data[pixel * channels + Math.min(channel, channels - 1)] as number;
  return bitDepth === 8 ? value : (value * 255) / (2 ** bitDepth - 1);
}

/** (levels, 3), from nothing to most. */
export function tableOfColours(): Uint8Array {
  const colour = scaleLinear<string>(
    glow.map((_, i) => i / (glow.length - 1)),
    glow,
  );
  const channels = (text: string) => (text.match(/\d+/g) ?? []).slice(0, 3).map(Number);
  return Uint8Array.from(Array.from({ length: levels }, (_, i) => channels(colour(i / (levels - 1)))).flat());
}
