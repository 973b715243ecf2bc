/** Processes that work together: what they add up, gather, and agree on. */
import { ArgumentError, DistributedError, DTypeError } from "../errors.js";
import { loadAddon } from "../native/load.js";
import { expectCounts, expectJson, inWords } from "../settings/given.js";
import type { Device } from "../tensor/device.js";
import { Tensor } from "../tensor/tensor.js";
import { type Connection, connectEngine, type EngineWish } from "./connection.js";
import type { Control } from "./control.js";
import { exitNow } from "./ending.js";
import { decoded, encoded } from "./frames.js";
import { relayBroadcast, relaySum } from "./relay.js";

/** Which of how many a process is, and who started it. */
export interface Place {
  /** Number of this process, from 0. */
  readonly rank: number;
  /** Processes in all. */
  readonly worldSize: number;
  /** Number of this process on its machine, from 0. */
  readonly localRank: number;
  /** Who started it, for people. */
  readonly launcher: string;
}

/** What carried the sums, plain JSON: part of what a checkpoint says of its origin. */
export interface Carriage {
  /** Processes in all. */
  readonly worldSize: number;
  /** "nccl", "mpi" or "tcp"; null where nothing was added up yet. */
  readonly engine: string | null;
  /** As it calls itself; null of "tcp". */
  readonly engineVersion: string | null;
  /** Who added: "rank order" has the same bits whatever the engine, "engine" is NCCL or MPI itself. */
  readonly reduction: "rank order" | "engine";
  /** MB of gradients that were added up at once while backward went on; 0 where they waited for its end. */
  readonly overlap: number;
}

/**
 * Processes that work together, as one of them sees it. All of them have to make the same calls in the same order. Close it with
 * `close`, or `await using`.
 *
 * A rank that dies ends the processes of all others within two seconds, one that freezes within ten, with a sentence and exit code
 * 75; nothing in the process runs any more, as it may be waiting for the rank that is gone.
 */
export class Group implements Place {
  readonly rank: number;
  readonly worldSize: number;
  readonly localRank: number;
  readonly launcher: string;
  readonly #control: Control | undefined;
  readonly #wish: EngineWish;
  readonly #connections = new Map<Device, Connection>();
  readonly #closed: () => void;
  #isClosed = false;
  #hasFailed = false;

  /** @internal */
  constructor(place: Place, control: Control | undefined, wish: EngineWish, closed: () => void) {
    this.rank = place.rank;
    this.worldSize = place.worldSize;
    this.localRank = place.localRank;
    this.launcher = place.launcher;
    this.#control = control;
    this.#wish = wish;
    this.#closed = closed;
    control?.failed.catch(() => {
      this.#hasFailed = true;
      // What is queued may wait for a rank that is gone, and the end of the process for that.
      process.once("exit", (code) => exitNow(code));
    });
  }

  /**
   * Every rank's values become the sum over ranks, in place: in double precision, one rank after another, rounded once, with the same
   * bits on all ranks and by every engine. Queued, as operations are: `await values.data()` waits for it.
   *
   * @param values  float32, of one shape on all ranks
   */
  async sum(values: Tensor): Promise<void> {
    this.#expectTensor("sum", values);
    if (values.dtype !== "float32")
      throw new DTypeError(`group.sum: the values are ${values.dtype}, but float32 alone is added up.`);
    if (this.isIdle) return;
    const { communicator } = await this.connect(values.device);
    if (communicator) communicator.sum(values);
    else if (this.#control) await relaySum(this.#control, values);
  }

  /** @internal `sum` over the control plane, of values that are on their way to the host. */
  async sumOnHost(values: Tensor, host: ReturnType<Tensor["data"]>): Promise<void> {
    if (this.#control) await relaySum(this.#control, values, host);
  }

  /**
   * Every rank's values become those of one of them, in place.
   *
   * @param values  of one shape and type on all ranks
   * @param root    whose; default 0
   */
  async broadcast(values: Tensor, root = 0): Promise<void> {
    this.#expectTensor("broadcast", values);
    expectCounts("group.broadcast", { root }, 0);
    if (root >= this.worldSize)
      throw new ArgumentError(`group.broadcast: there is no rank ${root} among ${this.worldSize}.`);
    if (this.isIdle) return;
    const { communicator } = await this.connect(values.device);
    if (communicator) communicator.broadcast(values, root);
    else if (this.#control) await relayBroadcast(this.#control, values, root);
  }

  /**
   * What every rank gives, on every rank, in the order of ranks.
   *
   * @param value  plain JSON
   */
  async gather<T>(value: T): Promise<T[]> {
    expectJson("group.gather", "the value", value);
    return this.gatherAt("gather", value);
  }

  /** Resolves when all ranks have come here. */
  async barrier(): Promise<void> {
    await this.gatherAt("barrier", null);
  }

  /** What carries the sums. */
  get carriage(): Carriage {
    const [connection] = this.#connections.values();
    const { engine = null, version = null, reduction = "rank order", overlap = 0 } = connection ?? {};
    return { worldSize: this.worldSize, engine, engineVersion: version, reduction, overlap };
  }

  /** @internal `gather` at a place with a name, for messages. */
  async gatherAt<T>(name: string, value: T): Promise<T[]> {
    const parts = await this.gatherBytes(name, encoded(value));
    return parts.map((bytes) => decoded(bytes) as T);
  }

  /** @internal Bytes of every rank, in their order. */
  async gatherBytes(name: string, bytes: Uint8Array): Promise<Uint8Array[]> {
    this.#expectOpen();
    return this.#control ? this.#control.exchange(name, bytes) : [bytes];
  }

  /**
   * @internal Compares what has to be the same everywhere.
   *
   * @throws DistributedError on all ranks, naming what differs
   */
  async expectSame(what: string, value: object): Promise<void> {
    const all = await this.gatherAt(what, value);
    const first = all[0] as Record<string, unknown>;
    for (const [rank, own] of all.entries()) {
      const other = own as Record<string, unknown>;
      const names = new Set([...Object.keys(first), ...Object.keys(other)]);
      const differing = [...names].filter(
        (name) => JSON.stringify(first[name]) !== JSON.stringify(other[name]),
      );
      if (differing.length === 0) continue;
      const shown = differing.map((name) => `${name} ${brief(other[name])}, on rank 0 ${brief(first[name])}`);
      throw new DistributedError(
        `rank ${rank} has other ${what} than rank 0 (${shown.join("; ")}): start all ranks with the same.`,
        { rank },
      );
    }
  }

  /** @internal The engine for a device, chosen by all ranks together at the first call. */
  async connect(device: Device): Promise<Connection> {
    this.#expectOpen();
    const known = this.#connections.get(device);
    if (known) return known;
    const connection = await connectEngine(this, device, this.#wish);
    this.adopt(device, connection);
    return connection;
  }

  /** @internal Takes a connection that was made before. */
  adopt(device: Device, connection: Connection): void {
    this.#connections.set(device, connection);
  }

  /** @internal Whether there is nobody to talk to. */
  get isAlone(): boolean {
    return this.worldSize === 1;
  }

  /** @internal Tells all ranks that this one cannot go on. */
  fail(error: unknown, { stopped = false } = {}): void {
    if (error instanceof DistributedError && error.rank !== undefined) return; // They know.
    const message = error instanceof Error ? error.message : String(error);
    this.#control?.fail(message, { stopped });
  }

  /** @internal What a promise gives, unless another rank fails before: it may wait for that one. */
  readonly unlessFailed = async <T>(promise: Promise<T>): Promise<T> => {
    if (!this.#control) return promise;
    let done = false;
    promise.then(
      () => {
        done = true;
      },
      () => {
        done = true;
      },
    );
    try {
      return await Promise.race([promise, this.#control.failed]);
    } catch (error) {
      // A sum that waits for the other rank would keep the process from its end.
      if (!done) setTimeout(() => process.exit(process.exitCode ?? 1), 1000 * patienceAtEnd).unref();
      throw error;
    }
  };

  /** Leaves the group. Ranks that still wait for this one are told so. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closed();
    // Its end is one for all ranks, too.
    if (!this.#hasFailed)
      for (const { communicator } of this.#connections.values()) await communicator?.close();
    this.#connections.clear();
    await this.#control?.close();
  }

  /** `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal Whether sums are what they were: alone, and no engine was asked for. */
  get isIdle(): boolean {
    this.#expectOpen();
    return this.isAlone && this.#wish.engine === "auto";
  }

  #expectOpen(): void {
    if (this.#isClosed) throw new DistributedError("this group was used after it was closed.");
  }

  #expectTensor(call: string, values: unknown): void {
    if (!(values instanceof Tensor))
      throw new ArgumentError(`group.${call}: a tensor is needed, not ${inWords(values)}.`);
    void values.handle; // Of one that was disposed there is none.
  }
}

/** Seconds that a program has to end by itself when a rank that it waits for has failed. */
const patienceAtEnd = 5;

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** @internal What has to be the same in all processes before anything else. */
export const software = () => ({ "native interface": loadAddon().abiVersion });
