/**
 * JPEG Extended of 12 bits: sequential, Huffman-coded, as radiotherapy and older CT archives have it (ITU-T T.81, process 4).
 *
 * A picture is blocks of 8 x 8 cosine coefficients; each block's first is coded as the difference from the block before, the
 * others as runs of zeros and what follows them, in zigzag order.
 */
import { DataError } from "../../../../errors.js";
import { frameDamaged } from "./codec.js";
import { BitReader, type HuffmanTable, huffmanTable } from "./huffman.js";
import type { JpegHeader } from "./jpeg-header.js";

const block = 64;
const side = 8;

/** Where in a block the coefficients are in the order they are written. */
const zigzag = Uint8Array.from([
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46,
  53, 60, 61, 54, 47, 55, 62, 63,
]);

/** cosines[8 x + u] = C(u) / 2 cos((2 x + 1) u pi / 16) */
const cosines = Float32Array.from({ length: block }, (_, i) => {
  const [x, u] = [i >>> 3, i & 7];
  return (u === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * x + 1) * u * Math.PI) / 16);
});

interface Component {
  readonly id: number;
  readonly quantization: number;
  readonly plane: number;
}

interface Coded {
  readonly component: Component;
  readonly dc: HuffmanTable;
  readonly ac: HuffmanTable;
  previous: number;
}

/**
 * @returns (height, width, components), colours as they are coded
 * @throws DataError if it is damaged, or of another process
 */
export function decodeExtended(
  bytes: Uint8Array,
  { width, height, components, frameType, precision }: JpegHeader,
): Uint16Array {
  if (frameType !== 0xc1 && frameType !== 0xc0) {
    throw new DataError(
      `it is JPEG of ${precision} bits with process ${frameType - 0xc0}, which is not read`,
    );
  }
  const values = new Uint16Array(width * height * components);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const quantizations = new Map<number, Uint16Array>();
  const tables = new Map<number, HuffmanTable>(); // 0 to 3 of first coefficients, 16 to 19 of the others
  let planes: Component[] = [];
  let restartInterval = 0;
  let decoded = 0;
  for (let at = 2; at + 4 <= bytes.length && decoded < components; ) {
    if (bytes[at] !== 0xff) throw frameDamaged();
    const marker = bytes[at + 1] as number;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const end = at + 2 + view.getUint16(at + 2);
    const segment = bytes.subarray(at + 4, end);
    if (end > bytes.length || end < at + 4) throw frameDamaged();
    at = end;
    if (marker === 0xdb) readQuantizations(segment, quantizations);
    else if (marker === 0xc4) readTables(segment, tables);
    else if (marker === 0xdd) restartInterval = view.getUint16(end - 2);
    else if (marker === frameType) planes = componentsOf(segment);
    else if (marker === 0xda) {
      const scan = codedIn(segment, planes, tables);
      const reader = new BitReader(bytes, at);
      decodeScan(reader, scan, {
        width,
        height,
        components,
        restartInterval,
        precision,
        quantizations,
        values,
      });
      decoded += scan.length;
      at = reader.position;
      while (at + 1 < bytes.length && !(bytes[at] === 0xff && (bytes[at + 1] as number) > 0)) at += 1;
    }
  }
  if (decoded < components) throw frameDamaged();
  return values;
}

function readQuantizations(segment: Uint8Array, found: Map<number, Uint16Array>): void {
  for (let at = 0; at < segment.length; ) {
    const head = segment[at++] as number;
    const size = head >>> 4 ? 2 : 1;
    if (at + size * block > segment.length) throw frameDamaged();
    const table = new Uint16Array(block);
    for (let i = 0; i < block; ++i, at += size) {
      const value = segment[at] as number;
      table[zigzag[i] as number] = size === 2 ? (value << 8) | (segment[at + 1] as number) : value;
    }
    found.set(head & 15, table);
  }
}

function readTables(segment: Uint8Array, found: Map<number, HuffmanTable>): void {
  for (let at = 0; at + 17 <= segment.length; ) {
    const head = segment[at] as number;
    const counts = segment.subarray(at + 1, at + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    found.set(head, huffmanTable(counts, segment.slice(at + 17, at + 17 + total)));
    at += 17 + total;
  }
}

function componentsOf(frame: Uint8Array): Component[] {
  const count = frame[5] ?? 0;
  return Array.from({ length: count }, (_, plane) => {
    const [id = 0, sampling = 0, quantization = 0] = frame.subarray(6 + 3 * plane, 9 + 3 * plane);
    if (count > 1 && sampling !== 0x11) {
      throw new DataError("it is JPEG of 12 bits with subsampled colours, which is not read");
    }
    return { id, quantization, plane };
  });
}

/** What a scan has in it, each with its tables. */
function codedIn(
  scan: Uint8Array,
  planes: readonly Component[],
  tables: ReadonlyMap<number, HuffmanTable>,
): Coded[] {
  return Array.from({ length: scan[0] ?? 0 }, (_, i) => {
    const component = planes.find(({ id }) => id === scan[1 + 2 * i]);
    const which = scan[2 + 2 * i] ?? 0;
    const [dc, ac] = [tables.get(which >>> 4), tables.get(16 + (which & 15))];
    if (!component || !dc || !ac) throw frameDamaged();
    return { component, dc, ac, previous: 0 };
  });
}

interface Picture {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  readonly restartInterval: number;
  readonly precision: number;
  readonly quantizations: ReadonlyMap<number, Uint16Array>;
  readonly values: Uint16Array;
}

function decodeScan(reader: BitReader, scan: readonly Coded[], picture: Picture): void {
  const across = Math.ceil(picture.width / side);
  const down = Math.ceil(picture.height / side);
  const coefficients = new Float32Array(block);
  const { restartInterval } = picture;
  for (let unit = 0; unit < across * down; ++unit) {
    if (restartInterval > 0 && unit > 0 && unit % restartInterval === 0) {
      reader.restart();
      for (const coded of scan) coded.previous = 0;
    }
    for (const coded of scan) {
      const quantization = picture.quantizations.get(coded.component.quantization);
      if (!quantization) throw frameDamaged();
      readBlock(reader, coded, quantization, coefficients);
      inverseTransform(coefficients);
      writeBlock(
        coefficients,
        picture,
        (unit % across) * side,
        Math.floor(unit / across) * side,
        coded.component.plane,
      );
    }
  }
}

function readBlock(reader: BitReader, coded: Coded, quantization: Uint16Array, out: Float32Array): void {
  out.fill(0);
  coded.previous += reader.difference(reader.code(coded.dc) & 15);
  out[0] = coded.previous * (quantization[0] as number);
  for (let i = 1; i < block; ++i) {
    const code = reader.code(coded.ac);
    const bits = code & 15;
    if (bits === 0 && code !== 0xf0) return; // nothing but zeros to the end
    i += code >>> 4;
    if (i >= block) throw frameDamaged();
    const to = zigzag[i] as number;
    if (bits > 0) out[to] = reader.difference(bits) * (quantization[to] as number);
  }
}

const rows = new Float32Array(block);

/** In place: rows first, then columns. */
function inverseTransform(values: Float32Array): void {
  for (let y = 0; y < block; y += side) {
    for (let x = 0; x < side; ++x) {
      let sum = 0;
      for (let u = 0; u < side; ++u) sum += (values[y + u] as number) * (cosines[x * side + u] as number);
      rows[y + x] = sum;
    }
  }
  for (let x = 0; x < side; ++x) {
    for (let y = 0; y < side; ++y) {
      let sum = 0;
      for (let v = 0; v < side; ++v)
        sum += (rows[v * side + x] as number) * (cosines[y * side + v] as number);
      values[y * side + x] = sum;
    }
  }
}

function writeBlock(block: Float32Array, picture: Picture, left: number, top: number, plane: number): void {
  const { width, height, components, precision, values } = picture;
  const most = 2 ** precision - 1;
  const middle = 2 ** (precision - 1) + 0.5;
  const right = Math.min(side, width - left);
  const bottom = Math.min(side, height - top);
  for (let y = 0; y < bottom; ++y) {
    for (let x = 0; x < right; ++x) {
      const value = Math.floor((block[y * side + x] as number) + middle);
      values[((top + y) * width + left + x) * components + plane] =
        value < 0 ? 0 : value > most ? most : value;
    }
  }
}
