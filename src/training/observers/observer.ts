/** Watching a training: what is told after each step, during validation and after each epoch. */
import { ArgumentError } from "../../errors.js";
import { expectFunction, expectNamed, type NamesOf } from "../../settings/given.js";
import { nearest } from "../../settings/nearest.js";
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

/** After each batch of the images on which it is found out how far the best weights can be believed. */
export interface AssessmentProgress {
  /** Tells it from the others. */
  readonly type: "assessment";
  /** Images done. */
  readonly done: number;
  /** Training and validation images in all. */
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
export type FitProgress = StepProgress | ValidationProgress | EpochProgress | AssessmentProgress;

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

const methods: NamesOf<Observer> = { begin: true, step: true, validation: true, epoch: true, close: true };

/**
 * A method with a misspelt name would never be called: an object may have other values beside the methods, but no other
 * functions, and an instance of a class has one of the methods at least.
 *
 * @throws ArgumentError for an unknown name, with the nearest one, and for what is no observer
 */
export function expectObserver(observer: Observer, at: number): void {
  const what = `observers[${at}]`;
  const names = Object.keys(methods) as (keyof Observer)[];
  for (const [name, value] of Object.entries(expectNamed("fit", what, observer))) {
    if (typeof value !== "function" || Object.hasOwn(methods, name)) continue;
    const meant = nearest(name, names);
    const advice = meant === undefined ? `they are ${names.join(", ")}.` : `did you mean ${meant}?`;
    throw new ArgumentError(`fit: ${what} has a method ${name}, which observers have not; ${advice}`);
  }
  const own = names.filter((name) => observer[name] !== undefined);
  for (const name of own) expectFunction("fit", observer[name], `${what}.${name}`);
  if (own.length === 0)
    throw new ArgumentError(`fit: ${what} has none of the methods of an observer: ${names.join(", ")}.`);
}
