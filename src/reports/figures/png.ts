/**
 * Figures as PNG, for slides and documents that take no SVG. They are drawn by sharp (librsvg) with the fonts of the machine; a
 * machine without any would leave the lettering out or draw boxes, so that is found out first.
 */
import { element, escapeMarkup, fontFamily } from "./svg.js";

/** Pixels of a PNG for one of the figure: enough for print at the size it has on the page. */
const scale = 2;

/** @param svg  of this package's figures */
export async function figurePng(svg: string): Promise<Uint8Array> {
  const { default: sharp } = await import("sharp"); // as decoding does, only where a picture is made
  return sharp(Buffer.from(svg), { density: 72 * scale })
    .png({ palette: true })
    .toBuffer();
}

let lettering: Promise<boolean> | undefined;

/** Whether this machine has fonts to draw figures with: whether two letters look different. */
export function hasLettering(): Promise<boolean> {
  lettering ??= (async () => {
    const [wide, narrow] = await Promise.all(["W", "."].map(letterPixels));
    return wide !== undefined && narrow !== undefined && !Buffer.from(wide).equals(narrow);
  })();
  return lettering;
}

async function letterPixels(letter: string): Promise<Uint8Array> {
  const { default: sharp } = await import("sharp");
  const svg = element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      width: 40,
      height: 40,
      "font-family": fontFamily,
      "font-size": 30,
    },
    element("text", { x: 4, y: 32 }, escapeMarkup(letter)),
  );
  return sharp(Buffer.from(svg)).flatten({ background: "#ffffff" }).raw().toBuffer();
}
