/** Where a file or folder is, as callers say it. */
import { fileURLToPath } from "node:url";
import { ArgumentError } from "../errors.js";
import { inWords } from "./given.js";
import { messageOf } from "./realms.js";

/** Where a file or folder is: a path, or a `file:` URL such as `new URL("best.safetensors", import.meta.url)`. */
export type Path = string | URL;

/** Whether `value` is a URL, of this realm or another. */
export function isUrl(value: unknown): value is URL {
  return Object.prototype.toString.call(value) === "[object URL]";
}

/** @throws ArgumentError unless it is text without a zero byte, or a `file:` URL */
export function pathOf(operation: string, path: Path, what = "the path"): string {
  if (isUrl(path)) return fromUrl(operation, path);
  if (typeof path !== "string")
    throw new ArgumentError(`${operation}: ${what} has to be text or a file: URL, but is ${inWords(path)}.`);
  if (path.includes("\0")) throw new ArgumentError(`${operation}: ${what} has a zero byte in it.`);
  return path;
}

function fromUrl(operation: string, url: URL): string {
  try {
    return fileURLToPath(url.href);
  } catch (error) {
    throw new ArgumentError(
      `${operation}: ${inWords(url.href)} is no file on this machine (${messageOf(error)}): give a path or a file: URL.`,
    );
  }
}
