/** SS2D as a module, with the published parameter names. */
import { type Ss2dParameters, ss2d } from "../ops/ss2d.js";
import { expectCounts, optionsOf } from "../settings/given.js";
import { ones } from "../tensor/creation.js";
import type { Tensor } from "../tensor/tensor.js";
import { stateLogs, stepBias, uniform } from "./initialization.js";
import { Conv2d, LayerNorm, type LayerOptions, Linear } from "./layers.js";
import { Module } from "./module.js";

/** Selective scan of an image in four directions; (batch, height, width, c) -> the same shape. */
export class SS2D extends Module {
  /** All parameters, as `ss2d` takes them. */
  readonly weights: Ss2dParameters;

  /**
   * @param channels  c; the scan runs over D = 2c channels with rank R = ceil(c / 16)
   * @param dState    N, states of each channel
   */
  constructor(channels: number, dState = 16, options: LayerOptions = {}) {
    super();
    const { device } = optionsOf("SS2D", options, { device: true });
    expectCounts("SS2D", { channels, dState });
    const [inner, rank] = [2 * channels, Math.ceil(channels / 16)];
    const xProjWeight = uniform([4, rank + 2 * dState, inner], inner ** -0.5, device);
    const dtProjsWeight = uniform([4, inner, rank], rank ** -0.5, device);
    const own = {
      xProjWeight: this.parameter("x_proj_weight", xProjWeight),
      dtProjsWeight: this.parameter("dt_projs_weight", dtProjsWeight),
      dtProjsBias: this.parameter("dt_projs_bias", stepBias([4, inner], device)),
      aLogs: this.parameter("A_logs", stateLogs(4 * inner, dState, device)),
      ds: this.parameter("Ds", ones([4 * inner], { device })),
    };
    const inProj = this.child("in_proj", new Linear(channels, 2 * inner, { bias: false, device }));
    const convolution = this.child("conv2d", new Conv2d(inner, inner, 3, { groups: inner, device }));
    const outNorm = this.child("out_norm", new LayerNorm(inner, options));
    const outProj = this.child("out_proj", new Linear(inner, channels, { bias: false, device }));
    this.weights = {
      ...own,
      inProjWeight: inProj.weight,
      conv2dWeight: convolution.weight,
      conv2dBias: convolution.bias as Tensor,
      outNormWeight: outNorm.weight,
      outNormBias: outNorm.bias,
      outProjWeight: outProj.weight,
    };
  }

  /** (batch, height, width, c) -> the same shape. @throws ShapeError; see `ss2d` */
  override forward(x: Tensor): Tensor {
    return ss2d(x, this.weights);
  }
}
