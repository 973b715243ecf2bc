/**
 * Rank 0 listens, all others connect to it: joining, heartbeats, and frames from one to all. What frames of common calls mean is
 * `control.ts`' business.
 *
 * A rank is gone when its connection ends without a goodbye (its process died: known at once), or when it is silent for longer
 * than the limit (it is frozen, its machine is down, or a cable is out). Either ends the job for all.
 */
import type { Introduction } from "./admission.js";
import type { Address } from "./launch.js";

/** Seconds between two signs of life. */
export const pulseSeconds = 0.5;
/** Seconds of silence after which a rank is given up. */
export const silenceSeconds = 8;
/** Seconds that a stranger has to say who it is. */
export const introductionSeconds = 5;

/** Which job, and as whom one joins it. */
export interface Membership {
  readonly address: Address;
  readonly token: string;
  readonly self: Introduction;
  /** Seconds that ranks wait for each other at the start. */
  readonly patience: number;
}

/** Something went wrong on a rank, in its words. */
export interface Failure {
  readonly rank: number;
  readonly message: string;
  /** Whether it was stopped, and nothing is wrong. */
  readonly stopped: boolean;
}

/** What a line tells. */
export type LineEvent =
  /** Joining takes long, and why. */
  | { readonly type: "waiting"; readonly news: string }
  /** Everybody is there. */
  | { readonly type: "complete" }
  /** It will not come to that. */
  | { readonly type: "refused"; readonly reason: string }
  /** To rank 0: what a rank gives to a common call. */
  | { readonly type: "part"; readonly rank: number; readonly bytes: Uint8Array }
  /** What comes of it. */
  | { readonly type: "answer"; readonly bytes: Uint8Array }
  | ({ readonly type: "failure" } & Failure)
  /** A rank is done. */
  | { readonly type: "left"; readonly rank: number }
  /** The job ends now, with a sentence for people. */
  | { readonly type: "end"; readonly reason: string };

/** What it is told. */
export type LineOrder =
  | { readonly type: "part"; readonly bytes: Uint8Array }
  | { readonly type: "answer"; readonly bytes: Uint8Array }
  | { readonly type: "failure"; readonly message: string; readonly stopped: boolean }
  | { readonly type: "leave" };

/** Milliseconds of silence after which a rank has to join anew, while others still do. */
export const longestPause = ({ patience }: Membership): number => 1000 * Math.min(5, patience);

/** Milliseconds of joining after which it is said who is missing. */
export const newsAfter = ({ patience }: Membership): number => 1000 * Math.min(10, patience / 2);

/** One end of the connections. */
export interface Line {
  order(order: LineOrder): void;
  /** Resolves when what was ordered is on its way, and nothing is held any more. */
  close(): Promise<void>;
}

/** "rank 1 (process 4711 on gpu2)" */
export const nameOf = ({ rank, host, pid }: Introduction): string =>
  `rank ${rank} (process ${pid} on ${host})`;

/** What is said of a rank that is not there any more. */
export const goneWords = (who: string): string =>
  `${who} is gone: its process has ended, or its machine cannot be reached. The job ends; a training goes on from its last checkpoint with --resume.`;

/** What is said of a rank that does not answer. */
export const frozenWords = (who: string): string =>
  `${who} has not been heard of for ${silenceSeconds} seconds: it is frozen, or its machine cannot be reached. The job ends; a training goes on from its last checkpoint with --resume.`;

/** Calls `tick` at every pulse with whether time went by as it should: not in a process that was frozen itself. */
export function everyPulse(tick: (now: number, wasAwake: boolean) => void): NodeJS.Timeout {
  let last = performance.now();
  return setInterval(() => {
    const now = performance.now();
    tick(now, now - last < 1000 * (pulseSeconds + 2));
    last = now;
  }, 1000 * pulseSeconds);
}
