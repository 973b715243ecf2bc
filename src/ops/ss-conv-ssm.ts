/** SS-Conv-SSM, the block of MedMamba: convolutions on one half of the channels, SS2D on the other. */
import { ArgumentError, ShapeError } from "../errors.js";
import { expectFlags, expectNamed, expectNumbers, inWords, optionsOf } from "../settings/given.js";
import { Communicator } from "../tensor/communicator.js";
import { isRecorded, record } from "../tensor/tape.js";
import { Tensor } from "../tensor/tensor.js";
import { expectFloats, expectShape, extents } from "./check.js";
import { expectRunning, type RunningStatistics } from "./normalization.js";
import { gradientsOf, renamed, type Ss2dParameters, ss2dFields, ss2dNames, ss2dSizes } from "./ss2d.js";

/** Parameters of the convolution branch, for c = half of the block's channels. */
export interface ConvolutionBranchParameters {
  /** (c), before the first convolution */
  norm1Weight: Tensor;
  /** (c) */
  norm1Bias: Tensor;
  /** (c, c, 3, 3) and (c) */
  conv1Weight: Tensor;
  /** (c) */
  conv1Bias: Tensor;
  /** (c) */
  norm2Weight: Tensor;
  /** (c) */
  norm2Bias: Tensor;
  /** (c, c, 3, 3) and (c) */
  conv2Weight: Tensor;
  /** (c) */
  conv2Bias: Tensor;
  /** (c) */
  norm3Weight: Tensor;
  /** (c) */
  norm3Bias: Tensor;
  /** (c, c, 1, 1) and (c) */
  conv3Weight: Tensor;
  /** (c) */
  conv3Bias: Tensor;
}

/** Parameters of the block, for c = half of its channels. */
export interface SsConvSsmParameters {
  /** (c) */
  ln1Weight: Tensor;
  /** (c) */
  ln1Bias: Tensor;
  /** Of the SS2D half. */
  attention: Ss2dParameters;
  /** Of the convolution half. */
  branch: ConvolutionBranchParameters;
}

/** Options of `ssConvSsm`. */
export interface SsConvSsmOptions {
  /** Normalise by the batch's statistics and update the running ones; default false. */
  training?: boolean;
  /** How fast running statistics follow; default 0.1. */
  momentum?: number;
  /** (batch) DropPath's factor for each image; default: all 1. */
  pathScale?: Tensor | undefined;
  /**
   * Keep only the input for backward, which computes the block again: far less memory for one more forward pass, and the
   * same bits (https://arxiv.org/abs/1604.06174). Default false.
   */
  recompute?: boolean;
  /** In training, normalise by the statistics of all ranks' batches together, here and in backward; default: of this one's. */
  communicator?: Communicator | undefined;
}

const branchFields: Readonly<Record<keyof ConvolutionBranchParameters, string>> = {
  norm1Weight: "norm1_weight",
  norm1Bias: "norm1_bias",
  conv1Weight: "conv1_weight",
  conv1Bias: "conv1_bias",
  norm2Weight: "norm2_weight",
  norm2Bias: "norm2_bias",
  conv2Weight: "conv2_weight",
  conv2Bias: "conv2_bias",
  norm3Weight: "norm3_weight",
  norm3Bias: "norm3_bias",
  conv3Weight: "conv3_weight",
  conv3Bias: "conv3_bias",
};
const branchNames = Object.keys(branchFields) as (keyof ConvolutionBranchParameters)[];
const lnNames = ["ln1Weight", "ln1Bias"] as const;

function expectBranch(c: number, branch: ConvolutionBranchParameters): void {
  expectNamed("ssConvSsm", "the branch's parameters", branch, branchFields);
  expectFloats("ssConvSsm", Object.fromEntries(branchNames.map((name) => [name, branch[name]])));
  const { conv1Weight, conv2Weight, conv3Weight, ...vectors } = branch;
  expectShape("ssConvSsm", { conv1Weight, conv2Weight }, [c, c, 3, 3]);
  expectShape("ssConvSsm", { conv3Weight }, [c, c, 1, 1]);
  expectShape("ssConvSsm", vectors, [c]);
}

/**
 * The SS-Conv-SSM block. The left half of the channels goes through BN, conv3x3, BN, ReLU, conv3x3, BN, ReLU,
 * conv1x1, ReLU; the right half through LayerNorm, SS2D and DropPath. The halves are concatenated, shuffled in two
 * groups (output channel 2i is left i, 2i + 1 is right i), and the input is added.
 *
 * @param x        (batch, height, width, 2c)
 * @param running  running statistics of the three batch normalisations
 * @returns        the same shape
 * @throws ShapeError, DTypeError
 * @see https://arxiv.org/abs/2403.03849 (figure 3)
 */
export function ssConvSsm(
  x: Tensor,
  parameters: SsConvSsmParameters,
  running: readonly [RunningStatistics, RunningStatistics, RunningStatistics],
  options: SsConvSsmOptions = {},
): Tensor {
  const operation = "ssConvSsm";
  const { ln1Weight, ln1Bias, attention, branch } = expectNamed(operation, "the parameters", parameters, {
    ln1Weight: true,
    ln1Bias: true,
    attention: true,
    branch: true,
  });
  const {
    training = false,
    momentum = 0.1,
    pathScale,
    recompute = false,
    communicator: ranks,
  } = optionsOf(operation, options, {
    training: true,
    momentum: true,
    pathScale: true,
    recompute: true,
    communicator: true,
  });
  if (ranks !== undefined && !(ranks instanceof Communicator))
    throw new ArgumentError(
      `${operation}: communicator has to be one of an engine, but is ${inWords(ranks)}.`,
    );
  const communicator = training ? ranks : undefined;
  expectNumbers(operation, { momentum });
  expectFlags(operation, { training, recompute });
  const [batch, height, width, channels] = extents(operation, "x", x, [
    "batch",
    "height",
    "width",
    "channels",
  ]);
  if (channels % 2 !== 0) {
    throw new ShapeError(
      `${operation}: input has ${channels} channels, but the block splits them in two halves: use an even width.`,
    );
  }
  const c = channels / 2;
  const { states, rank } = ss2dSizes(operation, c, attention);
  expectFloats(operation, { x, ln1Weight, ln1Bias }, { pathScale });
  expectShape(operation, { ln1Weight, ln1Bias }, [c]);
  expectShape(operation, { pathScale }, [batch]);
  expectBranch(c, branch);
  if (!Array.isArray(running) || running.length !== 3)
    throw new ArgumentError(`${operation}: running has to be three statistics, but is ${inWords(running)}.`);
  for (const statistics of running) expectRunning(operation, statistics, c);

  const sizes = { batch, height, width, channels, states, rank };
  const plan = x.device.plan("ss_conv_ssm", sizes);
  const norms = running.map(({ mean, variance, batchesTracked }) => ({
    running_mean: mean,
    running_variance: variance,
    batches_tracked: batchesTracked,
  }));
  const block: Block = {
    settings: { ...sizes, training, communicator },
    momentum,
    workspace: plan.forwardWorkspace,
  };
  const inputs = { x, ln1Weight, ln1Bias, ...attention, ...branch };
  const keeps = isRecorded(...Object.values(inputs)) && !recompute;
  const kept = keeps ? Tensor.empty([plan.saved], x) : undefined;
  const y = Tensor.like(x);
  computeForward(block, inputs, norms, pathScale, y, kept);

  const held = { ...inputs, pathScale: pathScale?.detach(), kept };
  return record(operation, y, inputs, held, (dy, saved, into) => {
    let { kept } = saved as { kept: Tensor | undefined };
    if (!kept) {
      kept = Tensor.empty([plan.saved], dy);
      const again = Tensor.like(dy);
      computeForward(block, saved, training ? [] : norms, saved.pathScale, again, kept);
      again.dispose();
    }
    const dx = into("x") ?? Tensor.like(dy);
    const gradients = {
      ...gradientsOf(lnNames, saved, into),
      ...gradientsOf(ss2dNames, saved, into),
      ...gradientsOf(branchNames, saved, into),
    };
    const workspace = Tensor.empty([plan.backwardWorkspace], dy);
    dy.device.call("ss_conv_ssm_backward", {
      ...block.settings,
      ...weightFields(saved),
      path_scale: saved.pathScale,
      saved: kept,
      dy,
      dx,
      dln_1_weight: gradients.ln1Weight,
      dln_1_bias: gradients.ln1Bias,
      attention_gradients: ss2dFields(gradients),
      branch_gradients: renamed(branchFields, gradients),
      workspace,
    });
    workspace.dispose();
    return { x: dx, ...gradients };
  });
}

/** What all passes over one block have in common. */
interface Block {
  readonly settings: { readonly [field: string]: number | boolean | Communicator | undefined };
  readonly momentum: number;
  /** Floats. */
  readonly workspace: number;
}

type BlockInputs = { x: Tensor; ln1Weight: Tensor; ln1Bias: Tensor } & Ss2dParameters &
  ConvolutionBranchParameters;

function weightFields(inputs: BlockInputs) {
  return {
    x: inputs.x,
    ln_1_weight: inputs.ln1Weight,
    ln_1_bias: inputs.ln1Bias,
    attention: ss2dFields(inputs),
    branch: renamed(branchFields, inputs),
  };
}

/**
 * Queues the forward pass. Evaluation reads the running statistics, training moves them, unless none are given: so a
 * pass that is computed again leaves them alone.
 */
function computeForward(
  { settings, momentum, workspace: floats }: Block,
  inputs: BlockInputs,
  [norm1 = {}, norm2 = {}, norm3 = {}]: readonly Readonly<Record<string, Tensor | undefined>>[],
  path_scale: Tensor | undefined,
  y: Tensor,
  saved: Tensor | undefined,
): void {
  const workspace = Tensor.empty([floats], y);
  const norms = { norm1, norm2, norm3 };
  y.device.call("ss_conv_ssm_forward", {
    ...settings,
    momentum,
    ...weightFields(inputs),
    ...norms,
    path_scale,
    y,
    saved,
    workspace,
  });
  workspace.dispose();
}
