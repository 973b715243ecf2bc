/**
 * What a TIFF says of its pages, as far as libvips does not tell: signs, photometric interpretation, 64 bits. Classic TIFF and
 * BigTIFF, in both byte orders.
 *
 * @see https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
 */

/** A page's tags that are one number, and where in the file each is written. */
export interface TiffPage {
  readonly littleEndian: boolean;
  /** The number of a tag; undefined where there is none, or several. */
  get(tag: Tag): number | undefined;
  /** Writes another number in its place; nothing where there is none. */
  set(into: Uint8Array, tag: Tag, value: number): void;
}

const tags = {
  width: 256,
  height: 257,
  bits: 258,
  photometric: 262,
  orientation: 274,
  samples: 277,
  predictor: 317,
  tileWidth: 322,
  sampleFormat: 339,
} as const;

export type Tag = keyof typeof tags;

/** Pages that are looked at, and tags of all of them; more than any program writes. */
const mostPages = 2 ** 16;
const mostTags = 2 ** 20;

const known = new Set<number>(Object.values(tags));

/** Bytes of the types that hold one whole number: SHORT, LONG and BigTIFF's LONG8. */
const widths: Readonly<Record<number, 2 | 4 | 8>> = { 3: 2, 4: 4, 16: 8 };

/** Whether a file is a TIFF. */
export function isTiff(bytes: Uint8Array): boolean {
  return /^(II[*+]\0|MM\0[*+])/.test(Buffer.from(bytes.subarray(0, 4)).toString("latin1"));
}

/** The pages of a TIFF, as far as their chain can be followed; none if the file is no TIFF. */
export function tiffPages(bytes: Uint8Array): TiffPage[] {
  const pages: TiffPage[] = [];
  if (!isTiff(bytes)) return pages;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const littleEndian = bytes[0] === 0x49;
  const layout = layoutOf(view, littleEndian);
  const visited = new Set<number>();
  let read = 0;
  let next = layout.number(layout.isBig ? 8 : 4, layout.isBig ? 8 : 4);
  while (next !== undefined && next > 0 && !visited.has(next) && pages.length < mostPages) {
    visited.add(next);
    const page = readPage(layout, next);
    if (!page) break;
    read += page.tags;
    if (read > mostTags) break;
    pages.push({ littleEndian, get: page.get, set: page.set });
    next = page.next;
  }
  return pages;
}

interface Layout {
  readonly view: DataView;
  readonly littleEndian: boolean;
  readonly isBig: boolean;
  /** A whole number; undefined beyond the end of the file. */
  number(at: number, width: 2 | 4 | 8): number | undefined;
}

function layoutOf(view: DataView, littleEndian: boolean): Layout {
  return {
    view,
    littleEndian,
    isBig: view.getUint16(2, littleEndian) === 43,
    number(at, width) {
      if (!Number.isSafeInteger(at) || at < 0 || at + width > view.byteLength) return undefined;
      if (width === 2) return view.getUint16(at, littleEndian);
      if (width === 4) return view.getUint32(at, littleEndian);
      return Number(view.getBigUint64(at, littleEndian));
    },
  };
}

/** A directory: a count, entries of tag, type, count and value, and where the next directory is. */
function readPage(
  { isBig, number, littleEndian }: Layout,
  at: number,
):
  | (Pick<TiffPage, "get" | "set"> & { readonly tags: number; readonly next: number | undefined })
  | undefined {
  const count = number(at, isBig ? 8 : 2);
  const [start, size] = isBig ? [at + 8, 20] : [at + 2, 12];
  if (count === undefined || count > mostPages) return undefined;
  const found = new Map<number, { readonly value: number; readonly at: number; readonly width: 2 | 4 | 8 }>();
  for (let i = 0; i < count; ++i) {
    const entry = start + i * size;
    const [tag, type] = [number(entry, 2), number(entry + 2, 2)];
    if (tag === undefined || type === undefined) return undefined;
    if (!known.has(tag)) continue;
    const width = widths[type];
    const values = number(entry + 4, isBig ? 8 : 4);
    const place = entry + (isBig ? 12 : 8);
    const value = width && number(place, width);
    if (values === 1 && width && value !== undefined) found.set(tag, { value, at: place, width });
  }
  return {
    tags: count,
    get: (tag) => found.get(tags[tag])?.value,
    set(into, tag, value) {
      const place = found.get(tags[tag]);
      if (!place) return;
      const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
      if (place.width === 2) view.setUint16(place.at, value, littleEndian);
      else if (place.width === 4) view.setUint32(place.at, value, littleEndian);
      else view.setBigUint64(place.at, BigInt(value), littleEndian);
    },
    next: number(start + count * size, isBig ? 8 : 4),
  };
}
