/**
 * Who may join: whoever knows the job's token. It is never sent. Each side answers for random bytes of the other's
 * (HMAC-SHA-256), so that neither can be taken for one of the job, and nothing that was overheard can be used again.
 *
 * What follows is not encrypted: ranks belong into a network that is trusted.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** What a rank says of itself. */
export interface Introduction {
  readonly rank: number;
  readonly worldSize: number;
  /** Of this package. */
  readonly version: string;
  readonly host: string;
  readonly pid: number;
}

/** An introduction, and why it may be believed. */
export interface Hello extends Introduction {
  readonly proof: string;
  /** Random, for rank 0 to answer for. */
  readonly challenge: string;
}

export const newChallenge = (): string => randomBytes(16).toString("hex");

/** The answer of `who` for a challenge. */
export function proofOf(token: string, challenge: string, who: string): string {
  return createHmac("sha256", `medmamba ${token}`).update(`${challenge} ${who}`).digest("hex");
}

/** What the proof of a rank is about. */
export const inWordsOf = ({ rank, worldSize, version, host, pid }: Introduction): string =>
  JSON.stringify([rank, worldSize, version, host, pid]);

export function isProof(given: unknown, token: string, challenge: string, who: string): boolean {
  if (typeof given !== "string") return false;
  const [a, b] = [Buffer.from(given), Buffer.from(proofOf(token, challenge, who))];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** @returns undefined for what is no introduction */
export function helloOf(value: unknown): Hello | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const hello = value as Record<keyof Hello, unknown>;
  const isCount = (number: unknown) => Number.isSafeInteger(number) && (number as number) >= 0;
  const counts = [hello.rank, hello.worldSize, hello.pid].every(isCount);
  const texts = [hello.version, hello.host, hello.proof, hello.challenge].every(
    (text) => typeof text === "string" && text.length <= 255,
  );
  return counts && texts ? (hello as unknown as Hello) : undefined;
}
