/** Paths of images from a list, of a file or of standard input. */
import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import { CommandError, explain } from "./failure.js";

const longest = 2 ** 28; // bytes: a million paths have a third of it

/**
 * The paths of a list, one a line, or with a zero after each as `find -print0` writes them; empty lines are passed over.
 *
 * @param list  a path, or "-" for standard input
 * @throws CommandError if it cannot be read, is no text, or names nothing
 */
export async function listedPaths(list: string): Promise<string[]> {
  const name = list === "-" ? "the list on standard input" : list;
  const bytes = list === "-" ? await standardInput() : await readFile(list).catch(cannotBeRead);
  const text = textOf(bytes)?.replace(/^\ufeff/, "");
  if (text === undefined) throw new CommandError(`${name} is no list of paths in UTF-8.`);
  const lines = text.includes("\0") ? text.split("\0") : text.split(/\r?\n/);
  const paths = lines.filter((line) => line.trim() !== "");
  if (paths.length === 0) throw new CommandError(`${name} names no image.`);
  return paths;
}

/** UTF-8, or UTF-16 where the first bytes say so, as Windows' PowerShell 5 writes what is redirected with ">". */
function textOf(bytes: Buffer): string | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return bytes.toString("utf16le");
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
}

function cannotBeRead(error: unknown): never {
  throw new CommandError(`--files: ${explain(error)}`, { cause: error });
}

async function standardInput(): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of process.stdin) {
    pieces.push(piece as Buffer);
    length += (piece as Buffer).length;
    if (length > longest)
      throw new CommandError(`the list on standard input has more than ${longest} bytes: divide it.`);
  }
  return Buffer.concat(pieces);
}
