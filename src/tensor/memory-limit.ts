/** How much of a device's memory a process may take: in bytes, or as a share of what the device has. */
import { ArgumentError } from "../errors.js";
import { inWords } from "../settings/given.js";
import type { Kind } from "../settings/kind.js";

/** Bytes, "8GB" (10^9 bytes each), "8GiB" (2^30), or a share of the device's memory: "50%", or a number up to 1. */
export type MemoryLimit = number | string;

const units: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  ...{ kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12 },
  ...{ kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 },
};
const range = 'bytes, such as 8GB or 500MiB, or a share of the device\'s memory, such as "50%" or 0.5';

/** The limit of who says nothing. */
const variable = "MEDMAMBA_MEMORY_LIMIT";

/** The flag's values. */
export const memoryLimitKind: Kind<MemoryLimit> = {
  range,
  written: range.replaceAll('"', ""),
  holds: (value) => read(value) !== undefined,
  parse: (text) => text,
};

/**
 * What the addon takes for it: bytes, or up to 1 a share of all; 0 is no limit.
 *
 * @param limit  undefined: that of `MEDMAMBA_MEMORY_LIMIT`, or none
 * @throws ArgumentError for what is no amount
 */
export function nativeMemoryLimit(limit: MemoryLimit | undefined): number {
  const ofEnvironment = process.env[variable];
  const [name, given] = limit === undefined ? [variable, ofEnvironment || undefined] : ["memoryLimit", limit];
  if (given === undefined) return 0;
  const amount = read(given);
  if (amount === undefined) throw new ArgumentError(`${name} has to be ${range}, not ${inWords(given)}.`);
  return amount;
}

/** Undefined for what is none. */
function read(limit: unknown): number | undefined {
  if (typeof limit === "number") return within(limit, 0);
  if (typeof limit !== "string") return undefined;
  const written = /^\s*(\d+(?:\.\d+)?)\s*(%|[kmgt]?i?b|)\s*$/i.exec(limit);
  if (!written) return undefined;
  const [, digits, unit = ""] = written;
  if (unit === "%") return within(Number(digits) / 100, 0, 1);
  // Up to 1, bytes would be taken for a share.
  return within(Number(digits) * (units[unit.toLowerCase()] ?? Number.NaN), unit === "" ? 0 : 1);
}

function within(amount: number, above: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
  return amount > above && amount <= most ? amount : undefined;
}
