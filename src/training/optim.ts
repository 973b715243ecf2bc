/**
 * The namespace `optim`: optimisers, learning-rate schedules, averaging of weights.
 *
 * @module
 */
export { MovingAverage } from "./moving-average.js";
export {
  Adam,
  type AdamSettings,
  AdamW,
  Optimizer,
  type OptimizerSettings,
  type OptimizerState,
  type ParameterGroup,
  SGD,
  type SGDSettings,
} from "./optimizer.js";
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
