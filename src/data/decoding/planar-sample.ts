/** From pixels as files and arrays hold them, channel beside channel, to the planes that a network takes. */
import { typedArrayKind } from "../../settings/realms.js";
import type { Sample } from "../dataset.js";

/**
 * Interleaved (height, width, channels) to a planar sample. Grey is repeated where three channels are asked, 16 bits
 * become 0..1.
 */
export function planarSample(
  pixels: Uint8Array | Uint16Array | Float32Array,
  { height, width, channels }: { height: number; width: number; channels: number },
  wanted: number,
): Sample {
  const area = height * width;
  const kind = typedArrayKind(pixels);
  const data = kind === "Uint8Array" ? new Uint8Array(wanted * area) : new Float32Array(wanted * area);
  const unit = kind === "Uint16Array" ? 1 / 65535 : 1;
  for (let channel = 0; channel < Math.min(channels, wanted); ++channel) {
    const plane = data.subarray(channel * area, (channel + 1) * area);
    if (channels === 1 && unit === 1) plane.set(pixels);
    else for (let i = 0; i < area; ++i) plane[i] = (pixels[i * channels + channel] ?? 0) * unit;
  }
  for (let channel = channels; channel < wanted; ++channel) data.copyWithin(channel * area, 0, area);
  return { channels: wanted, height, width, data };
}
