/**
 * The line of this process in a thread of its own, so that signs of life go out while JavaScript computes, and the end of the job
 * ends this process even if it waits for a rank that is gone.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { packageRoot } from "../native/package-root.js";
import { endProcess } from "./ending.js";
import { Hub } from "./hub.js";
import type { Line, LineEvent, LineOrder, Membership } from "./line.js";
import { Spoke } from "./spoke.js";

/** One file serves the modules of dist, its CommonJS bundle, and src under a test runner. */
const program = join(packageRoot, "dist/distributed/line-thread.js");

/** What a thread is told and tells. */
export type ThreadOrder = LineOrder | { readonly type: "close" };
export type ThreadEvent = LineEvent | { readonly type: "closed" };

/** A line that can keep the process waiting. */
export interface OpenLine extends Line {
  /** Whether the process has to stay for what is coming. */
  expect(something: boolean): void;
}

/** Either end, by rank. */
export function lineOf(membership: Membership, tell: (event: LineEvent) => void): Line {
  return membership.self.rank === 0 ? new Hub(membership, tell) : new Spoke(membership, tell);
}

/** Opens the line; where no thread can be had, as in a bundle, in this one. */
export function openLine(membership: Membership, tell: (event: LineEvent) => void): OpenLine {
  if (existsSync(program)) {
    try {
      return new ThreadLine(membership, tell);
    } catch {
      // The system, or Node's permissions, refuse a thread.
    }
  }
  const line = lineOf(membership, (event) => {
    if (event.type === "end") endProcess(membership.self.rank, event.reason);
    tell(event);
  });
  return { order: (order) => line.order(order), close: () => line.close(), expect: () => {} };
}

class ThreadLine implements OpenLine {
  readonly #worker: Worker;
  #closed: (() => void) | undefined;

  constructor(membership: Membership, tell: (event: LineEvent) => void) {
    this.#worker = new Worker(program, { workerData: membership, execArgv: [] });
    this.#worker.on("message", (event: ThreadEvent) => {
      if (event.type === "closed") this.#closed?.();
      else tell(event);
    });
    this.#worker.on("error", (error) => {
      tell({
        type: "refused",
        reason: `the thread that watches over the other ranks ended: ${error.message}.`,
      });
    });
  }

  order(order: LineOrder): void {
    this.#worker.postMessage(order);
  }

  expect(something: boolean): void {
    if (something) this.#worker.ref();
    else this.#worker.unref();
  }

  async close(): Promise<void> {
    this.#worker.ref();
    await new Promise<void>((resolve) => {
      this.#closed = resolve;
      this.#worker.once("exit", () => resolve());
      this.#worker.postMessage({ type: "close" } satisfies ThreadOrder);
    });
    await this.#worker.terminate();
  }
}
