/** Learning rates over a training run: pure functions of the step, except for the plateau, which listens. */
import { ArgumentError } from "../errors.js";
import { expectCounts, expectNamed, expectNumbers, inWords, type NamesOf } from "../settings/given.js";

/** Gives the learning rate of a step, counted from 0. */
export type Schedule = (step: number) => number;

/** Options of `warmupCosine`. */
export interface WarmupCosineOptions {
  /** Highest learning rate, reached after the warm-up. */
  lr: number;
  /** Steps of the whole run. */
  totalSteps: number;
  /** Steps of linear growth from 0; default 0. */
  warmupSteps?: number;
  /** Learning rate at the end; default 0. */
  minLr?: number;
}

/**
 * Linear warm-up, then half a cosine down to `minLr` (https://arxiv.org/abs/1608.03983).
 *
 * @throws ArgumentError if the numbers make no schedule, or for an unknown name
 */
export function warmupCosine(options: WarmupCosineOptions): Schedule {
  const names = { lr: true, totalSteps: true, warmupSteps: true, minLr: true } as const;
  const { lr, totalSteps, warmupSteps = 0, minLr = 0 } = numbersOf("warmupCosine", options, names);
  expectNumbers("warmupCosine", { lr, totalSteps });
  if (!(totalSteps > 0 && warmupSteps >= 0)) {
    throw new ArgumentError(`warmupCosine: ${warmupSteps} of ${totalSteps} steps make no schedule.`);
  }
  return (step) => {
    if (step < warmupSteps) return (lr * (step + 1)) / warmupSteps;
    const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
    return minLr + ((lr - minLr) * (1 + Math.cos(Math.PI * progress))) / 2;
  };
}

/** Options of `oneCycle`. */
export interface OneCycleOptions {
  /** Highest learning rate. */
  lr: number;
  /** Steps of the whole run, at least 2. */
  totalSteps: number;
  /** Part of the steps in which the rate rises; default 0.3. */
  rising?: number;
  /** Highest by first learning rate; default 25. */
  divFactor?: number;
  /** First by last learning rate; default 1e4. */
  finalDivFactor?: number;
}

/**
 * Half a cosine up, half a cosine down to almost nothing, with the numbers of PyTorch's `OneCycleLR`; the momentum stays.
 *
 * @throws ArgumentError if the numbers make no schedule
 * @see https://arxiv.org/abs/1708.07120
 */
export function oneCycle(options: OneCycleOptions): Schedule {
  const names = { lr: true, totalSteps: true, rising: true, divFactor: true, finalDivFactor: true } as const;
  const given = numbersOf("oneCycle", options, names);
  const { lr, totalSteps, rising = 0.3, divFactor = 25, finalDivFactor = 1e4 } = given;
  expectNumbers("oneCycle", { lr, totalSteps });
  if (!(totalSteps > 0 && rising > 0 && rising < 1 && divFactor >= 1 && finalDivFactor >= 1)) {
    throw new ArgumentError(`oneCycle: ${totalSteps} steps, of which ${rising} rise, make no schedule.`);
  }
  const first = lr / divFactor;
  const [top, last] = [rising * totalSteps - 1, totalSteps - 1];
  const between = (from: number, to: number, part: number) =>
    to + ((from - to) * (1 + Math.cos(Math.PI * part))) / 2;
  return (step) => {
    if (step < top) return between(first, lr, step / top);
    return between(lr, first / finalDivFactor, Math.min(1, (step - top) / (last - top)));
  };
}

/** Options of `stepDecay`. */
export interface StepDecayOptions {
  /** Learning rate of the first steps. */
  lr: number;
  /** Steps between two reductions. */
  every: number;
  /** Factor of each reduction; default 0.1. */
  factor?: number;
}

/** The learning rate times `factor` after every so many steps. @throws ArgumentError as `oneCycle` */
export function stepDecay(options: StepDecayOptions): Schedule {
  const {
    lr,
    every,
    factor = 0.1,
  } = numbersOf("stepDecay", options, { lr: true, every: true, factor: true });
  expectNumbers("stepDecay", { lr, every });
  if (!(every > 0)) throw new ArgumentError(`stepDecay: ${every} steps between reductions make no schedule.`);
  return (step) => lr * factor ** Math.floor(step / every);
}

/** Options of `Plateau`. */
export interface PlateauOptions {
  /** Learning rate at the start. */
  lr: number;
  /** Reports without improvement that are tolerated; default 5. */
  patience?: number;
  /** Factor of each reduction; default 0.1. */
  factor?: number;
  /** Default 0. */
  minLr?: number;
  /** Whether a larger value is better (AUC) or a smaller one (loss); default "min". */
  mode?: "min" | "max";
}

const plateauNames = { lr: true, patience: true, factor: true, minLr: true, mode: true } as const;

/** What a `Plateau` remembers: plain JSON. */
export interface PlateauState {
  /** The present learning rate. */
  lr: number;
  /** The best measure so far; null before the first. */
  best: number | null;
  /** Reports since the best. */
  waited: number;
}

/** Reduces the learning rate when a measure stops to improve. */
export class Plateau {
  readonly #options: Required<PlateauOptions>;
  #state: PlateauState;

  /** @throws ArgumentError for an option that cannot be, or an unknown name */
  constructor(options: PlateauOptions) {
    const { mode = "min", ...numbers } = expectNamed("Plateau", "the options", options, plateauNames);
    const { lr, patience = 5, factor = 0.1, minLr = 0 } = numbers;
    expectNumbers("Plateau", { lr, patience, factor, minLr });
    if (mode !== "min" && mode !== "max")
      throw new ArgumentError(`Plateau: mode ${inWords(mode)} is not "min" or "max".`);
    this.#options = { lr, patience, factor, minLr, mode };
    this.#state = { lr, best: null, waited: 0 };
  }

  /** The present learning rate. */
  get lr(): number {
    return this.#state.lr;
  }

  /** Reports the measure of an epoch and returns the learning rate of the next. */
  observe(value: number): number {
    if (typeof value !== "number")
      throw new ArgumentError(`Plateau: the measure has to be a number, but is ${inWords(value)}.`);
    const { mode, patience, factor, minLr } = this.#options;
    const { best, waited, lr } = this.#state;
    const better = best === null || (mode === "min" ? value < best : value > best);
    if (better) this.#state = { lr, best: value, waited: 0 };
    else if (waited + 1 > patience) this.#state = { lr: Math.max(minLr, lr * factor), best, waited: 0 };
    else this.#state = { lr, best, waited: waited + 1 };
    return this.#state.lr;
  }

  /** What `loadState` needs to continue. */
  get state(): PlateauState {
    return { ...this.#state };
  }

  /** Continues from what `state` gave. */
  loadState(state: PlateauState): void {
    const names = { lr: true, best: true, waited: true } as const;
    const { lr, best, waited } = expectNamed("Plateau", "the state", state, names);
    expectNumbers("Plateau", best === null ? { lr } : { lr, best });
    expectCounts("Plateau", { waited }, 0);
    this.#state = { lr, best, waited };
  }
}

/** Options that are numbers, those that are there. */
function numbersOf<T extends object>(operation: string, options: T, names: NamesOf<NoInfer<T>>): T {
  const given = Object.entries(expectNamed(operation, "the options", options, names));
  expectNumbers(operation, Object.fromEntries(given.filter(([, value]) => value !== undefined)));
  return options;
}
