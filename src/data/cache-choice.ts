/** How much is kept of what was decoded, and where: what `cache` may be, and what it means on this machine. */
import { freemem } from "node:os";
import type { Kind } from "../settings/kind.js";
import { setting } from "../settings/table.js";

/** What a text says: memory as bytes or as a share of what is free, or a folder and how large it may become. */
interface CacheChoice {
  readonly bytes?: number;
  readonly share?: number;
  readonly folder?: string;
  readonly folderBytes?: number;
}

/** How much is kept, and where. */
export interface CachePlan {
  /** Memory for decoded images. */
  readonly bytes: number;
  /** Where they are kept on disk, too. */
  readonly folder?: string | undefined;
  /** What the folder may hold; half of what is free there unless told. */
  readonly folderBytes?: number | undefined;
}

/** Of the memory that is free: enough is left for the network, and for others. */
const usualShare = 0.25;

const sizePattern = /^(\d+(?:\.\d+)?) ?([kMGT]?)(i?)B$/i;
const sharePattern = /^(\d+(?:\.\d+)?) ?%$/;

function sizeOf(text: string): number | undefined {
  const [, number, prefix = "", binary] = sizePattern.exec(text) ?? [];
  if (number === undefined) return undefined;
  const power = ["", "k", "m", "g", "t"].indexOf(prefix.toLowerCase());
  return Math.round(Number(number) * (binary ? 1024 : 1000) ** power);
}

function choiceOf(text: string): CacheChoice | undefined {
  if (text === "off") return { bytes: 0 };
  const bytes = sizeOf(text);
  if (bytes !== undefined) return { bytes };
  const percent = Number(sharePattern.exec(text)?.[1]);
  if (percent <= 100) return { share: percent / 100 };
  const [, folder = text, size = ""] = /^(.+):([^/\\:]+)$/.exec(text) ?? [];
  const folderBytes = sizeOf(size);
  if (folderBytes !== undefined) return isFolder(folder) ? { folder, folderBytes } : undefined;
  return isFolder(text) ? { folder: text } : undefined;
}

/** A word alone is taken for a slip: a folder here is written "./cache". */
const isFolder = (text: string): boolean => /[\\/]/.test(text) || text === "." || text === "..";

/** What `cache` may be. */
export const cacheChoices: Kind<string> = {
  range:
    "off, memory such as 2GB or 25%, or a folder such as ./cache, which may be followed by its size, as in ./cache:50GB",
  holds: (value) => typeof value === "string" && choiceOf(value) !== undefined,
  parse: (text) => text.trim(),
};

/** The setting that says where decoded images are kept. What comes out of a run does not depend on it. */
export const cacheRows = {
  /** "off", memory as "2GB" or "25%" of what is free, or a folder ("./cache", "./cache:50GB"); "25%" unless told. */
  cache: setting({
    kind: cacheChoices,
    default: "25%",
    flag: "--cache <where>",
    words: "keeps decoded images: off, memory (2GB, 25%), or a folder (./cache)",
    alsoKnownAs: ["cacheSize", "cacheDir", "cacheFolder"],
  }),
};

/** What a choice means here and now. */
export function cachePlan(cache: string = cacheRows.cache.default as string): CachePlan {
  const { bytes, share = usualShare, folder, folderBytes } = choiceOf(cache) ?? {};
  return { bytes: bytes ?? Math.floor(share * availableMemory()), folder, folderBytes };
}

/** What this process may still take, as the system says it, and the limit of a container. */
function availableMemory(): number {
  return process.availableMemory?.() ?? freemem();
}
