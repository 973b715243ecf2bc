/** How far apart the pixels of a frame are. */
import type { Attributes, Keyword } from "./attributes.js";

const places: readonly Keyword[] = ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"];
const possible = (value: number | undefined): value is number =>
  value !== undefined && value > 0 && value < 1e6;

/**
 * Millimetres between the rows and between the columns of a frame, in the patient where that is known and at the detector
 * otherwise; undefined where neither is told. Where only the shape of a pixel is told, what is given has that shape.
 */
export function pixelSpacing(
  attributes: Attributes,
  frame: number,
): { readonly rows: number; readonly columns: number } | undefined {
  for (const group of attributes.ofFrame("PixelMeasuresSequence", frame)) {
    for (const keyword of places) {
      const [rows, columns] = group.numbers(keyword);
      if (possible(rows) && possible(columns)) return { rows, columns };
    }
  }
  const [vertical, horizontal] = attributes.numbers("PixelAspectRatio");
  if (possible(vertical) && possible(horizontal)) return { rows: vertical, columns: horizontal };
  return undefined;
}
