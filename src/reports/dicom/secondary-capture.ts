/**
 * A heat map as a DICOM image that a hospital's viewer shows beside the one that it is about: a Secondary Capture, with what it is
 * and that it is for research alone burned into its pixels, where no viewer can leave it out.
 */

import { ArgumentError, DataError } from "../../errors.js";
import { type Explanation, showsNothing } from "../../inference/explanation/explain.js";
import { probabilityWords } from "../../inference/probability-words.js";
import {
  expectCounts,
  expectList,
  expectNamed,
  expectNumbers,
  expectText,
  expectTypedArray,
  inWords,
} from "../../settings/given.js";
import { type Drawing, drawOverlay, tableOfColours } from "../heat-map.js";
import { drawText, letterSize, lettersOf } from "./bitmap-font.js";
import { concepts } from "./concepts.js";
import { codeItem, referenceItem } from "./content.js";
import { deviceOf, expectModel, type ReportingModel, seriesOf, writtenObject } from "./reporting-model.js";
import { expectReported, type ReportedImage, sentencesOf } from "./structured-report.js";
import { type Dataset, plainText, type WrittenObject } from "./writing.js";

const secondaryCaptureImage = "1.2.840.10008.5.1.4.1.1.7";
const warning = ["RESEARCH ONLY", "NOT FOR DIAGNOSIS"];

/** Pixels that the drawing is wide at least, so that words have room. */
const narrowest = 256;
/** Columns per pixel of a letter's dot. */
const columnsPerDot = 320;
const mostSide = 2 ** 16 - 1; // pixels, by the type of Rows and Columns

/**
 * Writes an explanation as a Secondary Capture in the study of the image: the picture with the map over it, at its own size or, where
 * that leaves no room for words, a multiple of it.
 *
 * Its UID follows from what it shows, of which image, as that of a report does.
 *
 * @throws ArgumentError for what is no explanation or no model; DataError for a picture larger than DICOM's images can be
 */
export function secondaryCapture(
  reported: ReportedImage,
  explanation: Explanation,
  model: ReportingModel,
): WrittenObject {
  expectReported("secondaryCapture", reported);
  const { source, frame = 0 } = reported;
  expectExplanation(explanation);
  expectModel("secondaryCapture", model);
  const { width, height, data } = draw(explanation, model);
  const { sopClass, sopInstance: original, frames } = source;
  const reference = referenceItem({
    sopClass,
    sopInstance: original,
    ...(frames > 1 && { frames: [frame + 1] }),
  });
  const purpose = { PurposeOfReferenceCodeSequence: [codeItem(concepts.sourceImage)] };
  const content: Dataset = {
    ...source.patientAndStudy,
    ...source.picture,
    SpecificCharacterSet: "ISO_IR 192",
    ImageType: ["DERIVED", "SECONDARY"],
    SOPClassUID: secondaryCaptureImage,
    Modality: "OT",
    ConversionType: "WSD",
    ...seriesOf("SC", source, model),
    ...deviceOf(model),
    InstanceNumber: source.number,
    ReferencedImageSequence: [{ ...reference, ...purpose }],
    SourceImageSequence: [{ ...reference, ...purpose }],
    DerivationDescription: plainText(descriptionOf(explanation, model), 1024),
    BurnedInAnnotation: "YES",
    SamplesPerPixel: 3,
    PhotometricInterpretation: "RGB",
    PlanarConfiguration: 0,
    Rows: height,
    Columns: width,
    BitsAllocated: 8,
    BitsStored: 8,
    HighBit: 7,
    PixelRepresentation: 0,
    PixelData: data,
  };
  return writtenObject("capture", content, model, source);
}

/** @throws ArgumentError unless it is what `explain` gave */
function expectExplanation(explanation: Explanation): void {
  const operation = "secondaryCapture";
  const given = expectNamed(operation, "the explanation", explanation);
  const { map, picture, peak, scale, placement, explained, label, method, stage, reasons = [] } = given;
  const { probability, probabilities } = given;
  for (const [name, part] of Object.entries({ explained, label, method }))
    expectText(operation, `the explanation's ${name}`, part);
  if (stage !== undefined) expectCounts(operation, { stage }, 0);
  const own = expectNamed(operation, "the explanation's probabilities", probabilities);
  if (typeof probability !== "number" || typeof own[explained] !== "number")
    throw new ArgumentError(`${operation}: the explanation has no probability of ${inWords(explained)}.`);
  expectGrid(operation, "map", expectNamed(operation, "the explanation's map", map), 1);
  const { channels, bitDepth } = expectNamed(operation, "the explanation's picture", picture);
  expectCounts(operation, { "the picture's channels": channels, "the picture's bitDepth": bitDepth });
  expectGrid(operation, "picture", picture, channels);
  const { value } = expectNamed(operation, "the explanation's peak", peak);
  expectNumbers(operation, { "the explanation's scale": scale });
  if (!(scale > 0))
    throw new ArgumentError(`${operation}: the explanation's scale ${inWords(scale)} is not above 0.`);
  expectList(operation, "the explanation's reasons", reasons);
  for (const reason of reasons)
    expectText(operation, "a reason", expectNamed(operation, "a reason", reason).sentence);
  const { top, left, width, height } = expectNamed(operation, "the explanation's placement", placement);
  expectNumbers(operation, { "the peak's value": value, top, left, width, height });
}

/** @throws ArgumentError unless there is a value for each place */
function expectGrid(
  operation: string,
  what: string,
  { width, height, data }: { width: number; height: number; data: ArrayLike<number> },
  channels: number,
): void {
  expectCounts(operation, { [`the ${what}'s width`]: width, [`the ${what}'s height`]: height });
  expectTypedArray(operation, `the ${what}'s data`, data);
  if (data.length === width * height * channels) return;
  throw new ArgumentError(
    `${operation}: the ${what} has ${data.length} values, where ${width} x ${height} x ${channels} are needed.`,
  );
}

/** What the drawing says of itself, a sentence each. */
function descriptionOf(explanation: Explanation, { checkpointHash: hash }: ReportingModel): string {
  const { explained, method, stage } = explanation;
  const how = stage === undefined ? method : `${method} of stage ${stage}`;
  const doubt = [...doubtOf(explanation), ...(showsNothing(explanation) ? [nothing(explanation)] : [])];
  const said = doubt.map((sentence) => ` ${sentence}.`).join("");
  return `${warning.join(" - ")}.${said} Map of the evidence for "${explained}" over the picture, by ${how}. ${calledAs(explanation)}. Made by medmamba, checkpoint SHA-256 ${hash}.`;
}

/** "Called mass 97.3 %" */
function calledAs({ label, probability, probabilities, explained }: Explanation): string {
  if (Number.isNaN(probability))
    return `${explained} ${probabilityWords(probabilities[explained] as number)}`;
  return `Called ${label} ${probabilityWords(probability)}`;
}

/** What a map of noise says instead of glowing. */
const nothing = ({ explained }: Explanation): string => `Nothing in the image speaks for "${explained}"`;

/** "NOT SURE: REFER", and why, of an image that a human should look at. */
function doubtOf({ decision, ...doubt }: Explanation): string[] {
  return decision === "refer" ? ["NOT SURE: REFER", ...sentencesOf(doubt)] : [];
}

/** The picture with the map over it, between a line that warns and a legend. */
function draw(explanation: Explanation, model: ReportingModel): Drawing {
  const overlay = drawOverlay(explanation);
  const zoom = Math.max(1, Math.ceil(narrowest / overlay.width));
  const width = zoom * overlay.width;
  const scale = Math.max(1, Math.floor(width / columnsPerDot));
  const perLine = Math.floor(width / (letterSize.width * scale)) - 1;
  const { method, explained, scale: most } = explanation;
  const legend = [
    ...doubtOf(explanation).flatMap((sentence) => wrapped(sentence, perLine)),
    ...wrapped(calledAs(explanation), perLine),
    ...wrapped(`Map: evidence for ${explained}, ${method}`, perLine),
    ...(showsNothing(explanation) ? wrapped(nothing(explanation), perLine) : []),
    `0 to ${most.toPrecision(3)}:`,
  ];
  const foot = wrapped(`medmamba, checkpoint ${model.checkpointHash.slice(0, 12)}`, perLine);
  const head = wrapped(warning.join(" - "), perLine);
  const line = letterSize.height * scale;
  const [above, below] = [(head.length + 0.5) * line, (legend.length + 1 + foot.length + 0.5) * line];
  const height = Math.ceil(above) + zoom * overlay.height + Math.ceil(below);
  if (Math.max(width, height) > mostSide)
    throw new DataError(
      `The picture is ${overlay.width} x ${overlay.height} pixels, too large for an image of DICOM with a legend.`,
    );
  const drawing = { width, height, data: new Uint8Array(3 * width * height) };
  const write = (lines: readonly string[], top: number) => {
    for (const [at, text] of lines.entries())
      drawText(drawing, text, { left: 3 * scale, top: Math.floor(top + (at + 0.3) * line), scale });
  };
  write(head, 0);
  enlarge(overlay, zoom, drawing, Math.ceil(above));
  const start = Math.ceil(above) + zoom * overlay.height;
  write(legend, start);
  drawScale(drawing, {
    top: Math.floor(start + legend.length * line + 2 * scale),
    left: 3 * scale,
    tall: line - 2 * scale,
  });
  write(foot, start + (legend.length + 1) * line);
  return drawing;
}

/** Copies a drawing into another, each pixel `zoom` times in both directions. */
function enlarge(from: Drawing, zoom: number, to: Drawing, top: number): void {
  for (let row = 0; row < zoom * from.height; ++row) {
    const source = Math.floor(row / zoom) * from.width;
    for (let column = 0; column < to.width; ++column) {
      const pixel = 3 * (source + Math.floor(column / zoom));
      to.data.set(from.data.subarray(pixel, pixel + 3), 3 * ((top + row) * to.width + column));
    }
  }
}

/** The colours of the map, from nothing to most. */
function drawScale(drawing: Drawing, { top, left, tall }: { top: number; left: number; tall: number }): void {
  const colours = tableOfColours();
  const wide = drawing.width - 2 * left;
  for (let row = top; row < top + tall; ++row) {
    for (let column = 0; column < wide; ++column) {
      const level = 3 * Math.floor((column / wide) * (colours.length / 3));
      drawing.data.set(colours.subarray(level, level + 3), 3 * (row * drawing.width + left + column));
    }
  }
}

/** Lines of words, none longer than `most` letters. */
function wrapped(text: string, most: number): string[] {
  const words = lettersOf(text).join("").split(" ");
  const pieces = words.flatMap((word) => word.match(new RegExp(`.{1,${most}}`, "gs")) ?? []);
  const lines: string[] = [];
  for (const piece of pieces) {
    const longer = `${lines.at(-1)} ${piece}`;
    if (lines.length > 0 && longer.length <= most) lines[lines.length - 1] = longer;
    else lines.push(piece);
  }
  return lines;
}
