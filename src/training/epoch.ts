/**
 * The steps of one epoch. They are pipelined: while the device computes one, the next batch is made ready, and a step's loss is
 * read only when the following step has been queued.
 */
import type { Batch, Loader } from "../data/index.js";
import type { Group } from "../distributed/group.js";
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
  readonly group: Group;
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
  const { loader, step, group, schedule, progress, saveEvery, signal } = run;
  const clock = new Clock(progress.batch);
  let pending: Promise<number> | undefined;
  const settle = async (): Promise<void> => {
    if (pending) count(run, await group.unlessFailed(pending), clock);
    pending = undefined;
  };
  for await (const batch of loader.epoch(progress.epoch, { startBatch: progress.batch })) {
    const agreed = group.isAlone ? undefined : await agree(run, batch);
    const position = { step: progress.step, lr: schedule(progress.step), whole: agreed?.whole };
    const loss = await step.take(batch, position);
    progress.step += 1;
    const value = loss.item();
    value.catch(() => {}); // Awaited by `settle` after the next step has been queued.
    loss.dispose();
    await settle();
    pending = value;
    const save = saveEvery > 0 && progress.step % saveEvery === 0;
    const stops = agreed ? agreed.stops : signal?.aborted;
    if (save || stops) await settle();
    if (save) await run.save();
    if (stops) {
      await run.save();
      return false;
    }
  }
  await settle();
  return true;
}

/**
 * All ranks have their part of a batch: what it weighs in all, and whether anybody was asked to stop, which is then done by all after
 * this step. A rank that could not read its part never comes here, and says so instead.
 */
async function agree(
  { step, group, signal }: EpochRun,
  batch: Batch,
): Promise<{ whole: number; stops: boolean }> {
  const all = await group.gatherAt("step", { mass: step.mass(batch), stops: signal?.aborted === true });
  return {
    whole: all.reduce((sum, { mass }) => sum + mass, 0),
    stops: all.some(({ stops }) => stops),
  };
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
