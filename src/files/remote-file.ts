/**
 * Getting a file from a server. What has come lies in a file beside (`.part`) until its checksum is right, so that the file is
 * whole or not there; what was interrupted goes on where it stopped.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rm, stat } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { renameFile } from "./held-files.js";

/** A file on a server, and where it shall be. */
export interface RemoteFile {
  readonly url: string;
  readonly path: string;
  /** Of the file, in hexadecimal digits. */
  readonly md5: string;
  /** Called while bytes come, with those that are there and in all, where the server says that. */
  readonly onProgress?: ((progress: { bytes: number; total: number | undefined }) => void) | undefined;
  /** Stops with its reason when aborted; what has come stays for the next time. */
  readonly signal?: AbortSignal | undefined;
}

/** Why a file could not be had, as a part of a sentence. */
export class RemoteFileError extends Error {
  constructor(
    reason: string,
    /** Bytes that are kept for the next attempt. */
    readonly kept: number,
    options?: ErrorOptions,
  ) {
    super(reason, options);
  }
}

/** More than any data set in one file has; a server that never ends fills no disk. */
const mostBytes = 32e9;
const longestSilence = 60_000; // milliseconds without a byte
/** Attempts in a row that may bring nothing, and milliseconds between them. */
const mostVainAttempts = 3;
const pause = 500;

/**
 * Gets a file and gives its bytes. A file that is there is replaced.
 *
 * @throws RemoteFileError if it cannot be had or written, or its checksum is another; the signal's reason if aborted
 */
export async function fetchFile(remote: RemoteFile): Promise<number> {
  const { path, md5, signal } = remote;
  const part = `${path}.part`;
  const target = await openPart(part);
  try {
    await fillPart(target, remote);
    await target.sync();
  } catch (error) {
    if ((await target.stat()).size === 0) await rm(part, { force: true });
    throw error;
  } finally {
    await target.close();
  }
  const found = await md5OfFile(part, signal);
  if (found !== md5) {
    await rm(part, { force: true });
    throw new RemoteFileError(`its MD5 is ${found} and should be ${md5}`, 0);
  }
  const { size } = await stat(part);
  await renameFile(part, path);
  return size;
}

/** MD5 of a file, in hexadecimal digits. */
export async function md5OfFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("md5");
  for await (const piece of createReadStream(path, { signal })) hash.update(piece as Uint8Array);
  return hash.digest("hex");
}

async function openPart(part: string): Promise<FileHandle> {
  const present = await stat(part).catch(() => undefined);
  if (present && !present.isFile()) throw new RemoteFileError(`${part} is in the way`, 0);
  try {
    return await open(part, "a+");
  } catch (cause) {
    throw new RemoteFileError(`${part} cannot be written (${(cause as Error).message})`, 0, { cause });
  }
}

/** Asks for what is missing until nothing is, or nothing comes any more. */
async function fillPart(target: FileHandle, remote: RemoteFile): Promise<void> {
  for (let vain = 0; ; ) {
    remote.signal?.throwIfAborted();
    const have = (await target.stat()).size;
    const error = await fetchRest(target, have, remote).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    remote.signal?.throwIfAborted();
    if (error === undefined) return;
    const kept = (await target.stat()).size;
    vain = kept > have ? 0 : vain + 1;
    if (!(error instanceof Interruption) || vain >= mostVainAttempts)
      throw new RemoteFileError(reasonOf(error), kept, { cause: error });
    await setTimeout(pause * vain);
  }
}

/** The connection ended before the file did: what has come is kept, and the next attempt goes on. */
class Interruption extends Error {}

/** An answer that another attempt would not change. */
class Refusal extends Error {}

async function fetchRest(
  target: FileHandle,
  have: number,
  { url, onProgress = () => {}, signal }: RemoteFile,
): Promise<void> {
  const silence = new AbortController();
  const silent = () => silence.abort(new Interruption(`nothing came for ${longestSilence / 1000} s`));
  let timer = globalThis.setTimeout(silent, longestSilence);
  try {
    const response = await fetch(url, {
      headers: have > 0 ? { range: `bytes=${have}-` } : {},
      signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
    });
    const { start, total } = await placeOf(response, have);
    if (start !== have) await target.truncate(start);
    if (start === total) return; // It is all there.
    if (!response.ok) throw new Interruption("what was begun is of another file");
    let bytes = start;
    for await (const piece of piecesOf(response)) {
      clearTimeout(timer);
      timer = globalThis.setTimeout(silent, longestSilence);
      bytes += piece.length;
      if (bytes > mostBytes) throw new Refusal(`it has more than ${mostBytes} bytes`);
      for (let at = 0; at < piece.length; ) at += (await target.write(piece, at)).bytesWritten;
      onProgress({ bytes, total });
    }
    if (total !== undefined && bytes < total)
      throw new Interruption(`the connection ended after ${bytes} of ${total} bytes`);
  } finally {
    clearTimeout(timer);
  }
}

/** The body of an answer; where it breaks off, the next attempt goes on. */
async function* piecesOf({ body }: Response): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader();
  try {
    for (;;) {
      const read = await reader?.read().catch((error: unknown) => {
        throw new Interruption(`the connection ended (${reasonOf(error)})`, { cause: error });
      });
      if (!read || read.done) return;
      yield read.value;
    }
  } finally {
    await reader?.cancel().catch(() => {}); // What went wrong is known already.
  }
}

/** Where in the file an answer begins, 0 if what there is of it is of another, and how long the file is if it says so. */
async function placeOf(
  response: Response,
  have: number,
): Promise<{ start: number; total: number | undefined }> {
  const { status, headers } = response;
  const [, first, whole] = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers.get("content-range") ?? "") ?? [];
  const isPage = headers.get("content-type")?.startsWith("text/html") ?? false;
  if (status === 200 && !isPage) {
    const length = Number(headers.get("content-length") ?? Number.NaN);
    const plain = Number.isFinite(length) && !headers.has("content-encoding");
    return { start: 0, total: plain ? length : undefined };
  }
  if (status === 206 && Number(first) === have) return { start: have, total: Number(whole) };
  await response.body?.cancel();
  if (status === 416) return { start: Number(whole) === have ? have : 0, total: Number(whole) };
  if (response.ok && isPage)
    throw new Refusal("a web page came in its place, as of a network that asks for a login");
  throw new Refusal(`the server answers ${status} ${response.statusText}`.trim());
}

/** `fetch` says "fetch failed", and its cause why. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  const deeper = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : undefined;
  const reason = error instanceof Interruption || error instanceof Refusal ? message : (deeper ?? message);
  return reason.replace(/\.$/, "");
}
