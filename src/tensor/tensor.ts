/**
 * The tensor: a shape over device memory. Always dense and row-major; a view shares memory with its base.
 *
 * Arithmetic and other operations are methods too (`a.add(b)`), installed by `src/ops/methods.ts`; `backward` is
 * installed by `tape.ts`.
 */

import { ArgumentError, DisposedError, DTypeError, ShapeError } from "../errors.js";
import type { NativeBuffer } from "../native/addon.js";
import { inWords, listInWords, type NamesOf, optionsOf } from "../settings/given.js";
import { typedArrayKind } from "../settings/realms.js";
import { apart, type Device, guarded } from "./device.js";
import { type DeviceLike, resolveDevice } from "./devices.js";
import {
  codeOf,
  type DType,
  dtypeOf,
  dtypes,
  expectDType,
  type HostArray,
  type HostArrays,
  hostArray,
} from "./dtype.js";
import { enterScope } from "./scope.js";
// A circle of types only: the tape is made of tensors, and a tensor remembers its place on the tape. Nothing here runs tape.ts,
// which adds `backward` to the class.
import type { Node } from "./tape.js";

/** What a tensor can be told when it is made. */
export interface TensorOptions {
  /** Default: that of the data, float32 for numbers. */
  dtype?: DType;
  /** Default "cpu". */
  device?: DeviceLike;
  /** Collect a gradient for this tensor in `backward()`; default false. */
  requiresGrad?: boolean;
}

/** @internal Names of `TensorOptions`. */
export const tensorOptions: NamesOf<TensorOptions> = { dtype: true, device: true, requiresGrad: true };

const counters = new FinalizationRegistry<{ tensors: number }>((live) => {
  live.tensors -= 1;
});

/**
 * Numbers on a device: a shape over memory, always dense and row-major. Calls queue work and return at once; `data` and
 * `item` wait. Memory is given back by `dispose`, by `tidy`, or by the garbage collector in the end.
 */
export class Tensor {
  /** Whether `backward()` computes a gradient for it, or through it. */
  requiresGrad = false;
  /** The gradient that `backward()` collected (leaves only), or null. */
  grad: Tensor | null = null;
  /** @internal Where backward puts this leaf's gradient: a slice of its optimiser's flat buffer. */
  gradTarget: Tensor | null = null;
  /** @internal The operation that made this tensor. */
  node: Node | undefined;
  /** Set by `keep`: neither a scope nor the tape disposes it. */
  kept = false;
  /** @internal Another handle on `gradTarget`'s memory that backward gives as `grad`, again and again. */
  gradSlice: Tensor | null = null;
  // Kernels believe these, so that nobody but the constructor may set them, TypeScript or not.
  readonly #shape: readonly number[];
  readonly #size: number;
  readonly #dtype: DType;
  #device: Device;
  #buffer: NativeBuffer;
  #disposed: "no" | "by its owner" | "by the tape" = "no";

  /** @param shape  of `ownShape`, or another tensor's: frozen, and nobody else's to change */
  private constructor(shape: readonly number[], dtype: DType, device: Device, buffer: NativeBuffer) {
    this.#shape = shape;
    this.#size = product(shape);
    this.#dtype = dtype;
    this.#device = device;
    this.#buffer = buffer;
    this.#count();
    enterScope(this);
  }

  /** Extents of the axes, frozen; [] is a scalar. */
  get shape(): readonly number[] {
    return this.#shape;
  }

  /** Type of the elements. */
  get dtype(): DType {
    return this.#dtype;
  }

  /** Where it is. Only `Module.to` changes it; `to(device)` makes another tensor. */
  get device(): Device {
    return this.#device;
  }

  #count(): void {
    this.#device.live.tensors += 1;
    counters.register(this, this.#device.live, this);
  }

  #uncount(): void {
    this.#device.live.tensors -= 1;
    counters.unregister(this);
  }

  /** A tensor whose memory is uninitialised: for outputs that an operation overwrites. */
  static empty(shape: readonly number[], options: Omit<TensorOptions, "requiresGrad"> = {}): Tensor {
    // A tensor stands for its own dtype and device.
    const { dtype = "float32" } =
      options instanceof Tensor ? options : optionsOf("Tensor.empty", options, tensorOptions);
    expectDType("Tensor.empty", dtype);
    return Tensor.#allocated(ownShape(shape), dtype, resolveDevice(options.device));
  }

  /** Uninitialised, with the shape, dtype and device of another. @throws ArgumentError if that is no tensor */
  static like(other: Tensor): Tensor {
    if (!(other instanceof Tensor))
      throw new ArgumentError(`Tensor.like: a tensor is needed, not ${inWords(other)}.`);
    return Tensor.#allocated(other.#shape, other.#dtype, other.#device);
  }

  static #allocated(shape: readonly number[], dtype: DType, device: Device): Tensor {
    return new Tensor(shape, dtype, device, device.allocate(product(shape) * dtypes[dtype].bytes));
  }

  /** Number of elements. */
  get size(): number {
    return this.#size;
  }

  /** @internal The memory, for a call to the device. */
  get handle(): NativeBuffer {
    if (this.#disposed !== "no") {
      throw new DisposedError(
        this.#disposed === "by the tape"
          ? `this tensor (${this.describe()}) was an intermediate result that backward() freed: read it before, or ` +
              "protect it with keep(tensor), or call backward({ retainGraph: true })."
          : `this tensor (${this.describe()}) was used after dispose().`,
      );
    }
    return this.#buffer;
  }

  /** Whether its memory was given back. */
  get disposed(): boolean {
    return this.#disposed !== "no";
  }

  /**
   * The same memory under another shape, from `offset` elements on, without a place on the tape.
   *
   * @throws ShapeError if that reaches beyond this tensor, or is no whole number of elements
   */
  view(shape: readonly number[], offset = 0): Tensor {
    const { bytes } = dtypes[this.dtype];
    const own = shape === this.#shape ? shape : ownShape(shape);
    const size = product(own);
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new ShapeError(
        `view: ${inWords(offset)} is no element to begin at: elements are counted from 0.`,
      );
    if (offset + size > this.size) {
      throw new ShapeError(
        `view: (${listInWords(shape)}) at element ${offset} reaches beyond ${this.describe()}.`,
      );
    }
    const { handle } = this;
    return new Tensor(
      own,
      this.dtype,
      this.device,
      guarded(() => handle.view(offset * bytes, size * bytes)),
    );
  }

  /** Another handle on the same memory that lives on its own and has no gradient. */
  detach(): Tensor {
    return this.view(this.shape);
  }

  /** Copies to the host. Resolves when all work before it is done; bfloat16 is read as float32. */
  async data<D extends DType = "float32">(this: Tensor): Promise<HostArrays[D]> {
    if (this.dtype === "bfloat16") {
      const wide = this.cast("float32");
      return wide.data<"float32">().finally(() => wide.dispose()) as Promise<HostArrays[D]>;
    }
    const host: HostArray = hostArray(this.dtype, this.size);
    await this.device.download(this.handle, host);
    return host as HostArrays[D];
  }

  /** The value of a tensor of one element. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item: ${this.describe()} has ${this.size} elements, not one.`);
    return Number((await this.data<DType>())[0]);
  }

  /** A copy with its own memory, without gradient. */
  clone(): Tensor {
    const copy = Tensor.like(this);
    copy.copyFrom(this);
    return copy;
  }

  /** @internal A copy converted to another dtype, without gradient. */
  cast(dtype: DType): Tensor {
    expectDType("cast", dtype);
    const y = Tensor.#allocated(this.#shape, dtype, this.#device);
    const codes = { x_dtype: codeOf(this.dtype), y_dtype: codeOf(dtype) };
    this.device.call("cast", { count: this.size, ...codes, x: this, y });
    return y;
  }

  /** @internal A copy on another device, without gradient: queued behind what is queued on either. */
  copyTo(device: Device): Tensor {
    const copy = Tensor.#allocated(this.#shape, this.#dtype, device);
    device.receive(copy.#buffer, this.#device, this.handle);
    return copy;
  }

  /** @internal Gives its memory back and takes the place and memory of `other`, of the same shape, which is spent. */
  become(other: Tensor): void {
    this.#buffer.dispose();
    this.#uncount();
    this.#device = other.#device;
    this.#buffer = other.handle.view(0, other.handle.byteLength);
    this.#count();
    other.dispose();
  }

  /**
   * Overwrites this tensor's elements with those of another of the same size, converting the dtype.
   *
   * @throws ShapeError if the sizes differ
   * @throws ArgumentError if the devices differ: `to(device)` moves between devices
   */
  copyFrom(source: Tensor): this {
    if (!(source instanceof Tensor))
      throw new ArgumentError(`copyFrom: the source has to be a tensor, but is ${inWords(source)}.`);
    if (source.size !== this.size) {
      throw new ShapeError(`copyFrom: ${source.describe()} does not fill ${this.describe()}.`);
    }
    if (source.device !== this.device) {
      throw new ArgumentError(`copyFrom: ${apart("the source", source.device, "the target", this.device)}`);
    }
    const codes = { x_dtype: codeOf(source.dtype), y_dtype: codeOf(this.dtype) };
    this.device.call("cast", { count: this.size, ...codes, x: source, y: this });
    return this;
  }

  /**
   * Overwrites this tensor's elements with host data, in stream order; the array may be reused at once.
   *
   * @throws DTypeError if the array's element type is not this tensor's
   */
  upload(source: HostArray): this {
    const kind = typedArrayKind(source);
    if (kind === undefined)
      throw new ArgumentError(`upload: the source has to be a typed array, but is ${inWords(source)}.`);
    if (source.length !== this.size) {
      throw new ShapeError(`upload: ${source.length} values do not fill ${this.describe()}.`);
    }
    if (dtypeOf(source) !== this.dtype && !(this.dtype === "bfloat16" && kind === "Uint16Array")) {
      throw new DTypeError(`upload: ${kind} does not hold ${this.dtype}.`);
    }
    this.device.upload(this.handle, source);
    return this;
  }

  /** Gives the memory back now. Idempotent; the tensor cannot be used afterwards. */
  dispose(): void {
    this.#release("by its owner");
  }

  /** @internal `dispose`, for an intermediate result at the end of backward. */
  disposeByTape(): void {
    this.node = undefined;
    if (!this.kept) this.#release("by the tape");
  }

  #release(disposed: "by its owner" | "by the tape"): void {
    if (this.#disposed !== "no") return;
    this.#disposed = disposed;
    this.#buffer.dispose();
    this.#uncount();
    this.grad?.dispose();
    this.gradSlice?.dispose();
    this.gradTarget?.dispose();
    this.node = undefined;
  }

  /** `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** "float32 (2, 3)": for messages. */
  describe(): string {
    return `${this.dtype} (${this.shape.join(", ")})`;
  }

  /** "Tensor float32 (2, 3) on cpu" */
  toString(): string {
    return `Tensor ${this.describe()} on ${this.device}`;
  }
}

/**
 * Product of the extents.
 *
 * @throws ShapeError if an extent is negative or not an integer
 */
export function sizeOf(shape: readonly number[]): number {
  return product(ownShape(shape));
}

/** A copy that nobody can change, of which every extent has been looked at. @throws ShapeError as `sizeOf` */
function ownShape(shape: readonly number[]): readonly number[] {
  if (!Array.isArray(shape)) throw notAShape(shape);
  const own: number[] = [];
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) throw notAShape(shape);
    own.push(extent);
  }
  return Object.freeze(own);
}

function product(shape: readonly number[]): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

function notAShape(shape: unknown): ShapeError {
  return new ShapeError(`(${listInWords(shape)}) is not a shape: extents are non-negative integers.`);
}
