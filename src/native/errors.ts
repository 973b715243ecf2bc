/**
 * Errors of the package. Each carries a stable `code`; the message says what was wrong, where, and what to do.
 */
export class MedMambaError extends Error {
  /** Stable identifier such as "MEDMAMBA_SHAPE". */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A tensor's shape does not fit the operation. */
export class ShapeError extends MedMambaError {
  constructor(message: string) {
    super("MEDMAMBA_SHAPE", message);
  }
}

/** A tensor's element type does not fit the operation. */
export class DTypeError extends MedMambaError {
  constructor(message: string) {
    super("MEDMAMBA_DTYPE", message);
  }
}

/** An argument other than a tensor is out of range or contradictory. */
export class ArgumentError extends MedMambaError {
  constructor(message: string) {
    super("MEDMAMBA_ARGUMENT", message);
  }
}

/** A device is not there, or cannot do what was asked, such as computing with a precision that it lacks. */
export class DeviceError extends MedMambaError {
  /** What was wrong alone, without the device's name before it and the advice after it. */
  readonly reason: string;

  constructor(message: string, { reason = message, ...options }: ErrorOptions & { reason?: string } = {}) {
    super("MEDMAMBA_NO_DEVICE", message, options);
    this.reason = reason;
  }
}

/** A tensor was used after its memory had been given back. */
export class DisposedError extends MedMambaError {
  constructor(message: string) {
    super("MEDMAMBA_DISPOSED", message);
  }
}

/** What an `OutOfMemoryError` knows beside its sentence. */
export interface MemoryShortage {
  /** Bytes that were asked for; undefined where an operation needed them for itself. */
  readonly requestedBytes?: number | undefined;
  /** Bytes that the device had left, where it says so. */
  readonly freeBytes?: number | undefined;
  /** Images that were computed at once, where a batch did not fit. */
  readonly batchSize?: number | undefined;
  /** A batch size that may fit; undefined where not even one image does, or no batch was computed. */
  readonly suggestedBatchSize?: number | undefined;
}

/** A device has no memory left for a tensor. What was queued before is done, and the device can be used further. */
export class OutOfMemoryError extends MedMambaError implements MemoryShortage {
  readonly requestedBytes: number | undefined;
  readonly freeBytes: number | undefined;
  readonly batchSize: number | undefined;
  readonly suggestedBatchSize: number | undefined;

  constructor(message: string, { cause, ...shortage }: ErrorOptions & MemoryShortage = {}) {
    super("MEDMAMBA_OUT_OF_MEMORY", message, { cause });
    this.requestedBytes = shortage.requestedBytes;
    this.freeBytes = shortage.freeBytes;
    this.batchSize = shortage.batchSize;
    this.suggestedBatchSize = shortage.suggestedBatchSize;
  }
}

/** Queued work failed on the device; `operation` names the call that did. */
export class OperationError extends MedMambaError {
  /** Name of the call that failed, such as "crossEntropy". */
  readonly operation: string;

  constructor(code: string, operation: string, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.operation = operation;
  }
}

/** The package's class for an error that the addon threw. */
export function fromNative(error: unknown): Error {
  if (error instanceof MedMambaError) return error;
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") {
    return error instanceof Error ? error : new Error(String(error));
  }
  const { code, message } = error;
  if (!code.startsWith("MEDMAMBA_")) return error;
  if (code === "MEDMAMBA_OUT_OF_MEMORY")
    return new OutOfMemoryError(message, { ...(error as MemoryShortage), cause: error });
  if (code === "MEDMAMBA_NO_DEVICE") return new DeviceError(message, { cause: error });
  if (code === "MEDMAMBA_DISPOSED") return new DisposedError(message);
  const operation = "operation" in error ? String(error.operation) : "";
  return new OperationError(code, operation, message, { cause: error });
}
