/**
 * What can be said about a native library without loading it. The system's loader says little about a file that is for
 * another machine, and may kill the process over one that is cut off.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { isError, messageOf } from "../settings/realms.js";
import { require } from "./package-root.js";

/** What decides which native libraries a machine loads. */
export interface System {
  /** As of `process.platform` and `process.arch`. */
  readonly platform: string;
  readonly arch: string;
  /** Version of Node, as of `process.version`. */
  readonly node: string;
  /** Version of the C library, of Linux alone; undefined on one that is not glibc, which is musl. */
  readonly glibc?: string | undefined;
}

/** The oldest glibc that the delivered libraries are linked for, and the oldest that Node 20 runs on. */
export const oldestGlibc = "2.28";

export function thisSystem(): System {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const { platform, arch, version: node } = process;
  return { platform, arch, node, glibc: header.glibcVersionRuntime };
}

/** Whether this program was made for musl (Alpine Linux), whatever C libraries the system has. */
export function hasMusl(): boolean {
  if (process.platform !== "linux") return false;
  try {
    const { familySync, MUSL } = require("detect-libc") as typeof import("detect-libc");
    return familySync() === MUSL;
  } catch {
    return thisSystem().glibc === undefined; // a bundle has left it behind
  }
}

/** "linux-x64 with glibc 2.36" */
export function describeSystem({ platform, arch, glibc }: System): string {
  const library = platform !== "linux" ? "" : glibc ? ` with glibc ${glibc}` : " with musl";
  return `${platform}-${arch}${library}`;
}

export function hasOldGlibc({ glibc = oldestGlibc }: System): boolean {
  const [major = 0, minor = 0] = glibc.split(".").map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = oldestGlibc.split(".").map(Number);
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}

/** What is wrong with a library's file, as the end of a sentence that begins with its path; undefined if it looks right. */
export function inspectLibrary(path: string, system: Pick<System, "platform" | "arch">): string | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    return whyUnreadable(error);
  }
  try {
    const header = Buffer.alloc(4096);
    const length = readSync(file, header, 0, header.length, 0);
    return inspectHeader(header.subarray(0, length), fstatSync(file).size, system);
  } catch (error) {
    return whyUnreadable(error);
  } finally {
    closeSync(file);
  }
}

function whyUnreadable(error: unknown): string {
  const code = isError(error) && "code" in error ? error.code : undefined;
  if (code === "ENOENT" || code === "ENOTDIR") return "not there";
  if (code === "EACCES" || code === "EPERM") return "this user may not read it (permission denied)";
  return messageOf(error);
}

/** e_machine of ELF, as Node names processors. */
const elfMachines: Readonly<Record<number, string>> = {
  3: "ia32",
  21: "ppc64",
  22: "s390x",
  40: "arm",
  62: "x64",
  183: "arm64",
  243: "riscv64",
  258: "loong64",
};
/** The same of Windows' portable executables. */
const windowsMachines: Readonly<Record<number, string>> = { 332: "ia32", 34404: "x64", 43620: "arm64" };
const damaged = "the file is damaged";

function inspectHeader(
  header: Buffer,
  size: number,
  { platform, arch }: Pick<System, "platform" | "arch">,
): string | undefined {
  const kind = kindOf(header);
  if (!kind) return `${damaged}: it is no native library`;
  if (kind !== (platform === "darwin" || platform === "win32" ? platform : "linux"))
    return `it is built for ${kind}, this is ${platform}`;
  if (kind === "win32") return inspectWindows(header, size, arch);
  if (kind !== "linux") return undefined;
  if (header.length < 64) return `${damaged}: it ends after ${size} bytes`;
  const machine = elfMachines[header.readUInt16LE(18)] ?? "another processor";
  if (machine !== arch) return `it is built for ${machine}, this Node is for ${arch}`;
  // The table of sections is the last thing in the file. Loading one that is cut off ends the process (SIGBUS).
  const whole = Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60);
  return size < whole ? `${damaged}: it has ${size} of ${whole} bytes` : undefined;
}

/** Of the headers of Windows, which begin with one for DOS: the processor, and whether all sections are there. */
function inspectWindows(header: Buffer, size: number, arch: string): string | undefined {
  const start = header.length < 64 ? header.length : header.readUInt32LE(60);
  if (start + 24 > header.length) return `${damaged}: it ends after ${size} bytes`;
  const machine = windowsMachines[header.readUInt16LE(start + 4)] ?? "another processor";
  if (machine !== arch) return `it is built for ${machine}, this Node is for ${arch}`;
  let whole = 0;
  const sections = start + 24 + header.readUInt16LE(start + 20);
  for (let i = 0; i < header.readUInt16LE(start + 6); ++i) {
    const at = sections + 40 * i;
    if (at + 40 > header.length) return undefined; // more than any library of ours has
    whole = Math.max(whole, header.readUInt32LE(at + 20) + header.readUInt32LE(at + 16));
  }
  return size < whole ? `${damaged}: it has ${size} of ${whole} bytes` : undefined;
}

function kindOf(header: Buffer): "linux" | "darwin" | "win32" | undefined {
  if (header.length < 4) return undefined;
  if (header.readUInt32BE(0) === 0x7f454c46) return "linux";
  if ([0xfeedfacf, 0xcffaedfe, 0xcafebabe].includes(header.readUInt32BE(0))) return "darwin";
  return header.toString("latin1", 0, 2) === "MZ" ? "win32" : undefined;
}
