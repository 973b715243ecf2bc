/**
 * The steps of one epoch. They are pipelined: while the device computes one, the next batch is made ready, and a step's loss is
 * read only when the following step has been queued.
 */
import type { Loader } from "../data/index.js";
import type { TrainingError } from "../errors.js";
import type { StepProgress } from "./observers/observer.js";
import type { Progress } from "./resumption.js";
import type { Schedule } from "./schedule.js";
import type { TrainingSettings } from "./settings.js";
import type { TrainingStep } from "./step.js";

/** What an epoch is trained with, and whom it tells. */
export interface EpochRun {
  readonly loader: Loader;
  readonly step: TrainingStep;
  readonly schedule: Schedule;
  readonly settings: TrainingSettings;
  /** Where the run stands; moved on by each step. */
  readonly progress: Progress;
  /** Steps between two saves; 0 for none. */
  readonly saveEvery: number;
  readonly signal: AbortSignal | undefined;
  save(): Promise<void>;
  tell(progress: StepProgress): void;
  diverged(what: string): TrainingError;
}

/**
 * Trains from where `progress` stands to the end of its epoch.
 *
 * @returns  whether it came there: false if the signal stopped it, and then its position is saved
 * @throws TrainingError if a loss is not finite
 */
export async function trainEpoch(run: EpochRun): Promise<boolean> {
  const { loader, step, schedule, progress, saveEvery, signal } = run;
  const clock = new Clock(progress.batch);
  let pending: Promise<number> | undefined;
  const settle = async (): Promise<void> => {
    if (pending) count(run, await pending, clock);
    pending = undefined;
  };
  for await (const batch of loader.epoch(progress.epoch, { startBatch: progress.batch })) {
    const loss = step.take(batch, { step: progress.step, lr: schedule(progress.step) });
    progress.step += 1;
    const value = loss.item();
    value.catch(() => {}); // Awaited by `settle` after the next step has been queued.
    loss.dispose();
    await settle();
    pending = value;
    const save = saveEvery > 0 && progress.step % saveEvery === 0;
    if (save || signal?.aborted) await settle();
    if (save) await run.save();
    if (signal?.aborted) {
      await run.save();
      return false;
    }
  }
  await settle();
  return true;
}

/** Takes a step's loss in. */
function count({ loader, settings, progress, tell, diverged }: EpochRun, loss: number, clock: Clock): void {
  const epoch = progress.epoch + 1;
  if (!Number.isFinite(loss))
    throw diverged(`the loss became ${loss} in epoch ${epoch}, step ${progress.batch + 1}`);
  progress.lossSum += loss;
  progress.batch += 1;
  const { epochs, batchSize } = settings;
  const steps = loader.batchCount;
  const rate = clock.rate(progress.batch);
  tell({
    type: "step",
    epoch,
    epochs,
    step: progress.batch,
    steps,
    loss: progress.lossSum / progress.batch,
    imagesPerSecond: rate * batchSize,
    secondsLeft: ((epochs - progress.epoch) * steps - progress.batch) / rate,
  });
}

/** Steps per second since the first, over this run only. */
class Clock {
  readonly #start = performance.now();
  readonly #first: number;

  constructor(first: number) {
    this.#first = first;
  }

  rate(done: number): number {
    return (done - this.#first) / Math.max(1e-3, (performance.now() - this.#start) / 1000);
  }
}
