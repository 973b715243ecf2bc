/** Watching a training: what is told after each step, during validation and after each epoch. */
import type { EpochRecord } from "../history.js";

/** After each step. */
export interface StepProgress {
  /** Tells it from the others. */
  readonly type: "step";
  /** Counted from 1. */
  readonly epoch: number;
  /** Epochs of the whole training. */
  readonly epochs: number;
  /** Steps done in this epoch. */
  readonly step: number;
  /** Steps of an epoch. */
  readonly steps: number;
  /** Mean of the epoch so far. */
  readonly loss: number;
  /** Since this call of `fit` began its epoch. */
  readonly imagesPerSecond: number;
  /** Of the whole training, at the speed so far. */
  readonly secondsLeft: number;
}

/** After each batch of validation images. */
export interface ValidationProgress {
  /** Tells it from the others. */
  readonly type: "validation";
  /** Images done. */
  readonly done: number;
  /** Validation images in all. */
  readonly total: number;
}

/** After each epoch. */
export interface EpochProgress {
  /** Tells it from the others. */
  readonly type: "epoch";
  /** The epoch's line of the history. */
  readonly record: EpochRecord;
  /** Epochs of the whole training. */
  readonly epochs: number;
}

/** What `fit` tells while it runs. */
export type FitProgress = StepProgress | ValidationProgress | EpochProgress;

/**
 * Something that follows a training. A resumed run tells again what it repeats: the steps since the last checkpoint, and an
 * epoch whose checkpoint was not written any more.
 */
export interface Observer {
  /** Once, when everything that was asked for has been checked and nothing been written; the training waits for it. */
  begin?(): void | Promise<void>;
  /** After each step. */
  step?(progress: StepProgress): void;
  /** After each batch of validation images. */
  validation?(progress: ValidationProgress): void;
  /**
   * After each epoch, before its `last.safetensors` is written; the training waits for it.
   *
   * @param history  all epochs, this one last
   */
  epoch?(progress: EpochProgress, history: readonly EpochRecord[]): void | Promise<void>;
  /** At the end, also of a training that failed. */
  close?(): void | Promise<void>;
}
