/**
 * TIFFs whose pixels are measurements and no greys: signed and floating-point numbers, and integers of 32 bits.
 *
 * libvips undoes the compression, and would bring most of these numbers into its own kinds: negative ones of 16 bits to 0, halves
 * to whole numbers, and doubles it does not read. So a copy of the file calls them unsigned integers of the same width (doubles: two of
 * 32 bits), which it hands through bit by bit, and the bits are read here. What is white where it should be black is left so, too,
 * and turned after the window, which is in the file's own numbers.
 */
import sharp from "sharp";
import { DataError } from "../../../errors.js";
import { type TiffPage, tiffPages } from "./directory.js";

/** (height, width) numbers of a page, the upright way round. */
export interface Measurements {
  readonly width: number;
  readonly height: number;
  readonly values: ArrayLike<number>;
  /** Whether the least of them is to be white. */
  readonly leastIsWhite: boolean;
}

/** A kind of number. */
interface NumberKind {
  /** In the plural, for sentences. */
  readonly name: string;
  /** What libvips hands through, by sharp's name. */
  readonly carrier: "uchar" | "ushort" | "uint" | "int" | "float";
  /** The numbers of the bytes of a page. @param isBig  the file's most significant bytes come first */
  read(bytes: ArrayBuffer, isBig: boolean): ArrayLike<number>;
}

const unsigned = 1;
const signed = 2;
const floating = 3;

/** By sample format and bits. */
const kinds: Readonly<Record<string, NumberKind>> = {
  [`${unsigned} 16`]: {
    name: "integers of 16 bits",
    carrier: "ushort",
    read: (bytes) => new Uint16Array(bytes),
  },
  [`${unsigned} 32`]: {
    name: "integers of 32 bits",
    carrier: "uint",
    read: (bytes) => new Uint32Array(bytes),
  },
  [`${signed} 8`]: {
    name: "signed integers of 8 bits",
    carrier: "uchar",
    read: (bytes) => new Int8Array(bytes),
  },
  [`${signed} 16`]: {
    name: "signed integers of 16 bits",
    carrier: "ushort",
    read: (bytes) => new Int16Array(bytes),
  },
  [`${signed} 32`]: {
    name: "signed integers of 32 bits",
    carrier: "int",
    read: (bytes) => new Int32Array(bytes),
  },
  [`${floating} 16`]: {
    name: "floating-point numbers of 16 bits",
    carrier: "ushort",
    read: (bytes) => Float32Array.from(new Uint16Array(bytes), halfOf),
  },
  [`${floating} 32`]: {
    name: "floating-point numbers",
    carrier: "float",
    read: (bytes) => new Float32Array(bytes),
  },
  [`${floating} 64`]: { name: "floating-point numbers of 64 bits", carrier: "uint", read: doublesOf },
};

/** A number of IEEE 754's binary16. */
function halfOf(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Doubles of two words each, which are in this machine's order one by one and in the file's order as a pair. */
function doublesOf(bytes: ArrayBuffer, isBig: boolean): Float64Array {
  if (isBig) {
    const words = new Uint32Array(bytes);
    for (let i = 0; i < words.length; i += 2) [words[i], words[i + 1]] = [words[i + 1] ?? 0, words[i] ?? 0];
  }
  return new Float64Array(bytes);
}

/** Pages of a TIFF that hold measurements, by their numbers. */
export class MeasuredPages {
  readonly #kinds = new Map<number, { readonly page: TiffPage; readonly kind: NumberKind }>();
  readonly #bytes: Uint8Array;
  /** Of all kinds. */
  readonly count: number;

  /** @param windowed  whether 16-bit integers, which are greys otherwise, are to be taken for measurements */
  constructor(bytes: Uint8Array, windowed: boolean) {
    const pages = tiffPages(bytes);
    this.count = pages.length;
    for (const [index, page] of pages.entries()) {
      const [format, bits] = [page.get("sampleFormat") ?? unsigned, page.get("bits")];
      const kind = kinds[`${format} ${bits}`];
      const isGrey = (page.get("samples") ?? 1) === 1 && (page.get("photometric") ?? 2) <= 1;
      if (kind && isGrey && (windowed || format !== unsigned || bits !== 16))
        this.#kinds.set(index, { page, kind });
    }
    this.#bytes = this.#kinds.size > 0 ? this.#disguised(bytes) : bytes;
  }

  #disguised(bytes: Uint8Array): Uint8Array {
    const copy = new Uint8Array(bytes);
    for (const { page, kind } of this.#kinds.values()) {
      page.set(copy, "photometric", 1);
      if (kind.carrier.startsWith("u")) page.set(copy, "sampleFormat", unsigned);
      if (page.get("bits") !== 64) continue;
      page.set(copy, "bits", 32);
      for (const tag of ["width", "tileWidth"] as const) page.set(copy, tag, 2 * (page.get(tag) ?? 0));
    }
    return copy;
  }

  /** What the numbers of a page are; undefined if it is a picture like any other. */
  kindOf(index: number): string | undefined {
    return this.#kinds.get(index)?.kind.name;
  }

  /** In pixels, as the file says. */
  sizeOf(index: number): { readonly width: number; readonly height: number } {
    const page = this.#kinds.get(index)?.page;
    return { width: page?.get("width") ?? 0, height: page?.get("height") ?? 0 };
  }

  /** @throws DataError or libvips' error, if they cannot be had */
  async read(index: number, seconds: number): Promise<Measurements> {
    const found = this.#kinds.get(index);
    if (!found) throw new DataError(`there is no page ${index} of measurements`);
    const { page, kind } = found;
    const isDouble = page.get("bits") === 64;
    const isTurned = (page.get("orientation") ?? 1) !== 1;
    const predictor = page.get("predictor") ?? 1;
    if ((isDouble && (isTurned || predictor !== 1)) || (kind.carrier === "ushort" && predictor === 3)) {
      const how = isDouble && isTurned ? "turned" : "packed by differences";
      throw new DataError(
        `its pixels are ${kind.name}, ${how}: save it as floating-point numbers of 32 bits`,
      );
    }
    const space = kind.carrier === "ushort" ? "grey16" : "b-w";
    const { data, info } = await sharp(this.#bytes, { failOn: "error", limitInputPixels: false, page: index })
      .timeout({ seconds })
      .autoOrient()
      .pipelineColourspace(space)
      .toColourspace(space)
      .raw({ depth: kind.carrier })
      .toBuffer({ resolveWithObject: true });
    const isWhole = data.byteOffset === 0 && data.byteLength === data.buffer.byteLength;
    const own = isWhole ? data.buffer : data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
    return {
      width: isDouble ? info.width / 2 : info.width,
      height: info.height,
      values: kind.read(own as ArrayBuffer, !page.littleEndian),
      leastIsWhite: page.get("photometric") === 0,
    };
  }
}
