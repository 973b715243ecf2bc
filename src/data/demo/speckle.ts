/**
 * Ultrasound-like pictures from a map of tissue: how an echo becomes an image, in a screenful.
 *
 * A scanner sees many tiny scatterers in each resolution cell, whose echoes add up with random phases: that is what
 * speckle is. So each pixel gets a complex Gaussian number of the tissue's strength, the field is blurred by the pulse
 * (short in depth, wider across), and the picture is the magnitude on a logarithmic scale.
 */
import type { RandomStream } from "../../tensor/random.js";

/** Echo strength in decibels, (size, size), row 0 next to the probe. */
export type TissueMap = Float64Array;

export interface Scanner {
  /** Standard deviation of the pulse in depth and across, in pixels. */
  readonly pulse: { readonly depth: number; readonly across: number };
  /** Decibels that black to white spans, and the level that is white. */
  readonly dynamicRange: number;
  readonly white: number;
}

/** Eight-bit grey picture, (size, size). */
export function scan(tissue: TissueMap, size: number, scanner: Scanner, random: RandomStream): Uint8Array {
  const real = new Float64Array(size * size);
  const imaginary = new Float64Array(size * size);
  for (let i = 0; i < tissue.length; ++i) {
    const strength = 10 ** ((tissue[i] ?? 0) / 20);
    // Box-Muller gives the two parts of a complex Gaussian at once.
    const radius = strength * Math.sqrt(-2 * Math.log(1 - random.uniform()));
    const phase = 2 * Math.PI * random.uniform();
    real[i] = radius * Math.cos(phase);
    imaginary[i] = radius * Math.sin(phase);
  }
  for (const field of [real, imaginary]) {
    blur(field, size, scanner.pulse.depth, size, 1);
    blur(field, size, scanner.pulse.across, 1, size);
  }
  return Uint8Array.from(real, (value, i) => {
    const decibels = 20 * Math.log10(Math.hypot(value, imaginary[i] ?? 0) + 1e-9);
    const brightness = 1 + (decibels - scanner.white) / scanner.dynamicRange;
    return Math.round(255 * Math.min(Math.max(brightness, 0), 1));
  });
}

/** Gaussian blur along one axis, in place; energy is kept, so that speckle has the tissue's strength at any width. */
function blur(field: Float64Array, size: number, sigma: number, step: number, lineStep: number): void {
  const reach = Math.ceil(3 * sigma);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-(((k - reach) / sigma) ** 2) / 2));
  const energy = Math.sqrt(kernel.reduce((sum, weight) => sum + weight * weight, 0));
  const line = new Float64Array(size);
  for (let start = 0; start < size; ++start) {
    for (let i = 0; i < size; ++i) line[i] = field[start * lineStep + i * step] ?? 0;
    for (let i = 0; i < size; ++i) {
      let sum = 0;
      for (let k = -reach; k <= reach; ++k) {
        const at = Math.min(Math.max(i + k, 0), size - 1);
        sum += (kernel[k + reach] ?? 0) * (line[at] ?? 0);
      }
      field[start * lineStep + i * step] = sum / energy;
    }
  }
}
