/**
 * A DICOM file as elements, read by dicom-parser up to the pixels. What it does not do is done here: files without a preamble
 * or without a header, elements of 64-bit numbers (the Extended Offset Table), and bounds on what is inflated.
 */
import { inflateRawSync } from "node:zlib";
import dicomParser, { type ByteStream, type DataSet, type Element } from "dicom-parser";
import { DataError } from "../../../errors.js";
import { Attributes } from "./attributes.js";
import { encodingAt, hasPreamble } from "./signature.js";
import {
  explicitBigEndian,
  explicitLittleEndian,
  implicitLittleEndian,
  type TransferSyntax,
  transferSyntax,
} from "./transfer-syntaxes.js";

/** A file whose elements have been read. */
export interface DicomFile {
  readonly syntax: TransferSyntax;
  /** Everything before the pixels; of a file that breaks off, what there is. */
  readonly attributes: Attributes;
  /** The bytes that positions refer to: those of the file, or what was deflated in it. */
  readonly bytes: Uint8Array;
  /** Where the values of (7FE0,0010), Pixel Data, begin; undefined if there are none. */
  readonly pixels: PixelElement | undefined;
}

/** Where pixels lie in the bytes of a file. */
export interface PixelElement {
  readonly offset: number;
  /** In bytes; undefined where pixels are in fragments, which say their own lengths. */
  readonly length: number | undefined;
  /** Type of the values, "OB" or "OW"; "" where it is not told. */
  readonly vr: string;
}

/** The parts of dicom-parser that its types leave out. */
const parser = dicomParser as typeof dicomParser & {
  readonly DataSet: new (parser: unknown, bytes: Uint8Array, elements: Record<string, Element>) => DataSet;
};

const pixelData = "x7fe00010";
const longNumbers = ["OV", "SV", "UV"];
const mostInflated = 64; // times the deflated bytes, and 2^24 in any case: deflate reaches 1032 on zeros

/** @throws DataError if it is no DICOM file, or damaged before its pixels */
export function readDataSet(file: Uint8Array): DicomFile {
  try {
    return readFile(file);
  } catch (cause) {
    throw cause instanceof DataError ? cause : damaged(cause);
  }
}

function readFile(file: Uint8Array): DicomFile {
  // dicom-parser reads a header behind a preamble alone.
  const startsWithHeader = !hasPreamble(file) && file[0] === 2 && file[1] === 0;
  const bytes = startsWithHeader ? Buffer.concat([Buffer.alloc(128), Buffer.from("DICM"), file]) : file;
  const header: Record<string, Element> = {};
  let position = 0;
  if (hasPreamble(bytes)) {
    const stream = streamAt(bytes, 132, false);
    const isHeader = () => bytes[stream.position] === 2 && bytes[stream.position + 1] === 0;
    while (stream.position + 8 <= bytes.length && isHeader()) {
      const element = parser.readDicomElementExplicit(stream, []);
      element.parser = parser.littleEndianByteArrayParser; // the data set after it may be big endian
      header[element.tag] = element;
    }
    position = stream.position;
  }
  const named = new Attributes(new parser.DataSet(parser.littleEndianByteArrayParser, bytes, header)).text(
    "TransferSyntaxUID",
  );
  const syntax = named ? asWritten(transferSyntax(named), bytes, position) : syntaxAt(bytes, position);
  if (!syntax.deflated) return readElements(bytes, position, header, syntax);
  const whole = Buffer.concat([bytes.subarray(0, position), inflated(bytes.subarray(position))]);
  return readElements(whole, position, header, syntax);
}

/** The syntax that a file names, with or without types as its first element has them: some files are not what they say. */
function asWritten(syntax: TransferSyntax, bytes: Uint8Array, position: number): TransferSyntax {
  const encoding = syntax.deflated ? undefined : encodingAt(bytes, position);
  if (!encoding || encoding.bigEndian !== syntax.bigEndian) return syntax;
  return { ...syntax, explicit: encoding.explicit };
}

/** The syntax of a data set that nobody names, by its first element. */
function syntaxAt(bytes: Uint8Array, position: number): TransferSyntax {
  const encoding = encodingAt(bytes, position);
  if (!encoding)
    throw new DataError("it does not say how it is written (its Transfer Syntax UID is missing)");
  if (encoding.bigEndian) return explicitBigEndian;
  return encoding.explicit ? explicitLittleEndian : implicitLittleEndian;
}

const streamAt = (bytes: Uint8Array, position: number, bigEndian: boolean): ByteStream =>
  new parser.ByteStream(
    bigEndian ? parser.bigEndianByteArrayParser : parser.littleEndianByteArrayParser,
    bytes,
    position,
  );

/**
 * The elements of a data set up to its pixels. A file may break off in what comes after the last of those that are needed;
 * what is missing is said by who misses it.
 */
function readElements(
  bytes: Uint8Array,
  start: number,
  header: Record<string, Element>,
  syntax: TransferSyntax,
): DicomFile {
  const stream = streamAt(bytes, start, syntax.bigEndian);
  const elements: Record<string, Element> = { ...header };
  const dataSet = new parser.DataSet(stream.byteArrayParser, bytes, elements);
  const attributes = new Attributes(dataSet);
  while (stream.position + 8 <= bytes.length) {
    const element = syntax.explicit
      ? explicitElement(stream)
      : parser.readDicomElementImplicit(stream, pixelData);
    elements[element.tag] = element;
    if (element.tag !== pixelData) continue;
    const length = element.hadUndefinedLength ? undefined : element.length;
    return {
      syntax,
      attributes,
      bytes,
      pixels: { offset: element.dataOffset, length, vr: element.vr ?? "" },
    };
  }
  return { syntax, attributes, bytes, pixels: undefined };
}

/** One element; dicom-parser takes the types of 64-bit numbers, which came late, for ones with short lengths. */
function explicitElement(stream: ByteStream): Element {
  const { byteArray, byteArrayParser, position } = stream;
  const vr = String.fromCharCode(byteArray[position + 4] ?? 0, byteArray[position + 5] ?? 0);
  if (!longNumbers.includes(vr)) return parser.readDicomElementExplicit(stream, [], pixelData);
  const tag = parser.readTag(stream);
  const length = byteArrayParser.readUint32(byteArray, position + 8);
  stream.seek(8 + length);
  return { tag, vr, length, dataOffset: position + 12 };
}

function inflated(deflated: Uint8Array): Uint8Array {
  const most = Math.max(mostInflated * deflated.length, 2 ** 24);
  try {
    return inflateRawSync(deflated, { maxOutputLength: most });
  } catch (cause) {
    const tooLarge = (cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    throw new DataError(
      tooLarge
        ? `what is deflated in it is more than ${most} bytes`
        : "the deflated part is damaged or cut off",
      { cause },
    );
  }
}

/** dicom-parser throws sentences with positions, and where a sequence is in a sequence in a sequence, the stack runs out. */
function damaged(cause: unknown): DataError {
  const deep = cause instanceof RangeError && /call stack/.test(cause.message);
  return new DataError(
    deep ? "its sequences lie too deep in each other" : "the data set is damaged or cut off",
    {
      cause,
    },
  );
}
