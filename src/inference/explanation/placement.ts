/** From places of a map to pixels of the picture that it is about: what `resize` did to the picture, backwards. */
import type { Pixels } from "../../data/decoding/decoder.js";
import type { Preprocessing } from "../../data/preprocessing.js";
import type { HeatMap } from "./class-activation.js";

/** Where the whole picture lies in the square that the network sees, whose sides run from 0 to 1. */
export interface Placement {
  /** Below 0 where "cover" cuts something off. */
  readonly top: number;
  /** As `top`. */
  readonly left: number;
  /** More than 1 where "cover" cuts something off. */
  readonly height: number;
  /** As `height`. */
  readonly width: number;
}

/** Which way a picture was brought into the square. */
export function placementOf(
  { width, height, spacing }: Pick<Pixels, "width" | "height" | "spacing">,
  { resize }: Pick<Preprocessing, "resize">,
): Placement {
  if (resize === "stretch") return { top: 0, left: 0, height: 1, width: 1 };
  const [tall, wide] = [height * (spacing?.rows ?? 1), width * (spacing?.columns ?? 1)];
  const side = resize === "cover" ? Math.min(tall, wide) : Math.max(tall, wide);
  const [down, across] = [tall / side, wide / side];
  return { top: (1 - down) / 2, left: (1 - across) / 2, height: down, width: across };
}

/** The pixel of a picture that the middle of a place of a map shows, or the nearest one. */
export function pixelAt(
  { height, width }: Pick<HeatMap, "height" | "width">,
  { row, column }: { row: number; column: number },
  picture: Pick<Pixels, "width" | "height">,
  placement: Placement,
): { row: number; column: number } {
  const along = (place: number, places: number, start: number, length: number, pixels: number) =>
    Math.min(pixels - 1, Math.max(0, Math.floor((((place + 0.5) / places - start) / length) * pixels)));
  return {
    row: along(row, height, placement.top, placement.height, picture.height),
    column: along(column, width, placement.left, placement.width, picture.width),
  };
}

/**
 * A map at the size of a picture: linear between the middles of its places, and 0 for what the network did not see.
 *
 * @returns (height, width) of the picture
 */
export function mapAtPicture(
  map: HeatMap,
  picture: Pick<Pixels, "width" | "height">,
  { top, left, height, width }: Placement,
): Float32Array {
  const rows = samplesAlong(picture.height, map.height, top, height);
  const columns = samplesAlong(picture.width, map.width, left, width);
  const result = new Float32Array(picture.height * picture.width);
  for (const [r, row] of rows.entries()) {
    if (!row) continue;
    for (const [c, column] of columns.entries()) {
      if (!column) continue;
      const at = (y: number, x: number): number => map.data[y * map.width + x] as number;
      const upper =
        at(row.first, column.first) * (1 - column.part) + at(row.first, column.second) * column.part;
      const lower =
        at(row.second, column.first) * (1 - column.part) + at(row.second, column.second) * column.part;
      result[r * picture.width + c] = upper * (1 - row.part) + lower * row.part;
    }
  }
  return result;
}

/** Between which places of a map each pixel of a side lies; undefined outside the square. */
function samplesAlong(pixels: number, places: number, start: number, length: number) {
  return Array.from({ length: pixels }, (_, pixel) => {
    const inSquare = start + ((pixel + 0.5) / pixels) * length;
    if (inSquare < 0 || inSquare > 1) return undefined;
    const place = Math.min(places - 1, Math.max(0, inSquare * places - 0.5));
    const first = Math.floor(place);
    return { first, second: Math.min(first + 1, places - 1), part: place - first };
  });
}
