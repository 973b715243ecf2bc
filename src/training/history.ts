/** What a training run has achieved, epoch by epoch, and which epoch was best. */
import type { ClassificationMetrics } from "../metrics/classification.js";
import type { Monitor } from "./settings.js";

/** One epoch of the history, and one line of `metrics.jsonl`. */
export interface EpochRecord {
  /** Counted from 1. */
  readonly epoch: number;
  /** Steps trained so far. */
  readonly step: number;
  /** Learning rate of the epoch's last step. */
  readonly lr: number;
  /** Mean loss over the epoch's steps. */
  readonly trainLoss: number;
  /** Of the averaged weights, if there is an average; null without a validation split. */
  readonly validation: ValidationRecord | null;
  /** Whether this epoch is the best so far. */
  readonly best: boolean;
  /** Training and validation together. */
  readonly seconds: number;
  /** Of training alone. */
  readonly imagesPerSecond: number;
}

/** The validation scores that the history keeps; see `ClassificationMetrics`. */
export interface ValidationRecord {
  /** Cross-entropy in nats. */
  readonly loss: number;
  /** 0 to 1. */
  readonly accuracy: number;
  /** 0 to 1. */
  readonly balancedAccuracy: number;
  /** 0 to 1; NaN if a class is missing. */
  readonly auc: number;
  /** 0 to 1. */
  readonly macroF1: number;
}

/** The part of the metrics that the history keeps. */
export function summarise({
  crossEntropy: loss,
  accuracy,
  balancedAccuracy,
  auc,
  macroF1,
}: ClassificationMetrics): ValidationRecord {
  return { loss, accuracy, balancedAccuracy, auc, macroF1 };
}

/** The monitored value; where an area is undefined (a class is missing), the loss stands in, negated. */
export function measure(record: ValidationRecord, monitor: Monitor): number {
  const value = record[monitor];
  return monitor === "auc" && !Number.isFinite(value) ? -record.loss : value;
}

/** Whether an epoch is better than the best before it; of equals, the one of lower loss. */
export function isBetter(
  record: ValidationRecord,
  before: ValidationRecord | null | undefined,
  monitor: Monitor,
): boolean {
  if (!before) return true;
  const [now, then] = [measure(record, monitor), measure(before, monitor)];
  if (now === then) return record.loss < before.loss; // an easy task reaches an area of 1 long before it is learnt
  return monitor === "loss" ? now < then : now > then;
}
