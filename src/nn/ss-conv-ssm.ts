/** The SS-Conv-SSM block as a module, with the published parameter names. */
import { ArgumentError } from "../errors.js";
import { expectTensor } from "../ops/check.js";
import { expectRate, pathScale } from "../ops/dropout.js";
import type { RunningStatistics } from "../ops/normalization.js";
import { type ConvolutionBranchParameters, ssConvSsm } from "../ops/ss-conv-ssm.js";
import { expectCounts, optionsOf } from "../settings/given.js";
import type { Communicator } from "../tensor/communicator.js";
import type { Tensor } from "../tensor/tensor.js";
import { BatchNorm2d, Conv2d, LayerNorm, type LayerOptions, ReLU, Sequential } from "./layers.js";
import { Module } from "./module.js";
import { SS2D } from "./ss2d.js";

/** Options of the block. */
export interface SSConvSSMOptions extends LayerOptions {
  /** N, states of each channel of the scan; default 16. */
  dState?: number;
  /** Probability that an image skips the SS2D half during training; default 0. */
  dropPathRate?: number;
}

/** The hybrid block; (batch, height, width, channels) -> the same shape, `channels` even. */
export class SSConvSSM extends Module {
  /** Probability that an image skips the SS2D half during training. */
  readonly dropPathRate: number;
  /** Compute the block again in backward instead of keeping its intermediate results; default false. */
  recompute = false;
  /** In training, batch statistics are those of all ranks; default undefined, of this process alone. */
  communicator: Communicator | undefined;
  readonly #ln1: LayerNorm;
  readonly #attention: SS2D;
  readonly #branch: ConvolutionBranchParameters;
  readonly #running: readonly [RunningStatistics, RunningStatistics, RunningStatistics];

  /** @throws ArgumentError if `channels` is odd, or an option cannot be */
  constructor(channels: number, options: SSConvSSMOptions = {}) {
    super();
    const names = { dState: true, dropPathRate: true, device: true } as const;
    const { dState = 16, dropPathRate = 0, device } = optionsOf("SSConvSSM", options, names);
    expectCounts("SSConvSSM", { channels, dState });
    expectRate("SSConvSSM", dropPathRate);
    if (channels % 2 !== 0)
      throw new ArgumentError(
        `SSConvSSM: ${channels} channels cannot be split in two halves: use an even number.`,
      );
    this.dropPathRate = dropPathRate;
    const c = channels / 2;
    this.#ln1 = this.child("ln_1", new LayerNorm(c, { device }));
    this.#attention = this.child("self_attention", new SS2D(c, dState, { device }));
    const norms = [0, 1, 2].map(() => new BatchNorm2d(c, { device })) as [
      BatchNorm2d,
      BatchNorm2d,
      BatchNorm2d,
    ];
    const [norm1, norm2, norm3] = norms;
    const conv1 = new Conv2d(c, c, 3, { device });
    const conv2 = new Conv2d(c, c, 3, { device });
    const conv3 = new Conv2d(c, c, 1, { device });
    const layers = [norm1, conv1, norm2, new ReLU(), conv2, norm3, new ReLU(), conv3, new ReLU()];
    this.child("conv33conv33conv11", new Sequential(...layers));
    this.#branch = {
      norm1Weight: norm1.weight,
      norm1Bias: norm1.bias,
      conv1Weight: conv1.weight,
      conv1Bias: conv1.bias as Tensor,
      norm2Weight: norm2.weight,
      norm2Bias: norm2.bias,
      conv2Weight: conv2.weight,
      conv2Bias: conv2.bias as Tensor,
      norm3Weight: norm3.weight,
      norm3Bias: norm3.bias,
      conv3Weight: conv3.weight,
      conv3Bias: conv3.bias as Tensor,
    };
    this.#running = [norm1.running, norm2.running, norm3.running];
  }

  /** (batch, height, width, channels) -> the same shape. @throws ShapeError; see `ssConvSsm` */
  override forward(x: Tensor): Tensor {
    expectTensor("ssConvSsm", "x", x);
    const drops = this.training && this.dropPathRate > 0;
    const scale = drops ? pathScale(x.shape[0] ?? 0, this.dropPathRate, x) : undefined;
    const parameters = {
      ln1Weight: this.#ln1.weight,
      ln1Bias: this.#ln1.bias,
      attention: this.#attention.weights,
      branch: this.#branch,
    };
    const { training, recompute, communicator } = this;
    const options = { training, pathScale: scale, recompute, communicator };
    const y = ssConvSsm(x, parameters, this.#running, options);
    scale?.dispose();
    return y;
  }
}
