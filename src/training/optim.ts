/** The namespace `optim`: optimisers, learning-rate schedules, averaging of weights. */
export { MovingAverage } from "./moving-average.js";
export {
  Adam,
  type AdamSettings,
  AdamW,
  Optimizer,
  type OptimizerState,
  type ParameterGroup,
  SGD,
  type SGDSettings,
} from "./optimizer.js";
export { Plateau, type PlateauOptions, type Schedule, stepDecay, type StepDecayOptions, warmupCosine, type WarmupCosineOptions } from "./schedule.js";
