/** `medmamba info`: what a file or folder is, before anything is done with it. */
import { existsSync, type Stats } from "node:fs";
import { open, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import type { Command } from "commander";
import { describeWeights } from "../../checkpoints/describe.js";
import { limitRows, type ReadingLimits } from "../../data/decoding/limits.js";
import { describePicture } from "../../data/decoding/picture.js";
import type { Facts } from "../../data/facts.js";
import { DataError } from "../../errors.js";
import { factLines } from "../console/fact-lines.js";
import { CommandError } from "../console/failure.js";
import { type CommonOptions, withCommonOptions, withSettings } from "../console/options.js";
import { expectPath } from "../console/paths.js";
import { Terminal } from "../console/terminal.js";
import { shortPath } from "../console/wording.js";

/** A kind of file. */
interface FileKind {
  /** By a file's first bytes where they tell, otherwise by its name. */
  recognizes(file: { path: string; found: Stats; start: Buffer }): boolean | Promise<boolean>;
  /** `kind` first. @throws an error of the package that says what is wrong with the file */
  describe(path: string, limits: ReadingLimits): Promise<Facts>;
}

const startsLike = (start: Buffer, ...beginnings: string[]): boolean =>
  beginnings.some((text) => start.toString("latin1", 0, text.length) === text);

const hasEnding = (path: string, ...endings: string[]): boolean =>
  endings.includes(extname(path).toLowerCase());

/** A safetensors file begins with the length of its header, which is JSON. */
const isSafetensors = (start: Buffer): boolean =>
  start.length > 8 && start.readBigUInt64LE(0) < 2n ** 32n && start[8] === "{".charCodeAt(0);

const zipWord = "PK\x03\x04";

/** As older versions of PyTorch write. */
const isPickle = (start: Buffer): boolean =>
  start[0] === 0x80 && (start[1] ?? 0) >= 2 && (start[1] ?? 9) <= 5;

const pytorch: Facts = { kind: "PyTorch file", advice: "`medmamba convert` reads it" };

/** The first that recognises a file describes it. */
const kinds: readonly FileKind[] = [
  {
    recognizes: ({ path, found }) => found.isDirectory() && existsSync(join(path, "run.json")),
    describe: describeRun,
  },
  {
    recognizes: ({ found }) => found.isDirectory(),
    describe: async (path) => {
      const { describeFolder } = await import("../../data/sources/describe.js");
      return { kind: "folder", ...(await describeFolder(path)) };
    },
  },
  {
    recognizes: async ({ path, start }) =>
      isPickle(start) || (startsLike(start, zipWord) && (await holdsPickle(path))),
    describe: async () => pytorch,
  },
  {
    recognizes: ({ path, start }) => startsLike(start, zipWord) || hasEnding(path, ".npz"),
    describe: async (path) => {
      const { describeArchive } = await import("../../data/sources/describe.js");
      return { kind: "archive", ...(await describeArchive(path)) };
    },
  },
  {
    recognizes: ({ path, start }) => isSafetensors(start) || hasEnding(path, ".safetensors"),
    describe: describeWeights,
  },
  {
    recognizes: ({ path }) => hasEnding(path, ".csv", ".tsv"),
    describe: async (path) => {
      const { describeTable } = await import("../../data/sources/describe.js");
      return { kind: "table", ...(await describeTable(path)) };
    },
  },
  {
    recognizes: () => true,
    describe: async (path, limits) => ({ kind: "image", ...(await describePicture(path, limits)) }),
  },
];

const examples = `
It is recognised by what is in it: checkpoints and other weights, PyTorch files,
.npz archives, tables, folders, DICOM, NIfTI and image files. Nothing that tells
of a patient is printed: no name, no number, no date.

Examples:
  $ medmamba info run/best.safetensors
  $ medmamba info scan.nii.gz
  $ medmamba info --json pneumoniamnist.npz`;

export function define(command: Command): void {
  command.description("Say what a file or folder is.").argument("<file>", "a file or folder");
  withSettings(command, limitRows);
  withCommonOptions(command).addHelpText("after", examples).action(run);
}

async function run(path: string, options: CommonOptions & ReadingLimits): Promise<void> {
  const terminal = new Terminal(options);
  expectPath(path, "file or folder");
  const found = await stat(path);
  if (!found.isFile() && !found.isDirectory())
    throw new CommandError(`${path} is neither a file nor a folder, but a pipe, socket or device.`);
  const facts = await describe(path, found, { maxPixels: options.maxPixels });
  const whole: Facts = { file: path, bytes: found.isFile() ? found.size : undefined, ...facts };
  for (const line of factLines({ ...whole, file: shortPath(path) })) terminal.print(line);
  terminal.result(whole);
}

async function describe(path: string, found: Stats, limits: ReadingLimits): Promise<Facts> {
  const start = found.isFile() ? await firstBytes(path) : Buffer.alloc(0);
  if (found.isFile() && start.length === 0) throw new CommandError(`${path} is empty.`);
  for (const kind of kinds) {
    if (!(await kind.recognizes({ path, found, start }))) continue;
    return kind.describe(path, limits).catch((error: unknown) => {
      if (!(error instanceof DataError) || !/not an image of a known format/.test(error.reason)) throw error;
      throw new CommandError(
        `${path} is none of the files that are known here: weights, archives, tables, DICOM, NIfTI and images.`,
        { cause: error },
      );
    });
  }
  throw new CommandError(`${path} is of no kind that is known here.`);
}

/** A folder that `train` has written to. */
async function describeRun(path: string): Promise<Facts> {
  const { runFiles } = await import("../../study/run-directory.js");
  const [best, last] = [runFiles.best, runFiles.last].map((name) => join(path, name));
  const checkpoint = best !== undefined && existsSync(best) ? best : undefined;
  return {
    kind: "run",
    checkpoint,
    canBeResumed: last !== undefined && existsSync(last),
  };
}

async function firstBytes(path: string): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Whether a zip file is one of PyTorch's, which has its objects in `data.pkl`. */
async function holdsPickle(path: string): Promise<boolean> {
  const { openZipFile } = await import("../../files/zip-reader.js");
  const zip = await openZipFile(path).catch(() => undefined);
  if (!zip) return false;
  try {
    for await (const { fileName } of zip.eachEntry()) if (/(^|\/)data\.pkl$/.test(fileName)) return true;
    return false;
  } catch {
    return false;
  } finally {
    zip.close();
  }
}
