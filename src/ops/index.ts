/**
 * All functional operations.
 *
 * @module
 */
export { exp, gelu, log, relu, sigmoid, silu } from "./activation.js";
export { type AffineSampleInputs, affineSample } from "./affine-sample.js";
export { add, div, mul, neg, sub } from "./arithmetic.js";
export { conv2d, depthwiseConv2d } from "./convolution.js";
export { dropout } from "./dropout.js";
export {
  binaryCrossEntropyWithLogits,
  type CrossEntropyOptions,
  crossEntropy,
  type FocalLossOptions,
  focalLoss,
  mseLoss,
} from "./loss.js";
export { linear, matmul } from "./matmul.js";
export { batchNorm, layerNorm, type RunningStatistics } from "./normalization.js";
export { globalAveragePool, mean, type ReductionOptions, sum } from "./reduction.js";
export { type SelectiveScanInputs, type SelectiveScanOptions, selectiveScan } from "./selective-scan.js";
export { concat, permute, reshape, slice, transpose } from "./shape.js";
export { logSoftmax, softmax } from "./softmax.js";
export {
  type ConvolutionBranchParameters,
  type SsConvSsmOptions,
  type SsConvSsmParameters,
  ssConvSsm,
} from "./ss-conv-ssm.js";
export { type Ss2dParameters, ss2d } from "./ss2d.js";
