/** A sequential colour scale for shares from 0 to 1, and the text colour that can be read on it. */
import { scaleLinear } from "d3-scale";

/** One hue from nearly white to dark blue, even in lightness. */
const shades = ["#f7fbff", "#d6e6f4", "#abcfe6", "#6aaed6", "#3787c0", "#105ba4", "#08306b"];

export const shade = scaleLinear<string>(
  shades.map((_, index) => index / (shades.length - 1)),
  shades,
);

/** Relative luminance of a colour, 0 to 1, as WCAG 2 defines it. */
export function luminance(colour: string): number {
  const channels = colour.startsWith("#")
    ? [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16))
    : colour.match(/\d+/g)!.map(Number);
  const [red, green, blue] = channels.map((value) => {
    const fraction = value / 255;
    return fraction <= 0.04045 ? fraction / 12.92 : ((fraction + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Contrast ratio of two colours, 1 to 21, as WCAG 2 defines it. */
export function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** White or black, whichever is easier to read on the background: 4.5 or more on any, which a dark grey is not. */
export const readableOn = (background: string): string =>
  contrast("#ffffff", background) > contrast("#000000", background) ? "#ffffff" : "#000000";
