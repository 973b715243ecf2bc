/**
 * Values of a data set by keyword, as numbers and words whatever type the file gives them. Those of a frame are looked for
 * where enhanced objects keep them: with the frame, then with all frames, then with the object.
 */
import type { DataSet, Element } from "dicom-parser";
import { DataError } from "../../../errors.js";
import { decodeText } from "./character-sets.js";

/** Tags of the attributes that are read, by their keywords of PS3.6. */
export const tags = {
  TransferSyntaxUID: "x00020010",
  MediaStorageSOPClassUID: "x00020002",
  SpecificCharacterSet: "x00080005",
  SOPClassUID: "x00080016",
  AcquisitionDate: "x00080022",
  SeriesDate: "x00080021",
  StudyDate: "x00080020",
  Modality: "x00080060",
  Manufacturer: "x00080070",
  ManufacturerModelName: "x00081090",
  PatientID: "x00100020",
  BodyPartExamined: "x00180015",
  ViewPosition: "x00185101",
  ImagerPixelSpacing: "x00181164",
  NominalScannedPixelSpacing: "x00182010",
  StudyInstanceUID: "x0020000d",
  SeriesInstanceUID: "x0020000e",
  Laterality: "x00200060",
  ImageLaterality: "x00200062",
  SamplesPerPixel: "x00280002",
  PhotometricInterpretation: "x00280004",
  PlanarConfiguration: "x00280006",
  NumberOfFrames: "x00280008",
  Rows: "x00280010",
  Columns: "x00280011",
  PixelSpacing: "x00280030",
  PixelAspectRatio: "x00280034",
  BitsAllocated: "x00280100",
  BitsStored: "x00280101",
  HighBit: "x00280102",
  PixelRepresentation: "x00280103",
  PixelPaddingValue: "x00280120",
  PixelPaddingRangeLimit: "x00280121",
  BurnedInAnnotation: "x00280301",
  WindowCenter: "x00281050",
  WindowWidth: "x00281051",
  RescaleIntercept: "x00281052",
  RescaleSlope: "x00281053",
  RescaleType: "x00281054",
  WindowCenterWidthExplanation: "x00281055",
  VOILUTFunction: "x00281056",
  RedPaletteColorLookupTableDescriptor: "x00281101",
  GreenPaletteColorLookupTableDescriptor: "x00281102",
  BluePaletteColorLookupTableDescriptor: "x00281103",
  RedPaletteColorLookupTableData: "x00281201",
  GreenPaletteColorLookupTableData: "x00281202",
  BluePaletteColorLookupTableData: "x00281203",
  SegmentedRedPaletteColorLookupTableData: "x00281221",
  SegmentedGreenPaletteColorLookupTableData: "x00281222",
  SegmentedBluePaletteColorLookupTableData: "x00281223",
  ModalityLUTSequence: "x00283000",
  LUTDescriptor: "x00283002",
  LUTExplanation: "x00283003",
  LUTData: "x00283006",
  VOILUTSequence: "x00283010",
  PixelMeasuresSequence: "x00289110",
  FrameVOILUTSequence: "x00289132",
  PixelValueTransformationSequence: "x00289145",
  FrameAnatomySequence: "x00209071",
  FrameLaterality: "x00209072",
  PresentationLUTShape: "x20500020",
  SharedFunctionalGroupsSequence: "x52009229",
  PerFrameFunctionalGroupsSequence: "x52009230",
  ExtendedOffsetTable: "x7fe00001",
  ExtendedOffsetTableLengths: "x7fe00002",
  FloatPixelData: "x7fe00008",
  DoubleFloatPixelData: "x7fe00009",
} as const;

export type Keyword = keyof typeof tags;

/** Sequences with one item for what may differ from frame to frame, and what is read of them. */
type FunctionalGroup = "PixelMeasuresSequence" | "FrameVOILUTSequence" | "PixelValueTransformationSequence";

/** Types whose values are binary; those of all others are text. */
const binarySizes: Readonly<Record<string, number>> = {
  US: 2,
  SS: 2,
  OW: 2,
  UL: 4,
  SL: 4,
  FL: 4,
  FD: 8,
  AT: 4,
};
/** Attributes whose values are 16-bit numbers where a file does not say types. */
const binaryKeywords: readonly Keyword[] = [
  "SamplesPerPixel",
  "PlanarConfiguration",
  "Rows",
  "Columns",
  "BitsAllocated",
  "BitsStored",
  "HighBit",
  "PixelRepresentation",
  "PixelPaddingValue",
  "PixelPaddingRangeLimit",
  "RedPaletteColorLookupTableDescriptor",
  "GreenPaletteColorLookupTableDescriptor",
  "BluePaletteColorLookupTableDescriptor",
  "LUTDescriptor",
];
const longestText = 2 ** 16; // bytes; names and numbers have some tens
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character changes the character set
const notAscii = /[\x1b\x80-\xff]/;

/** A data set, or an item of a sequence in one. */
export class Attributes {
  /** @param outer  what an item is in, whose character set holds for it unless it names one of its own */
  constructor(
    private readonly dataSet: DataSet,
    private readonly outer?: Attributes,
  ) {}

  has(keyword: Keyword): boolean {
    return this.#element(keyword) !== undefined;
  }

  /** The values of an attribute of text, trimmed; none if it is not there. */
  texts(keyword: Keyword): string[] {
    const element = this.#element(keyword);
    if (!element || element.length > longestText) return [];
    const plain = this.dataSet.string(tags[keyword]) ?? "";
    const text = notAscii.test(plain) ? this.#decoded(plain) : plain;
    return text.split("\\").map((value) => value.replace(/[\0\s]+$/, "").trimStart());
  }

  text(keyword: Keyword): string | undefined {
    return this.texts(keyword)[0] || undefined;
  }

  /**
   * The values of an attribute of numbers that are finite. Those of 16 bits without sign become signed where `signed`: of
   * some attributes the type depends on that of the pixels, and not all files heed it.
   */
  numbers(keyword: Keyword, { signed = false } = {}): number[] {
    const element = this.#element(keyword);
    if (!element) return [];
    const vr = element.vr ?? (binaryKeywords.includes(keyword) ? "US" : "");
    const size = binarySizes[vr];
    if (size === undefined) {
      return this.texts(keyword).flatMap((text) =>
        text !== "" && Number.isFinite(Number(text)) ? Number(text) : [],
      );
    }
    const values: number[] = [];
    const parser = element.parser ?? this.dataSet.byteArrayParser;
    const { byteArray } = this.dataSet;
    const count = Math.min(Math.floor(element.length / size), 1024);
    for (let i = 0; i < count; ++i) {
      const at = element.dataOffset + i * size;
      if (vr === "SS" || (size === 2 && signed)) values.push(parser.readInt16(byteArray, at));
      else if (size === 2) values.push(parser.readUint16(byteArray, at));
      else if (vr === "SL") values.push(parser.readInt32(byteArray, at));
      else if (vr === "FL") values.push(parser.readFloat(byteArray, at));
      else if (vr === "FD") values.push(parser.readDouble(byteArray, at));
      else values.push(parser.readUint32(byteArray, at));
    }
    return values.filter(Number.isFinite);
  }

  number(keyword: Keyword, options?: { signed: boolean }): number | undefined {
    return this.numbers(keyword, options)[0];
  }

  /** The bytes of an attribute, as they lie in the file. */
  bytes(keyword: Keyword): Uint8Array | undefined {
    const element = this.#element(keyword);
    return (
      element && this.dataSet.byteArray.subarray(element.dataOffset, element.dataOffset + element.length)
    );
  }

  /** 16-bit numbers in the data set's order of bytes. */
  words(bytes: Uint8Array): Uint16Array {
    const { byteArrayParser } = this.dataSet;
    return Uint16Array.from({ length: bytes.length >>> 1 }, (_, i) =>
      byteArrayParser.readUint16(bytes, 2 * i),
    );
  }

  /**
   * The bytes of an element that is copied and not read, by its tag, such as "00100010"; undefined if it is not there, none if
   * it has no value.
   */
  copied(tag: string): Uint8Array | undefined {
    const element = this.dataSet.elements[`x${tag.toLowerCase()}`];
    if (!element || element.items) return undefined;
    const { byteArray } = this.dataSet;
    const end = element.dataOffset + element.length;
    return end <= byteArray.length ? byteArray.subarray(element.dataOffset, end) : undefined;
  }

  items(keyword: Keyword): Attributes[] {
    const items = this.#element(keyword)?.items ?? [];
    return items.flatMap(({ dataSet }) => (dataSet ? [new Attributes(dataSet, this)] : []));
  }

  /** One item of a sequence, without making all of them: the functional groups of a volume are thousands. */
  item(keyword: Keyword, index: number): Attributes | undefined {
    const dataSet = this.#element(keyword)?.items?.[index]?.dataSet;
    return dataSet && new Attributes(dataSet, this);
  }

  /** What holds of one frame, the nearest first: its functional group, that of all frames, the object itself. */
  ofFrame(group: FunctionalGroup, frame: number): Attributes[] {
    const own = this.item("PerFrameFunctionalGroupsSequence", frame)?.item(group, 0);
    const shared = this.item("SharedFunctionalGroupsSequence", 0)?.item(group, 0);
    return [own, shared, this].filter((attributes) => attributes !== undefined);
  }

  /** Text of which every byte is a character yet. One in a character set that is not known stays as it is. */
  #decoded(text: string): string {
    try {
      return decodeText(Buffer.from(text, "latin1"), this.#characterSets());
    } catch (error) {
      if (error instanceof DataError) return text;
      throw error;
    }
  }

  #characterSets(): string[] {
    const terms = this.dataSet.string(tags.SpecificCharacterSet);
    if (terms === undefined) return this.outer ? this.outer.#characterSets() : [];
    return terms.split("\\").map((term) => term.trim());
  }

  #element(keyword: Keyword): Element | undefined {
    const element = this.dataSet.elements[tags[keyword]];
    // dicom-parser takes the length of an element at its word, and throws where its value is read.
    const isThere =
      element && element.length > 0 && element.dataOffset + element.length <= this.dataSet.byteArray.length;
    return isThere ? element : undefined;
  }
}
