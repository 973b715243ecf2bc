/**
 * What a file is that was named as safetensors and is none: weights of other programs, and what a download leaves in the place
 * of weights.
 */

import type { FileHandle } from "node:fs/promises";
import { WeightsError } from "../errors.js";
import { readFully } from "./atomic-file.js";

/** A kind of file: its first bytes in hexadecimal digits or its first characters, and what to do, as the end of a sentence. */
const impostors: readonly { readonly bytes?: RegExp; readonly text?: RegExp; readonly advice: string }[] = [
  {
    bytes: /^504b0304/,
    advice:
      "it is a zip file, as PyTorch's torch.save writes (.pth, .pt): make a checkpoint of it with `medmamba convert FILE weights.safetensors` and name that; weights of Keras (.keras) have to be saved as safetensors from there",
  },
  {
    bytes: /^800[2-5](?!0{10})/, // With zeros behind, it is the length of a small header.
    advice:
      "it is a Python pickle, as older versions of PyTorch write (.pth, .pt, .pkl), which could run any program when it is read: save its weights anew in Python, with torch.save of a version since 1.6, and make a checkpoint of that with `medmamba convert`",
  },
  {
    text: /^version https:\/\/git-lfs/,
    advice: "it is a pointer of Git LFS in the place of the file itself: fetch that with `git lfs pull`",
  },
  {
    text: /^\s*<(!doctype|html|\?xml|head|body)/i,
    advice:
      "it is a web page, as a download gives in the place of a file that needs a login or is elsewhere: download the file itself",
  },
  {
    bytes: /^894844460d0a/,
    advice: "it is an HDF5 file, as Keras writes (.h5): convert its weights to safetensors first",
  },
  {
    bytes: /^(89504e47|ffd8ff|49492a00|4d4d002a|47494638|52494646.{8}57454250)/,
    advice: "it is an image: name the file of the weights",
  },
  { bytes: /^1f8b08/, advice: "it is compressed with gzip: unpack it first" },
  {
    text: /^\s*\{\s*"/,
    advice: "it is JSON, such as the index or config beside weights: name the .safetensors file",
  },
];

const beginningBytes = 64;

/**
 * Says what a file is that has been refused, if that is known.
 *
 * @throws WeightsError: the one given, or one in its place that says what the file is and what to do
 */
export async function refuseByKind(path: string, file: FileHandle, error: unknown): Promise<never> {
  const beginning = new Uint8Array(beginningBytes);
  const length = await readFully(file, beginning, 0).catch(() => 0);
  const read = Buffer.from(beginning.subarray(0, length));
  const [hexadecimal, characters] = [read.toString("hex"), read.toString("latin1")];
  const found = impostors.find(({ bytes, text }) => bytes?.test(hexadecimal) || text?.test(characters));
  if (found === undefined) throw error;
  const advice = found.advice.replaceAll("FILE", () => path);
  throw new WeightsError(`${path}: not a safetensors file: ${advice}.`, { cause: error });
}
