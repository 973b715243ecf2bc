/**
 * The control plane: common calls of all ranks over TCP, for what is small and has to be agreed on. Each call has a number and a
 * name, so that ranks that are not at the same place find out instead of taking one thing for another.
 */
import { hostname } from "node:os";
import { DistributedError } from "../errors.js";
import { packageVersion } from "../native/package-version.js";
import { packList, packPart, unpackList, unpackPart } from "./frames.js";
import type { Address } from "./launch.js";
import type { Failure, LineEvent } from "./line.js";
import { type OpenLine, openLine } from "./open-line.js";

/** What ranks are told to find each other. */
export interface JoinOptions {
  readonly rank: number;
  readonly worldSize: number;
  readonly address: Address;
  readonly token: string;
  /** Seconds that they wait for each other. */
  readonly patience: number;
  /** Called once, with a sentence, where it takes long. */
  readonly onWaiting?: ((news: string) => void) | undefined;
}

/** Makes one answer of what the ranks gave, in their order; all of it, unless told. */
export type Combine = (parts: readonly Uint8Array[]) => readonly Uint8Array[];

interface Call {
  readonly name: string;
  readonly resolve: (parts: Uint8Array[]) => void;
  readonly reject: (error: Error) => void;
}

export class Control {
  readonly #options: JoinOptions;
  readonly #line: OpenLine;
  #joined: (() => void) | undefined;
  #refused: ((error: Error) => void) | undefined;
  #number = 0;
  #call: Call | undefined;
  /** On rank 0: calls that all have given to. */
  #concluded = 0;
  /** On rank 0: what has come for the next one, by ranks. */
  readonly #parts = new Map<number, { name: string; bytes: Uint8Array }>();
  #combine: Combine = (parts) => parts;
  readonly #left = new Set<number>();
  #failure: DistributedError | undefined;
  readonly #failed: Promise<never>;
  #fail: (error: DistributedError) => void = () => {};

  private constructor(options: JoinOptions, open: typeof openLine) {
    this.#options = options;
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => {}); // Heard by whoever waits.
    const { rank, worldSize, address, token, patience } = options;
    const self = { rank, worldSize, version: packageVersion, host: hostname(), pid: process.pid };
    this.#line = open({ address, token, patience, self }, (event) => this.#hear(event));
  }

  /**
   * Resolves when all ranks are there.
   *
   * @param open  opens the line; default: in a thread of its own, which ends the process with the job
   * @throws DistributedError saying who is not, or who does not belong
   */
  static async join(options: JoinOptions, open = openLine): Promise<Control> {
    const control = new Control(options, open);
    try {
      await new Promise<void>((resolve, reject) => {
        control.#joined = resolve;
        control.#refused = reject;
      });
    } catch (error) {
      await control.#line.close();
      throw error;
    }
    control.#line.expect(false);
    return control;
  }

  get rank(): number {
    return this.#options.rank;
  }

  /** Rejects when something goes wrong on another rank. */
  get failed(): Promise<never> {
    return this.#failed;
  }

  /**
   * Gives bytes, and gets what all gave, in the order of ranks; or what rank 0 makes of it.
   *
   * @throws DistributedError if a rank failed, has left, or is at another call
   */
  async exchange(name: string, bytes: Uint8Array, combine?: Combine): Promise<Uint8Array[]> {
    if (this.#failure) throw this.#failure;
    if (this.#call)
      throw new DistributedError(
        `group: "${name}" was called while "${this.#call.name}" is not done: await one before the next.`,
      );
    const number = this.#number++;
    this.#combine = combine ?? ((parts) => parts);
    this.#line.expect(true);
    try {
      return await new Promise<Uint8Array[]>((resolve, reject) => {
        this.#call = { name, resolve, reject };
        if (this.#options.rank === 0) this.#take(0, packPart(number, name, bytes));
        else this.#line.order({ type: "part", bytes: packPart(number, name, bytes) });
        this.#expectPresent();
      });
    } finally {
      this.#call = undefined;
      this.#line.expect(false);
    }
  }

  /** Tells all ranks that something went wrong here: their present common call, or the next one, throws it. */
  fail(message: string, { stopped = false } = {}): void {
    if (this.#failure) return; // They know of one.
    this.#line.order({ type: "failure", message, stopped });
    this.#hear({ type: "failure", rank: this.#options.rank, message, stopped });
  }

  /** Says goodbye. Ranks that still wait for this one are told so. */
  async close(): Promise<void> {
    this.#line.order({ type: "leave" });
    await this.#line.close();
  }

  #hear(event: LineEvent): void {
    try {
      this.#understand(event);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.fail(`what came from another rank is damaged: ${error.message}`);
    }
  }

  #understand(event: LineEvent): void {
    switch (event.type) {
      case "waiting":
        this.#options.onWaiting?.(event.news);
        break;
      case "complete":
        this.#joined?.();
        break;
      case "refused":
        this.#refused?.(new DistributedError(event.reason, { tryAgain: true }));
        break;
      case "part":
        this.#take(event.rank, event.bytes);
        break;
      case "answer":
        this.#call?.resolve(unpackList(event.bytes));
        break;
      case "failure":
        this.#break(this.#failureOf(event));
        break;
      case "left":
        this.#left.add(event.rank);
        this.#expectPresent();
        break;
      case "end":
        this.#break(new DistributedError(event.reason, { tryAgain: true }));
        break;
    }
  }

  #failureOf({ rank, message, stopped }: Failure): DistributedError {
    const where = rank === this.#options.rank ? "" : `rank ${rank}: `;
    return new DistributedError(`${where}${message}`, { rank, stopped });
  }

  #break(error: DistributedError): void {
    this.#failure ??= error;
    this.#fail(error);
    this.#call?.reject(error);
  }

  /** On rank 0: a rank's part of the next call, where it may be before rank 0 itself. */
  #take(rank: number, packed: Uint8Array): void {
    const { number, name, bytes } = unpackPart(packed);
    if (number !== this.#concluded || this.#parts.has(rank))
      throw new RangeError(`rank ${rank} gave to call ${number}, where ${this.#concluded} is the next`);
    this.#parts.set(rank, { name, bytes });
    this.#conclude();
  }

  #conclude(): void {
    const { worldSize } = this.#options;
    if (!this.#call || this.#parts.size < worldSize) return;
    const inOrder = Array.from({ length: worldSize }, (_, rank) => this.#parts.get(rank));
    this.#parts.clear();
    this.#concluded += 1;
    const own = this.#call.name;
    const other = inOrder.findIndex((part) => part?.name !== own);
    if (other >= 0) {
      this.fail(
        `rank ${other} is at "${inOrder[other]?.name}", rank 0 at "${own}": all ranks have to make the same calls in the same order`,
      );
      return;
    }
    try {
      const answer = packList(this.#combine(inOrder.map((part) => part?.bytes ?? new Uint8Array(0))));
      this.#line.order({ type: "answer", bytes: answer });
      this.#call.resolve(unpackList(answer));
    } catch (error) {
      this.fail((error as Error).message);
    }
  }

  /** A rank that has left gives nothing any more. */
  #expectPresent(): void {
    const rank = [...this.#left].find((rank) => !this.#parts.has(rank));
    if (!this.#call || rank === undefined) return;
    this.#break(
      new DistributedError(
        `rank ${rank} has left, while rank ${this.#options.rank} waits for it at "${this.#call.name}": all ranks have to make the same calls.`,
      ),
    );
  }
}
