/**
 * The namespace `optim`: optimisers, learning-rate schedules, averaging of weights.
 *
 * @module
 */
export { MovingAverage } from "./moving-average.js";
export {
  Adam,
  AdamW,
  Optimizer,
  type OptimizerSettings,
  type OptimizerState,
  type ParameterGroup,
  SGD,
} from "./optimizer.js";
export type { AdamSettings, SGDSettings } from "./optimizer-settings.js";
export {
  type OneCycleOptions,
  oneCycle,
  Plateau,
  type PlateauOptions,
  type PlateauState,
  type Schedule,
  type StepDecayOptions,
  stepDecay,
  type WarmupCosineOptions,
  warmupCosine,
} from "./schedule.js";
