/** The layers that networks are put together from. Images are channels-last: (batch, height, width, channels). */
import { ArgumentError } from "../errors.js";
import { gelu, relu, sigmoid, silu } from "../ops/activation.js";
import { conv2d, depthwiseConv2d } from "../ops/convolution.js";
import { dropout, expectRate } from "../ops/dropout.js";
import { linear } from "../ops/matmul.js";
import { batchNorm, layerNorm, type RunningStatistics } from "../ops/normalization.js";
import { expectCounts, expectFlags, expectFunction, expectList, optionsOf } from "../settings/given.js";
import { full, ones, tensor, zeros } from "../tensor/creation.js";
import type { DeviceLike } from "../tensor/devices.js";
import type { Tensor } from "../tensor/tensor.js";
import { kaimingNormal, truncatedNormal, uniform } from "./initialization.js";
import { Module } from "./module.js";

/** What every layer can be told. */
export interface LayerOptions {
  /** Default "cpu". */
  device?: DeviceLike | undefined;
}

/** Options of a layer that may have a bias. */
export interface BiasOptions extends LayerOptions {
  /** Default true. */
  bias?: boolean;
}

/** y = x weight^T + bias over the last axis. Weights are drawn from a normal of 0.02, cut at 2; biases are 0. */
export class Linear extends Module {
  /** (outFeatures, inFeatures) */
  readonly weight: Tensor;
  /** (outFeatures), if there is one. */
  readonly bias: Tensor | undefined;

  constructor(
    /** Extent of the input's last axis. */
    readonly inFeatures: number,
    /** Extent of the result's last axis. */
    readonly outFeatures: number,
    options: BiasOptions = {},
  ) {
    super();
    const { bias = true, device } = optionsOf("Linear", options, { bias: true, device: true });
    expectCounts("Linear", { inFeatures, outFeatures });
    expectFlags("Linear", { bias });
    this.weight = this.parameter("weight", truncatedNormal([outFeatures, inFeatures], 0.02, device));
    this.bias = bias ? this.parameter("bias", zeros([outFeatures], { device })) : undefined;
  }

  /** (..., inFeatures) -> (..., outFeatures). @throws ShapeError if the last axis differs */
  override forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}

/** Options of a convolution. */
export interface Conv2dOptions extends BiasOptions {
  /** Default 1; see `conv2d` for the forms that are served. */
  stride?: number;
  /** 1, or `inChannels` for a depthwise convolution; default 1. */
  groups?: number;
}

/** Convolution of channels-last images; see `conv2d`. Weights: normal, std sqrt(2 / fan_out) (arXiv 1502.01852). */
export class Conv2d extends Module {
  /** (outChannels, inChannels / groups, kernelSize, kernelSize) */
  readonly weight: Tensor;
  /** (outChannels), if there is one. */
  readonly bias: Tensor | undefined;
  /** Pixels from one result to the next. */
  readonly stride: number;

  constructor(
    /** Channels of the input. */
    readonly inChannels: number,
    /** Channels of the result. */
    readonly outChannels: number,
    /** Side of the kernel, in pixels. */
    readonly kernelSize: number,
    options: Conv2dOptions = {},
  ) {
    super();
    const names = { bias: true, stride: true, groups: true, device: true } as const;
    const { bias = true, stride = 1, groups = 1, device } = optionsOf("Conv2d", options, names);
    expectCounts("Conv2d", { inChannels, outChannels, kernelSize, stride, groups });
    expectFlags("Conv2d", { bias });
    if (groups !== 1 && !(groups === inChannels && outChannels === inChannels))
      throw new ArgumentError(
        `Conv2d: ${groups} groups of ${inChannels} channels to ${outChannels} are not served; use 1, or as many as there are channels on both sides.`,
      );
    this.stride = stride;
    const area = kernelSize * kernelSize;
    const inputs = inChannels / groups;
    const shape = [outChannels, inputs, kernelSize, kernelSize];
    this.weight = this.parameter("weight", kaimingNormal(shape, outChannels * area, device));
    const bound = 1 / Math.sqrt(inputs * area);
    this.bias = bias ? this.parameter("bias", uniform([outChannels], bound, device)) : undefined;
  }

  /** (batch, height, width, inChannels) -> (batch, height', width', outChannels). @throws ShapeError; see `conv2d` */
  override forward(x: Tensor): Tensor {
    const depthwise = this.inChannels > 1 && this.weight.shape[1] === 1;
    if (depthwise) return depthwiseConv2d(x, this.weight, this.bias);
    return conv2d(x, this.weight, this.bias, { stride: this.stride });
  }
}

/** Normalises over the last axis; see `layerNorm`. */
export class LayerNorm extends Module {
  /** (features) factor, 1 at first. */
  readonly weight: Tensor;
  /** (features) summand, 0 at first. */
  readonly bias: Tensor;

  constructor(
    /** Extent of the last axis. */
    readonly features: number,
    options: LayerOptions = {},
  ) {
    super();
    const { device } = optionsOf("LayerNorm", options, { device: true });
    expectCounts("LayerNorm", { features });
    this.weight = this.parameter("weight", ones([features], { device }));
    this.bias = this.parameter("bias", zeros([features], { device }));
  }

  /** (..., features) -> the same shape. @throws ShapeError if the last axis differs */
  override forward(x: Tensor): Tensor {
    return layerNorm(x, this.weight, this.bias);
  }
}

/** Normalises each channel of channels-last images; see `batchNorm`. */
export class BatchNorm2d extends Module {
  /** (channels) factor, 1 at first. */
  readonly weight: Tensor;
  /** (channels) summand, 0 at first. */
  readonly bias: Tensor;
  /** Statistics for evaluation, which training moves. */
  readonly running: RunningStatistics;

  constructor(
    /** Extent of the last axis. */
    readonly channels: number,
    options: LayerOptions = {},
  ) {
    super();
    const { device } = optionsOf("BatchNorm2d", options, { device: true });
    expectCounts("BatchNorm2d", { channels });
    this.weight = this.parameter("weight", ones([channels], { device }));
    this.bias = this.parameter("bias", zeros([channels], { device }));
    this.running = {
      mean: this.buffer("running_mean", zeros([channels], { device })),
      variance: this.buffer("running_var", full([channels], 1, { device })),
      batchesTracked: this.buffer("num_batches_tracked", tensor(0, [], { dtype: "int64", device })),
    };
  }

  /** (batch, height, width, channels) -> the same shape. @throws ShapeError if the channels differ */
  override forward(x: Tensor): Tensor {
    return batchNorm(x, this.weight, this.bias, this.running, { training: this.training });
  }
}

/** Drops elements at random during training; see `dropout`. */
export class Dropout extends Module {
  /** @param rate  probability that an element is dropped; the others are divided by 1 - rate */
  constructor(readonly rate = 0.5) {
    super();
    expectRate("Dropout", rate);
  }

  /** Any shape -> the same shape; the input itself in evaluation. */
  override forward(x: Tensor): Tensor {
    return dropout(x, this.rate, { training: this.training });
  }
}

/** A function of each element, as a module. */
export class Activation extends Module {
  readonly #operation: (x: Tensor) => Tensor;

  constructor(operation: (x: Tensor) => Tensor) {
    super();
    expectFunction("Activation", operation, "the operation");
    this.#operation = operation;
  }

  /** Any shape -> the same shape. */
  override forward(x: Tensor): Tensor {
    return this.#operation(x);
  }
}

/** max(x, 0) */
export class ReLU extends Activation {
  constructor() {
    super(relu);
  }
}

/** x * sigmoid(x) */
export class SiLU extends Activation {
  constructor() {
    super(silu);
  }
}

/** x * Phi(x), exact */
export class GELU extends Activation {
  constructor() {
    super(gelu);
  }
}

/** 1 / (1 + exp(-x)) */
export class Sigmoid extends Activation {
  constructor() {
    super(sigmoid);
  }
}

/** Modules in a row, named "0", "1", ... */
export class Sequential extends Module {
  /** In the order in which they are called. */
  readonly layers: readonly Module[];

  constructor(...layers: Module[]) {
    super();
    this.layers = layers.map((layer, i) => this.child(String(i), layer));
  }

  /** Hands the input through all layers. */
  override forward(x: Tensor): Tensor {
    return this.layers.reduce((y, layer) => (layer.forward as (x: Tensor) => Tensor).call(layer, y), x);
  }
}

/** A list of modules, named "0", "1", ...; whoever owns it calls them. */
export class ModuleList<M extends Module> extends Module {
  /** The modules, in the order given. */
  readonly items: readonly M[];

  constructor(items: readonly M[]) {
    super();
    expectList("ModuleList", "the list of modules", items);
    for (const [i, item] of items.entries()) this.child(String(i), item);
    this.items = [...items];
  }

  /** Not there. @throws ArgumentError always: whoever owns the list calls its modules */
  override forward(): Tensor {
    throw new ArgumentError("ModuleList has no forward of its own.");
  }
}
