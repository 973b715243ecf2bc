/**
 * A device's way to the other ranks of a job: sums, what all ranks have, what one rank has.
 *
 * Who moves the bytes adds nothing. A sum is an exchange, after which each rank has everybody's values of its own part; their
 * sum, by the operation that adds up everything else; and a gathering of the parts. So its bits depend on the values and on how
 * many ranks there are, and on no engine, network or version.
 *
 * Every rank has to call the same, in the same order, with tensors of the same sizes. Calls are queued, as operations are. A sum may
 * run beside what is called after it, until it is joined.
 */
import { ArgumentError, DisposedError, DTypeError } from "../errors.js";
import type { NativeBuffer, NativeCommunicator, NativeMeeting } from "../native/addon.js";
import { inWords } from "../settings/given.js";
import type { Field, Fields } from "./arguments.js";
import { apart, type Device, guarded } from "./device.js";
import { dtypes } from "./dtype.js";
import { Tensor } from "./tensor.js";

/**
 * Who adds: "rank order" is the device, in double precision, in an order of ranks that is fixed, and rounded once: the same bits
 * whatever moves them. "engine" is NCCL or MPI itself, which sends less between many machines, in an order that it does not
 * promise.
 */
export type Reduction = "rank order" | "engine";

/** Bytes; parts are of whole lines of memory. */
const line = 64;

/** Bytes up to which values are gathered whole: one message a rank instead of two. */
const short = 16 << 10;

/**
 * Bytes of the values that are on their way at once. Smaller pieces are added while they are in a processor's cache and need less
 * memory; larger ones are fewer times at which ranks wait for each other, which is what costs on machines with other work (pieces of
 * 4 MiB doubled the speed of Open MPI there, and halved that of MPICH). A GPU has more to do for a piece than to move one.
 */
function pieceOf({ engine }: NativeMeeting): number {
  return engine === "nccl" ? 64 << 20 : 16 << 20;
}

/** A device, connected. Obtain it through `Engine.connect`. */
export class Communicator {
  /** Number of this rank, from 0. */
  readonly rank: number;
  /** Ranks in all. */
  readonly worldSize: number;
  /** Who adds in `sum`. */
  readonly reduction: Reduction;
  /** Where its tensors have to be. */
  readonly device: Device;
  readonly #native: NativeCommunicator;
  readonly #piece: number;
  readonly #scratch = new Map<string, NativeBuffer>();
  /** Whether calls go beside the device's others, and whether some have gone there that nobody has joined. */
  #beside = false;
  #isPending = false;
  /** Scratch memory that what is beside may still use. */
  readonly #held: NativeBuffer[] = [];

  private constructor(
    device: Device,
    native: NativeCommunicator,
    meeting: NativeMeeting,
    reduction: Reduction,
  ) {
    this.device = device;
    this.#native = native;
    this.#piece = pieceOf(meeting);
    this.rank = meeting.rank;
    this.worldSize = meeting.size;
    this.reduction = reduction;
  }

  /** @internal Waits for the other ranks. Rejects with the reason if they do not meet. */
  static async connect(device: Device, meeting: NativeMeeting, reduction: Reduction): Promise<Communicator> {
    return new Communicator(device, await device.connect(meeting), meeting, reduction);
  }

  /** @internal For the field `communicator` of an operation. @throws DisposedError once it is closed */
  get handle(): NativeCommunicator {
    if (this.#native.closed) throw new DisposedError("this communicator was used after it had been closed.");
    return this.#native;
  }

  /**
   * In place, every rank's values become the sum over ranks, with the same bits on all of them.
   *
   * @param values  float32, equally many on all ranks
   * @throws DTypeError, or ArgumentError for a tensor of another device
   */
  sum(values: Tensor): void {
    this.#expectTensors("sum", { values });
    if (values.dtype !== "float32")
      throw new DTypeError(`sum: values are ${values.dtype}, but float32 alone is added up over ranks.`);
    if (this.reduction === "engine") {
      if (values.size > 0) this.#call("engine_sum", { count: values.size, values, communicator: this });
      return;
    }
    const { worldSize: reduced } = this;
    this.#inParts(values, (x, bytes, y) => {
      this.#call("reduce", { outer: 1, reduced, inner: bytes / 4, scale: 1, x, y });
    });
  }

  /**
   * `sum`, beside what is called from here on, until `join`: values may not be used before. It begins when what was called before
   * is done; several go one after another.
   */
  sumBeside(values: Tensor): void {
    this.#beside = true;
    this.#isPending = true;
    try {
      this.sum(values);
    } finally {
      this.#beside = false;
    }
  }

  /** What is called from here on comes after all sums. */
  join(): void {
    if (!this.#isPending) return;
    this.#isPending = false;
    this.device.join();
    for (const memory of this.#held) memory.dispose();
    this.#held.length = 0;
  }

  /**
   * In place, every rank's values become those of one of them.
   *
   * @param values  of any dtype, equally many on all ranks
   * @param root    whose; default 0
   * @throws ArgumentError for a rank that there is not, or a tensor of another device
   */
  broadcast(values: Tensor, root = 0): void {
    this.#expectTensors("broadcast", { values });
    if (!Number.isSafeInteger(root) || root < 0 || root >= this.worldSize)
      throw new ArgumentError(
        `broadcast: root has to be a rank from 0 to ${this.worldSize - 1}, but is ${inWords(root)}.`,
      );
    this.#inParts(values, (received, bytes, own) => this.#copy(received, root * bytes, own, 0, bytes));
  }

  /**
   * What every rank has, on every rank, in the order of ranks.
   *
   * @param x  equally many values on all ranks
   * @param y  of the same dtype, overwritten; `worldSize` times as many
   * @throws ArgumentError, DTypeError
   */
  gather(x: Tensor, y: Tensor): void {
    this.#expectTensors("gather", { x, y });
    if (x.dtype !== y.dtype) throw new DTypeError(`gather: x is ${x.dtype}, but y is ${y.dtype}.`);
    if (y.size !== x.size * this.worldSize)
      throw new ArgumentError(
        `gather: y has room for ${y.size} values, but ${this.worldSize} ranks have ${x.size} each.`,
      );
    const bytes = x.size * dtypes[x.dtype].bytes;
    if (bytes > 0) this.#call("gather", { bytes, x, y, communicator: this });
  }

  /** Waits for all ranks to do the same. Rejects with the first failure of what was queued on the device. Idempotent. */
  async close(): Promise<void> {
    if (this.#native.closed) return;
    this.join();
    guarded(() => this.#native.close());
    for (const memory of this.#scratch.values()) memory.dispose();
    this.#scratch.clear();
    await this.device.synchronize();
  }

  /**
   * Makes every rank's values the same, a piece at a time: `combine(received, bytes, own)` makes, of what all ranks have for a
   * part of `bytes`, what everybody gets of it.
   */
  #inParts(values: Tensor, combine: (received: Field, bytes: number, own: Field) => void): void {
    const { worldSize } = this;
    const total = values.size * dtypes[values.dtype].bytes;
    // Parts are of whole lines. What is left over is short, and so are some values altogether.
    const step = line * worldSize;
    const inParts = total <= short ? 0 : Math.floor(total / step) * step;
    const pieces = Math.max(1, Math.floor(this.#piece / step)) * step;
    for (let begin = 0; begin < inParts; begin += pieces) {
      const bytes = Math.min(pieces, inParts - begin);
      const part = bytes / worldSize;
      const x = this.#slice(values, begin, bytes);
      // Nobody needs the old values of a part of one's own by then: its new ones go there, and from there to the others.
      const own = this.#slice(values, begin + this.rank * part, part);
      const received = this.#scratchOf("received", bytes);
      this.#call("exchange", { bytes: part, x, y: received, communicator: this });
      combine(received, part, own);
      this.#call("gather", { bytes: part, x: own, y: x, communicator: this });
      for (const slice of [x, own]) slice.handle.dispose();
      this.#done(received);
    }
    const rest = total - inParts;
    if (rest === 0) return;
    const bytes = Math.ceil(rest / line) * line;
    const [own, received] = [this.#scratchOf("own", bytes), this.#scratchOf("received", bytes * worldSize)];
    this.#copy(values, inParts, own, 0, rest);
    this.#call("gather", { bytes, x: own, y: received, communicator: this });
    combine(received, bytes, own);
    this.#copy(own, 0, values, inParts, rest);
    this.#done(own, received);
  }

  #slice(values: Tensor, begin: number, bytes: number): Scratch {
    const { handle } = values;
    return { handle: guarded(() => handle.view(begin, bytes)), device: this.device };
  }

  /**
   * Memory for the length of a call, kept for the next: fresh memory would cost its page faults each time. That of a graph is
   * the graph's own.
   */
  #scratchOf(name: string, bytes: number): Scratch {
    if (this.device.capturing) return { handle: this.device.allocate(bytes), device: this.device };
    let kept = this.#scratch.get(name);
    if (!kept || kept.byteLength < bytes) {
      if (kept) this.#letGo(kept);
      kept = this.device.allocate(bytes);
      this.#scratch.set(name, kept);
    }
    const whole = kept;
    return { handle: guarded(() => whole.view(0, bytes)), device: this.device };
  }

  /** Beside the device's other work, or, as all ranks call in one order, after what is there. */
  #call(operation: string, fields: Fields): void {
    if (this.#beside) this.device.callBeside(operation, fields);
    else {
      this.join();
      this.device.call(operation, fields);
    }
  }

  #done(...used: readonly Scratch[]): void {
    for (const { handle } of used) this.#letGo(handle);
  }

  #letGo(memory: NativeBuffer): void {
    if (this.#isPending) this.#held.push(memory);
    else memory.dispose();
  }

  #copy(x: Field, from: number, y: Field, to: number, bytes: number): void {
    this.#call("copy", {
      dimensions: 1,
      element_size: 1,
      shape: [bytes],
      x_strides: [1],
      y_strides: [1],
      x_offset: from,
      y_offset: to,
      x,
      y,
    });
  }

  #expectTensors(operation: string, tensors: Readonly<Record<string, Tensor>>): void {
    for (const name in tensors) {
      const tensor = tensors[name];
      if (!(tensor instanceof Tensor))
        throw new ArgumentError(`${operation}: ${name} has to be a tensor, but is ${inWords(tensor)}.`);
      if (tensor.device !== this.device)
        throw new ArgumentError(
          `${operation}: ${apart(name, tensor.device, "the communicator", this.device)}`,
        );
    }
    if (this.#native.closed) throw new DisposedError(`${operation}: the communicator has been closed.`);
  }
}

/** A handle on memory of its own; whoever asked for it disposes it. */
interface Scratch extends Field {
  readonly handle: NativeBuffer;
}
