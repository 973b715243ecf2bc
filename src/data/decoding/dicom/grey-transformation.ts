/**
 * What an object says of how its greys are to be seen, frame by frame (PS3.4, N.2.1): from stored values to those of the
 * modality, which values are no picture, and which become black and white.
 */
import { DataError } from "../../../errors.js";
import { namedWindows } from "../../preprocessing.js";
import type { Attributes } from "./attributes.js";
import type { ImageAttributes } from "./image-attributes.js";
import { type LookupTable, readLut } from "./lookup-table.js";

/** How values between black and white are spread (PS3.3, C.11.2.1.2 and C.11.2.1.3). */
export type WindowFunction = "LINEAR" | "LINEAR_EXACT" | "SIGMOID";

export interface Window {
  readonly center: number;
  readonly width: number;
  readonly function: WindowFunction;
}

/** A window as an object gives it. */
export interface ExplainedWindow extends Window {
  /** What the object calls it, such as "LUNG". */
  readonly explanation: string | undefined;
}

/** Which values of the modality are seen, and how. */
export type View =
  | { readonly kind: "window"; readonly window: Window }
  | { readonly kind: "table"; readonly table: LookupTable }
  | { readonly kind: "whole range" }
  | { readonly kind: "percentile" };

/** From stored values to what is seen of a frame. */
export interface GreyTransformation {
  readonly modality:
    | { readonly kind: "rescale"; readonly slope: number; readonly intercept: number }
    | { readonly kind: "table"; readonly table: LookupTable };
  /** Stored values from the first to the second are no picture. */
  readonly padding: readonly [number, number] | undefined;
  readonly view: View;
  /** Low values are white. */
  readonly inverted: boolean;
}

/** @throws DataError if a window is asked for by a name that the frame has not */
export function greyTransformation(
  attributes: Attributes,
  { photometric, signed, float }: ImageAttributes,
  frame: number,
  window: string,
): GreyTransformation {
  const { modality, signedOutput } = modalityOf(attributes, signed, frame);
  const view = viewOf(attributes, signedOutput, frame, window);
  return {
    modality,
    padding: paddingOf(attributes, signed),
    view: float ? exact(view) : view,
    // One says the same as the other: an object that has both is inverted once.
    inverted: photometric === "MONOCHROME1" || attributes.text("PresentationLUTShape") === "INVERSE",
  };
}

/** LINEAR is about whole numbers. Of others that lie between 0 and 1 it would make black and white. */
function exact(view: View): View {
  if (view.kind !== "window" || view.window.function !== "LINEAR") return view;
  return { kind: "window", window: { ...view.window, function: "LINEAR_EXACT" } };
}

function modalityOf(attributes: Attributes, signed: boolean, frame: number) {
  const groups = attributes.ofFrame("PixelValueTransformationSequence", frame);
  const item = attributes.item("ModalityLUTSequence", 0);
  const table = item && tableOf(item, signed);
  if (table && !groups[0]?.has("RescaleSlope")) {
    return { modality: { kind: "table", table } as const, signedOutput: false };
  }
  const owner = groups.find((group) => group.has("RescaleSlope") || group.has("RescaleIntercept"));
  const slope = owner?.number("RescaleSlope") || 1; // 0 would make one grey of all
  const intercept = owner?.number("RescaleIntercept") ?? 0;
  return {
    modality: { kind: "rescale", slope, intercept } as const,
    signedOutput: signed || intercept < 0 || slope < 0,
  };
}

const tableOf = (item: Attributes, signed: boolean): LookupTable | undefined =>
  readLut(item, { descriptor: "LUTDescriptor", data: item.bytes("LUTData"), signed });

function paddingOf(attributes: Attributes, signed: boolean): readonly [number, number] | undefined {
  const value = attributes.number("PixelPaddingValue", { signed });
  if (value === undefined) return undefined;
  const limit = attributes.number("PixelPaddingRangeLimit", { signed }) ?? value;
  return [Math.min(value, limit), Math.max(value, limit)];
}

function viewOf(attributes: Attributes, signed: boolean, frame: number, wanted: string): View {
  if (wanted === "percentile") return { kind: "percentile" };
  const fixed = (namedWindows as Readonly<Record<string, readonly [number, number]>>)[wanted];
  if (fixed) {
    expectHounsfield(attributes, wanted);
    return { kind: "window", window: { center: fixed[0], width: fixed[1], function: "LINEAR" } };
  }
  const isNamed = wanted.startsWith("name:");
  if (wanted !== "auto" && !isNamed) {
    const [center = 0, width = 1] = wanted.split(",").map(Number);
    return { kind: "window", window: { center, width, function: "LINEAR" } };
  }
  const name = isNamed ? wanted.slice("name:".length).trim().toLowerCase() : undefined;
  const isWanted = (explanation: string | undefined) =>
    name === undefined || explanation?.toLowerCase() === name;
  for (const group of attributes.ofFrame("FrameVOILUTSequence", frame)) {
    for (const item of group.items("VOILUTSequence")) {
      if (!isWanted(item.text("LUTExplanation"))) continue;
      const table = tableOf(item, signed);
      if (table) return { kind: "table", table };
    }
    const found = windowsOf(group).find(({ explanation }) => isWanted(explanation));
    if (found) return { kind: "window", window: found };
  }
  if (name !== undefined)
    throw new DataError(`it has no window that it calls ${wanted.slice("name:".length)}`);
  return { kind: "whole range" };
}

/** Modalities whose values are something else than Hounsfield units. */
const otherUnits = [
  "CR",
  "DX",
  "ES",
  "GM",
  "IO",
  "IVUS",
  "MG",
  "MR",
  "NM",
  "OP",
  "OPT",
  "PT",
  "PX",
  "RF",
  "SM",
  "US",
  "XA",
  "XC",
];

/** A picture of another modality would become all black or all white, and nobody be told. */
function expectHounsfield(attributes: Attributes, window: string): void {
  const modality = attributes.text("Modality") ?? "";
  if (!otherUnits.includes(modality) || attributes.text("RescaleType") === "HU") return;
  throw new DataError(
    `the window ${window} is of Hounsfield units, which ${modality} does not have: choose auto, percentile, or a center and width`,
  );
}

/** The windows of an object or a frame, those that are none left out. */
export function windowsOf(attributes: Attributes): ExplainedWindow[] {
  const centers = attributes.numbers("WindowCenter");
  const widths = attributes.numbers("WindowWidth");
  const explanations = attributes.texts("WindowCenterWidthExplanation");
  const named = attributes.text("VOILUTFunction");
  const kind = named === "SIGMOID" || named === "LINEAR_EXACT" ? named : "LINEAR";
  const least = kind === "LINEAR" ? 1 : 0;
  return centers.flatMap((center, i) => {
    const width = widths[i] ?? 0;
    return width >= least && width > 0
      ? [{ center, width, function: kind, explanation: explanations[i] || undefined }]
      : [];
  });
}
