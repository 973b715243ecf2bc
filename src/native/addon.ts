/**
 * The single seam between TypeScript and C++: what the addon exports, typed.
 *
 * Nothing above `src/native` knows about Node-API; nothing below knows about shapes or gradients.
 */

/** Memory of a device. Several handles may share one block; it is released when the last is disposed. */
export interface NativeBuffer {
  readonly byteLength: number;
  readonly disposed: boolean;
  /** Another handle on `byteLength` bytes from `byteOffset`; it keeps the block alive by itself. */
  view(byteOffset: number, byteLength: number): NativeBuffer;
  /**
   * Gives the memory back in stream order: work that is queued already still finds it. Idempotent; every later
   * use of this handle throws MEDMAMBA_DISPOSED.
   */
  dispose(): void;
}

/**
 * A field of an operation's parameter struct, by its type in C:
 *
 * - a pointer: a buffer; left out or undefined means NULL;
 * - `int64_t`, `float`: a number; `int32_t`: a number or boolean;
 * - `int64_t[]`: an array of at most that many numbers, the rest are zero;
 * - an array of pointers: an array of buffers, and the struct's `mm_tensor_list` is one array `counts` beside them;
 * - `mm_communicator *`: a communicator; left out or undefined means NULL;
 * - a struct, such as `attention` or `norm1` of the block: an object with that struct's field names.
 */
export type NativeParameter =
  | NativeBuffer
  | NativeCommunicator
  | readonly NativeBuffer[]
  | number
  | boolean
  | readonly number[]
  | NativeParameters
  | undefined;

export interface NativeParameters {
  readonly [field: string]: NativeParameter;
}

export interface NativeMemory {
  /** Blocks in use and their bytes. */
  readonly live: number;
  readonly liveBytes: number;
  /** The most that `liveBytes` has been. */
  readonly peakBytes: number;
  /** Bytes held from the system: in use and kept for reuse. */
  readonly reservedBytes: number;
}

export interface NativeDescription {
  readonly name: string;
  readonly simd: string;
  readonly threads: number;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Absent if there is none. */
  readonly limitBytes?: number;
}

export interface NativeOperationTime {
  readonly operation: string;
  /** Calls, those of the block's parts included. */
  readonly count: number;
  readonly seconds: number;
}

/**
 * Calls that were captured, to be launched as one. It owns the memory that they work on: what they allocated and what
 * was there before, disposed or not.
 */
export interface NativeGraph {
  readonly disposed: boolean;
  /**
   * Queues a launch. A call that could not be captured fails every launch.
   *
   * @param changes  for each call that varies, in their order, those of its numbers that changed since the last launch;
   *                 default: none. Numbers only: pointers and counts are those of the capture
   */
  launch(changes?: readonly NativeParameters[]): void;
  /** Gives the graph and its memory back in stream order. Idempotent. */
  dispose(): void;
}

/** Who moves bytes between ranks: NCCL between GPUs, MPI between the memories of hosts. */
export type NativeEngine = "nccl" | "mpi";

/** What ranks connect by. */
export interface NativeMeeting {
  readonly engine: NativeEngine;
  /** The engine's library, as the system finds it. */
  readonly library: string;
  /** What `communicatorId` made on rank 0. */
  readonly id: Uint8Array;
  /** From 0 to below `size`. */
  readonly rank: number;
  readonly size: number;
}

/** A stream's way to the other ranks, a field of the operations `exchange`, `gather` and `engine_sum` of collectives.h, and others. */
export interface NativeCommunicator {
  /** Closed by `close`, or with its stream. */
  readonly closed: boolean;
  /** Queues its end, for which every rank waits for the others. A graph that was captured with it fails from then on. Idempotent. */
  close(): void;
}

/** An in-order queue of work on one device. Calls return at once. */
export interface NativeStream {
  readonly backend: string;
  /** Uninitialised memory. Throws MEDMAMBA_OUT_OF_MEMORY with `requestedBytes` and, where known, `freeBytes` and `limitBytes`. */
  allocate(byteLength: number): NativeBuffer;
  /** Copies `source` now (the caller may overwrite it after the call) and queues the transfer. */
  upload(target: NativeBuffer, source: ArrayBufferView): void;
  /**
   * Resolves when `target` holds the bytes; rejects with the first failure of queued work since the last wait. Until then
   * its memory may not be transferred away, and it may not be resizable.
   */
  download(source: NativeBuffer, target: ArrayBufferView): Promise<void>;
  /**
   * Queues a copy of another stream's memory, equally long, into this one's: behind what is queued on either, and
   * without holding up the caller. A failure of earlier work on `source` goes along and rejects the next wait here.
   */
  receive(target: NativeBuffer, source: NativeStream, from: NativeBuffer): void;
  /** Resolves when everything queued so far has run; rejects as `download` does. */
  synchronize(): Promise<void>;
  /**
   * Queues one operation of `native/backend/backend.h` (or of `block.h`, `collectives.h`); `parameters` has the struct's field names.
   * Every number has to be there, except distances between rows (`..._row`), whose default 0 means dense.
   * A missing or unknown field, a handle of another stream, a number where a buffer belongs: throws
   * MEDMAMBA_INVALID_ARGUMENT at the call. A disposed handle: MEDMAMBA_DISPOSED.
   *
   * @param varies  default false; whether launches of the graph that is captured may change its numbers
   * @param beside  default false; whether it runs beside what is called from here on, until `join`: after what was called
   *                before, and what was called so. Its memory may not be disposed, or written to, until then
   */
  call(operation: string, parameters: NativeParameters, varies?: boolean, beside?: boolean): void;
  /** What is called from here on comes after what was called `beside`. */
  join(): void;
  /**
   * Queues the meeting of all ranks, which wait for each other. It is connected once the next wait resolves, and of no use
   * before; what goes wrong rejects that wait. Where the engine is not the device's own, bytes go through the host, which no
   * graph can hold.
   */
  connect(meeting: NativeMeeting): NativeCommunicator;
  /** Whether the backend has graphs of its own. Without, a launch queues the calls again, one by one. */
  readonly graphs: boolean;
  /**
   * Operations called from here on are not run but captured, and what is allocated belongs to the graph. Meanwhile
   * `upload`, `download`, `synchronize`, `startProfile` and launches throw MEDMAMBA_UNSUPPORTED.
   *
   * @param shareMemoryWith  a graph whose memory this one may use in turn: its results have to be read before this one
   *                         is launched, unless their handles live
   */
  beginCapture(shareMemoryWith?: NativeGraph): void;
  /** Queues the capture itself. What cannot be captured rejects the next wait, as a failure of queued work does. */
  endCapture(): NativeGraph;
  /** Forgets what was called since `beginCapture`; nothing if that was not called. */
  abandonCapture(): void;
  memory(): NativeMemory;
  describe(): NativeDescription;
  /** Marks this moment of the queued work; a second call marks another. */
  startTimer(): void;
  /**
   * Resolves when everything queued so far has run, with the seconds since `startTimer`'s moment in `target[0]`: by the
   * device's clock, so that what passes between a call and its work is not in it. Rejects as `download` does.
   */
  stopTimer(target: Float64Array): Promise<void>;
  /** Times each operation that is called from here on, the block's parts one by one. */
  startProfile(): void;
  /** Ends that, with what has run so far: synchronise first. */
  stopProfile(): readonly NativeOperationTime[];
  /** Drops what has not started, waits for what is running, frees everything. Idempotent. */
  close(): void;
}

/** Floats of scratch and saved memory that a composed operation needs for its dimensions. */
export interface NativePlan {
  readonly saved: number;
  readonly forwardWorkspace: number;
  readonly backwardWorkspace: number;
}

/** Numbers of `native/backend/backend.h` that operations are called with, by the names that they have here. */
export interface NativeConstants {
  /** `mm_dtype` */
  readonly dtype: Readonly<Record<"float32" | "bfloat16" | "int32" | "int64" | "uint8", number>>;
  /** `mm_unary_op` */
  readonly unary: Readonly<Record<"relu" | "silu" | "gelu" | "sigmoid" | "exp" | "log", number>>;
  /** `mm_binary_op` */
  readonly binary: Readonly<Record<"add" | "sub" | "mul" | "div", number>>;
  /** `mm_distribution` */
  readonly distribution: Readonly<
    Record<"uniform" | "normal" | "truncatedNormal" | "bernoulliScale", number>
  >;
  /** The most axes that a strided operation walks. */
  readonly maxDimensions: number;
  /** Steps of `selective_scan_*` between two states that forward keeps for backward. */
  readonly scanChunk: number;
}

export interface NativeAddon {
  readonly abiVersion: number;
  readonly constants: NativeConstants;
  /** SIMD levels that this build has and this machine runs, best first. */
  readonly simdLevels: readonly string[];
  /**
   * @param library  "cpu" for the built-in backend, otherwise the path of a backend's shared library
   * @throws MEDMAMBA_NO_DEVICE with the reason
   */
  openStream(
    library: string,
    options: {
      deviceIndex?: number;
      threads?: number | undefined;
      /** Bytes, or up to 1 a share of what the device has; 0 is none. */
      memoryLimit?: number | undefined;
      simd?: string | undefined;
      precision?: string | undefined;
    },
  ): NativeStream;
  /**
   * Devices of the backend in the shared library. May take the process down if the driver is broken: see probe.ts.
   *
   * @throws MEDMAMBA_NO_DEVICE with the reason if there is none
   */
  deviceCount(library: string): number;
  /** The CUDA that the NVIDIA driver supports, as 12020 for 12.2 (0 if it does not say); undefined without a driver. */
  driverCuda(): number | undefined;
  /** What `setVerdict` noted about a library, anywhere in this process. */
  verdict(library: string): string | undefined;
  setVerdict(library: string, verdict: string): void;
  /**
   * Loads an engine's library, which stays, and says what it calls itself.
   *
   * @param backend  "cpu" for MPI; for NCCL, the path of the backend's shared library
   * @throws MEDMAMBA_NO_DEVICE with the reason if it cannot be used
   */
  engineVersion(engine: NativeEngine, backend: string, library: string): string;
  /** What the ranks of one job connect by: made on one of them, and handed to all. @throws as `engineVersion` */
  communicatorId(engine: NativeEngine, backend: string, library: string): Uint8Array;
  /** Ends the process at once, with nothing waited for: for one that waits for a rank that is gone. */
  exitNow(code: number): never;
  /** `operation` is "ss2d" or "ss_conv_ssm"; `dimensions`: batch, height, width, channels, states, rank. */
  plan(stream: NativeStream, operation: string, dimensions: Readonly<Record<string, number>>): NativePlan;
}
