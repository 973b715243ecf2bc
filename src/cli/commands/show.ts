/** `medmamba show`: a picture as it is decoded, or as a network gets it. */
import { existsSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import { type CheckpointDescription, readCheckpoint } from "../../checkpoints/checkpoint.js";
import type { Sample } from "../../data/dataset.js";
import type { Pixels } from "../../data/decoding/decoder.js";
import { singleFrame } from "../../data/decoding/frame-choice.js";
import { limitRows } from "../../data/decoding/limits.js";
import { decodePicture, type Picture, pngOf } from "../../data/decoding/picture.js";
import { openImageFile } from "../../data/decoding/sample.js";
import {
  definePreprocessing,
  type Preprocessing,
  preprocessingRows,
  type Reading,
} from "../../data/preprocessing.js";
import { replaceFile, writeFully } from "../../weights/atomic-file.js";
import { weightsError } from "../../weights/file-errors.js";
import { CommandError, UsageError } from "../console/failure.js";
import { singleFrameOf } from "../console/for-checkpoint.js";
import { type CommonOptions, countOrZero, withCommonOptions, withSettings } from "../console/options.js";
import { expectCheckpoint, expectPath } from "../console/paths.js";
import { Terminal } from "../console/terminal.js";
import { shortPath } from "../console/wording.js";

interface ShowOptions extends CommonOptions, Partial<Reading> {
  readonly out: string;
  readonly frame?: number;
  readonly asInput?: boolean;
  readonly checkpoint?: string;
  readonly overwrite?: boolean;
  readonly maxPixels?: number;
}

/** Settings of preprocessing that say how files become pictures. */
const { window, bitDepth, slices } = preprocessingRows;
const readingRows = { window, bitDepth, slices };

const examples = `
The picture is written as it lies in the file, a pixel for a pixel: the window
is applied, DICOM's and EXIF's orientation, and no more. With --as-input it is
what the network of --checkpoint gets of it, in that network's size, channels
and window, before its normalization.

Examples:
  $ medmamba show scan.dcm --out scan.png
  $ medmamba show ct.nii.gz --out a.png --slices coronal --frame 80
  $ medmamba show a.tif --out b.png --as-input --checkpoint run/best.safetensors`;

export function define(command: Command): void {
  command
    .description("Write a picture as it is decoded, or as a network gets it, to a PNG file.")
    .argument("<image>", "an image file, DICOM or NIfTI file")
    .requiredOption("--out <file>", "the PNG file to write")
    .option(
      "--frame <number>",
      "which picture of a file with several, from 0 (default: the first, of a volume the one in the middle)",
      countOrZero,
    )
    .option("--as-input", "as the network of --checkpoint gets it")
    .option("--checkpoint <file>", "the model, for --as-input")
    .option("--overwrite", "replace --out if it is there");
  withSettings(command, { ...readingRows, ...limitRows });
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(image: string, options: ShowOptions): Promise<void> {
  const terminal = new Terminal(options);
  expectOptions(options);
  expectPath(image, "image");
  expectFree(image, options);
  const { asInput, out, maxPixels } = options;
  const { pixels, frame, frames } = asInput
    ? await asNetworkInput(image, await checkpointOf(options), options)
    : await decodePicture(image, reading(options), { frame: options.frame, maxPixels });
  const png = await pngOf(pixels);
  await replaceFile(out, (file) => writeFully(file, png)).catch((error: unknown) => {
    throw weightsError(out, error);
  });
  const { data: _, spacing, ...about } = pixels;
  terminal.print(`${shortPath(out)}: ${inWords(pixels)}${frames > 1 ? `, frame ${frame} of ${frames}` : ""}`);
  if (spacing && !isSquare(spacing)) {
    terminal.print(
      `Its pixels are ${rounded(spacing.rows)} mm high and ${rounded(spacing.columns)} mm wide; the picture has one of each.`,
    );
  }
  terminal.result({ file: image, out, frame, frames, ...about, ...(spacing && { spacing }) });
}

function expectOptions({ asInput, checkpoint, out, ...options }: ShowOptions): void {
  if (asInput && checkpoint === undefined)
    throw new UsageError("--as-input shows what a network gets: name it with --checkpoint FILE.");
  if (!asInput && checkpoint !== undefined)
    throw new UsageError("--checkpoint is for --as-input: give both, or none.");
  const own = Object.keys(readingRows).find((name) => options[name as keyof Reading] !== undefined);
  if (asInput && own !== undefined)
    throw new UsageError(
      "--as-input takes window, bit depth and slices from the checkpoint: leave them out.",
    );
  if (!/\.png$/i.test(out)) throw new UsageError(`--out ${out}: a PNG is written; let the name end in .png.`);
}

/** Nothing that is there is destroyed unless that is asked for, and the image itself never. */
function expectFree(image: string, { out, overwrite }: ShowOptions): void {
  const folder = dirname(out);
  if (!existsSync(folder))
    throw new CommandError(`--out ${out}: there is no folder ${folder}; make it first.`);
  if (!existsSync(out)) return;
  if (realpathSync(out) === realpathSync(image))
    throw new UsageError(`--out ${out} is the image itself: write to another file.`);
  if (!overwrite) throw new CommandError(`${out} is there already: name another file, or add --overwrite.`);
}

const reading = ({ window, bitDepth, slices }: ShowOptions): Reading =>
  definePreprocessing({ window, bitDepth, slices } as Partial<Preprocessing>);

async function checkpointOf({ checkpoint = "" }: ShowOptions): Promise<CheckpointDescription> {
  expectCheckpoint(checkpoint);
  return readCheckpoint(checkpoint);
}

async function asNetworkInput(
  image: string,
  checkpoint: CheckpointDescription,
  { frame: asked, maxPixels }: ShowOptions,
): Promise<Picture> {
  const opened = await openImageFile(image, checkpoint.preprocessing, { maxPixels });
  const frame = asked ?? (await singleFrame(opened, singleFrameOf(checkpoint)));
  return { pixels: interleaved(await opened.sample(frame)), frame, frames: await opened.count() };
}

/** A planar sample as a picture: 8 bits of bytes, 16 of values from 0 to 1. */
function interleaved({ channels, height, width, data }: Sample): Pixels {
  const deep = data instanceof Float32Array;
  const area = height * width;
  const pixels = deep ? new Uint16Array(data.length) : new Uint8Array(data.length);
  for (let i = 0; i < area; ++i) {
    for (let channel = 0; channel < channels; ++channel) {
      const value = data[channel * area + i] ?? 0;
      pixels[i * channels + channel] = deep ? Math.round(value * 65535) : value;
    }
  }
  const photometric = channels === 1 ? "grey" : "rgb";
  return { width, height, channels: channels as 1 | 3, bitDepth: deep ? 16 : 8, photometric, data: pixels };
}

const inWords = ({ width, height, bitDepth, photometric }: Pixels): string =>
  `${width} x ${height} pixels, ${photometric === "grey" ? "grey" : "colour"} of ${bitDepth} bits`;

const isSquare = ({ rows, columns }: { rows: number; columns: number }): boolean =>
  Math.abs(rows - columns) <= 0.01 * Math.max(rows, columns);

const rounded = (millimetres: number): string => String(Number(millimetres.toPrecision(3)));
