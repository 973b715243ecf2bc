/** What a file is that was named as one of torch.save, by how it begins. */
import { type FileHandle, open, stat } from "node:fs/promises";
import { WeightsError } from "../../errors.js";
import { readFully } from "../atomic-file.js";

const beginningBytes = 512;

/** The number with which PyTorch before 1.6 began its pickles. */
const oldMagic = /^8002(?:8a0a|95.{16}8a0a)6cfc9c46f9206aa85019/;

const resave = 'torch.save(torch.load("old.pth", map_location="cpu", weights_only=True), "new.pth")';

/** Forms other than the zip file of today, with what to do. */
const others: readonly { recognizes: (beginning: Buffer) => boolean; advice: string }[] = [
  {
    recognizes: (beginning) => oldMagic.test(beginning.toString("hex", 0, 32)),
    advice: `it is in the form that PyTorch wrote before version 1.6: save it anew in Python, with ${resave}, and convert that`,
  },
  {
    recognizes: (beginning) => beginning.toString("latin1", 257, 262) === "ustar",
    advice: `it is a tar file, as PyTorch wrote before version 0.2: save it anew in Python, with ${resave}, and convert that`,
  },
  {
    recognizes: ([first = 0, second = 0]) => first === 0x80 && second >= 2 && second <= 5,
    advice:
      "it is a Python pickle without the zip file that torch.save puts around it: load it in Python, if you trust it, and save its weights with torch.save",
  },
  {
    recognizes: (beginning) => /^.{8}\{"/s.test(beginning.toString("latin1")),
    advice: "it is a safetensors file already: `train --init` and `loadStateDict` take it as it is",
  },
];

/**
 * Called before a file is opened as a zip file.
 *
 * @throws WeightsError naming the file and what it is, if it is none
 */
export async function expectZip(path: string): Promise<void> {
  // Asked before opening, because opening a pipe for reading waits for its writer.
  const kind = await stat(path);
  if (kind.isDirectory()) throw new WeightsError(`${path}: is a directory, not a file.`);
  if (!kind.isFile()) throw new WeightsError(`${path}: is not a regular file.`);
  if (kind.size === 0) throw new WeightsError(`${path}: the file is empty.`);
  const file = await open(path, "r");
  try {
    await expectZipAt(path, file);
  } finally {
    await file.close();
  }
}

async function expectZipAt(path: string, file: FileHandle): Promise<void> {
  const bytes = new Uint8Array(beginningBytes);
  const beginning = Buffer.from(bytes.subarray(0, await readFully(file, bytes, 0)));
  if (beginning.toString("hex", 0, 4) === "504b0304") return;
  const found = others.find(({ recognizes }) => recognizes(beginning));
  const advice = found?.advice ?? "it does not begin like one; it may be damaged, or something else";
  throw new WeightsError(`${path}: not a file of weights that torch.save wrote: ${advice}.`);
}
