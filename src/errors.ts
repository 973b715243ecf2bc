/**
 * Every error of the package. Each carries a stable `code`; the message says what was wrong, where, and what to do, and what
 * a program may want to tell apart stands in fields beside it.
 */

/** The base of all. */
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

/** The addon is not there, or the system cannot load it; `tried` lists the files that were looked at. */
export class AddonError extends MedMambaError {
  /** Files that were looked at, in their order. */
  readonly tried: readonly string[];

  constructor(message: string, tried: readonly string[], options?: ErrorOptions) {
    super("MEDMAMBA_NO_ADDON", message, options);
    this.tried = tried;
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
  /** The limit that was set for this process, in bytes; undefined if there is none. */
  readonly limitBytes?: number | undefined;
  /** Images that were computed at once, where a batch did not fit. */
  readonly batchSize?: number | undefined;
  /** A batch size that may fit; undefined where not even one image does, or no batch was computed. */
  readonly suggestedBatchSize?: number | undefined;
}

/** A device has no memory left for a tensor. What was queued before is done, and the device can be used further. */
export class OutOfMemoryError extends MedMambaError implements MemoryShortage {
  readonly requestedBytes: number | undefined;
  readonly freeBytes: number | undefined;
  readonly limitBytes: number | undefined;
  readonly batchSize: number | undefined;
  readonly suggestedBatchSize: number | undefined;

  constructor(message: string, { cause, ...shortage }: ErrorOptions & MemoryShortage = {}) {
    super("MEDMAMBA_OUT_OF_MEMORY", message, { cause });
    this.requestedBytes = shortage.requestedBytes;
    this.freeBytes = shortage.freeBytes;
    this.limitBytes = shortage.limitBytes;
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

/** A line of a list that is wrong. */
export interface LineProblem {
  /** From 1. */
  readonly line: number;
  /** What is wrong with it. */
  readonly reason: string;
}

/** What a `DataError` knows beside its sentence, where it has it. */
export interface DataProblem {
  /** The image, folder or list that is wrong. */
  readonly file?: string | undefined;
  /** Line of a list, from 1. */
  readonly line?: number | undefined;
  /** A class that is not one of those expected. */
  readonly label?: string | undefined;
  /** Title of a column that was asked for and is not there. */
  readonly column?: string | undefined;
  /** A part of a data set, such as "val", that was asked for and has no images. */
  readonly split?: string | undefined;
  /** All lines of a list that are wrong, where several are. */
  readonly problems?: readonly LineProblem[] | undefined;
  /** What is wrong alone, without the file's name before it and the advice after it. */
  readonly reason?: string | undefined;
}

/** Something is wrong with a data set or an image; the message names the file, and the line or entry where it has one. */
export class DataError extends MedMambaError implements DataProblem {
  readonly file: string | undefined;
  readonly line: number | undefined;
  readonly label: string | undefined;
  readonly column: string | undefined;
  readonly split: string | undefined;
  readonly problems: DataProblem["problems"];
  readonly reason: string;

  constructor(message: string, { cause, ...problem }: ErrorOptions & DataProblem = {}) {
    super("MEDMAMBA_DATA", message, { cause });
    this.file = problem.file;
    this.line = problem.line;
    this.label = problem.label;
    this.column = problem.column;
    this.split = problem.split;
    this.problems = problem.problems;
    this.reason = problem.reason ?? message.replace(/\.$/, "");
  }
}

/** A file of weights that cannot be read, trusted or written. The message names the file and what is wrong with it. */
export class WeightsError extends MedMambaError {
  constructor(message: string, options?: ErrorOptions) {
    super("MEDMAMBA_WEIGHTS", message, options);
  }
}

/** What a state dict and a module do not have in common. */
export interface StateDictReport {
  /** Names that the module has and the state dict lacks. */
  readonly missing: readonly string[];
  /** Names that the state dict has and the module lacks. */
  readonly unexpected: readonly string[];
  /** "name: (2, 768) in the state dict, (5, 768) in the model". */
  readonly mismatched: readonly string[];
}

/** A state dict does not belong to the module it was loaded into. */
export class StateDictError extends MedMambaError implements StateDictReport {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly mismatched: readonly string[];
  /** What was wrong alone, without the function's name before it. */
  readonly reason: string;

  constructor(report: StateDictReport) {
    const reason = `the weights are of another model: ${summary(report)}`;
    super("MEDMAMBA_STATE_DICT", `loadStateDict: ${reason}.`);
    this.reason = reason;
    this.missing = report.missing;
    this.unexpected = report.unexpected;
    this.mismatched = report.mismatched;
  }
}

function summary({ missing, unexpected, mismatched }: StateDictReport): string {
  const some = (names: readonly string[]) => names.slice(0, 3).join(", ") + (names.length > 3 ? ", ..." : "");
  const parts = [];
  if (missing.length) parts.push(`${missing.length} missing (${some(missing)})`);
  if (unexpected.length) parts.push(`${unexpected.length} unexpected (${some(unexpected)})`);
  if (mismatched.length) parts.push(`${mismatched.length} of another shape (${some(mismatched)})`);
  return parts.join("; ");
}

/** Labels, probabilities or a record of training that cannot be evaluated or drawn as given. */
export class EvaluationError extends MedMambaError {
  constructor(message: string) {
    super("MEDMAMBA_EVALUATION", message);
  }
}

/** A run that cannot begin or go on as asked: its folder holds another one, or none, or a damaged one. */
export class StudyError extends MedMambaError {
  constructor(message: string, options?: ErrorOptions) {
    super("MEDMAMBA_STUDY", message, options);
  }
}

/** A training that cannot go on. */
export class TrainingError extends MedMambaError {
  constructor(message: string, options?: ErrorOptions) {
    super("MEDMAMBA_TRAINING", message, options);
  }
}

/** What a `DistributedError` knows beside its sentence. */
export interface RankProblem {
  /** The rank on which something went wrong, where it is one. */
  readonly rank?: number | undefined;
  /** Whether it was stopped there, and nothing is wrong. */
  readonly stopped?: boolean | undefined;
  /** Whether the same may work when it is started again, as where a machine was not there. */
  readonly tryAgain?: boolean | undefined;
}

/** Processes that train together do not find each other, are not of one kind, or something went wrong on another one. */
export class DistributedError extends MedMambaError implements RankProblem {
  readonly rank: number | undefined;
  readonly stopped: boolean;
  readonly tryAgain: boolean;

  constructor(message: string, { cause, ...problem }: ErrorOptions & RankProblem = {}) {
    super("MEDMAMBA_DISTRIBUTED", message, { cause });
    this.rank = problem.rank;
    this.stopped = problem.stopped ?? false;
    this.tryAgain = problem.tryAgain ?? false;
  }
}
