/**
 * medmamba: MedMamba, the Vision Mamba for medical image classification, for Node.
 *
 * @packageDocumentation
 */
import "./ops/methods.js";

export {
  type Audited,
  type AuditOptions,
  audit,
} from "./audit/audit.js";
export type { Chance } from "./audit/probe.js";
export type {
  AuditedImage,
  AuditedSplit,
  AuditReport,
  Counts,
  IdenticalImages,
  SimilarPair,
  Some,
  UnreadableEntry,
} from "./audit/report.js";
export type { Shortcut, Shortcuts } from "./audit/shortcuts.js";
export type {
  Absent,
  AssessedImages,
  Assurance,
  FittedTemperature,
  StoredOutliers,
  StoredSets,
} from "./checkpoints/assurance.js";
export {
  type Checkpoint,
  type CheckpointDescription,
  loadCheckpoint,
  loadWeights,
  readCheckpoint,
  saveCheckpoint,
} from "./checkpoints/checkpoint.js";
export { type Conversion, type ConvertOptions, convert } from "./checkpoints/convert.js";
export {
  type InitialWeights,
  type InitialWeightsOptions,
  initialWeights,
} from "./checkpoints/initial-weights.js";
export type { TrainingState } from "./checkpoints/training-state.js";
export * as data from "./data/index.js";
export * as distributed from "./distributed/index.js";
export {
  AddonError,
  ArgumentError,
  DataError,
  type DataProblem,
  DeviceError,
  DisposedError,
  DistributedError,
  DTypeError,
  EvaluationError,
  type LineProblem,
  MedMambaError,
  type MemoryShortage,
  OperationError,
  OutOfMemoryError,
  type RankProblem,
  ShapeError,
  StateDictError,
  type StateDictReport,
  StudyError,
  TrainingError,
  WeightsError,
} from "./errors.js";
export {
  type EvaluateLabelsOptions,
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  predictDataset,
} from "./inference/evaluate.js";
export type { HeatMap } from "./inference/explanation/class-activation.js";
export {
  type ExplainMethod,
  type ExplainOptions,
  type Explanation,
  explain,
  explainMethods,
} from "./inference/explanation/explain.js";
export {
  type Curves,
  type Fidelity,
  type FidelityOptions,
  fidelity,
} from "./inference/explanation/fidelity.js";
export type { Placement } from "./inference/explanation/placement.js";
export { type ReceptiveFieldOptions, receptiveField } from "./inference/explanation/receptive-field.js";
export {
  type PooledEvaluation,
  type PooledPrediction,
  type Pooling,
  type PoolingRule,
  poolEvaluation,
  poolingOf,
  poolPredictions,
  type Units,
  unitsOf,
} from "./inference/pooling.js";
export {
  type Classifier,
  type FramedImage,
  type ImageSource,
  type PredictedImage,
  type Prediction,
  type PredictStreamOptions,
  predictImages,
  predictStream,
  type StreamedImage,
  type StreamedPrediction,
  type UnreadableImage,
} from "./inference/predict.js";
export type {
  Judgement,
  JudgingOptions,
  OutlierScore,
  Referral,
  ReferralCode,
} from "./inference/uncertainty.js";
export * as metrics from "./metrics-of-old.js";
export { type MedMambaConfig, type MedMambaOptions, type Variant, variants } from "./models/config.js";
export type { Activation, ImageClassifier, PredictOptions, StageOptions } from "./models/image-classifier.js";
export { toInput } from "./models/input.js";
export { MedMamba } from "./models/medmamba.js";
export * as nn from "./nn/index.js";
export * from "./ops/index.js";
export * as reports from "./reports/index.js";
export type { Path } from "./settings/paths.js";
export * as tasks from "./tasks/index.js";
export { full, type NestedNumbers, ones, rand, randn, tensor, zeros } from "./tensor/creation.js";
export type { Device, DeviceDescription, MemoryUse, Precision } from "./tensor/device.js";
export {
  type DeviceLike,
  type DeviceOptions,
  devices,
  memory,
  openDevice,
  whyNotGpu,
} from "./tensor/devices.js";
export type { DType, HostArray, HostArrays } from "./tensor/dtype.js";
export { type GeneratorState, generatorState, manualSeed, setGeneratorState } from "./tensor/generator.js";
export { type CaptureOptions, captureGraph, type Graph } from "./tensor/graph.js";
export { GraphedFunction, type GraphedFunctionOptions } from "./tensor/graphed-function.js";
export type { MemoryLimit } from "./tensor/memory-limit.js";
export { type Disposable, keep, tidy } from "./tensor/scope.js";
export { type BackwardOptions, noGrad } from "./tensor/tape.js";
export { Tensor, type TensorOptions } from "./tensor/tensor.js";
export { fit } from "./training/fit.js";
export type { FitOptions, FitResult } from "./training/fit-options.js";
export type { EpochRecord, ValidationRecord } from "./training/history.js";
export type {
  AssessmentProgress,
  EpochProgress,
  FitProgress,
  Observer,
  StepProgress,
  ValidationProgress,
} from "./training/observers/observer.js";
export * as optim from "./training/optim.js";
export {
  type ClassWeights,
  type ExecutionSettings,
  type Monitor,
  type TrainingSettings,
  trainingSettings,
} from "./training/settings.js";
export * as safetensors from "./weights/tensors.js";
