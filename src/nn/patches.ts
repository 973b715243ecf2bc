/** The layers between stages: from image to patches, and from one resolution to half of it. */
import { mergePatches, patchesOf } from "../ops/convolution.js";
import { linear } from "../ops/matmul.js";
import { reshape } from "../ops/shape.js";
import { expectCounts, optionsOf } from "../settings/given.js";
import type { Tensor } from "../tensor/tensor.js";
import { Conv2d, LayerNorm, type LayerOptions, Linear } from "./layers.js";
import { Module } from "./module.js";

/** Images to patch vectors: (batch, in, height, width) -> (batch, height / patch, width / patch, channels). */
export class PatchEmbed extends Module {
  readonly #projection: Conv2d;
  readonly #norm: LayerNorm;

  constructor(
    inChannels: number,
    /** Length of a patch vector. */
    readonly channels: number,
    /** Side of a patch, in pixels. */
    readonly patchSize: number,
    options: LayerOptions = {},
  ) {
    super();
    optionsOf("PatchEmbed", options, { device: true });
    expectCounts("PatchEmbed", { inChannels, channels, patchSize });
    this.#projection = this.child(
      "proj",
      new Conv2d(inChannels, channels, patchSize, { stride: patchSize, ...options }),
    );
    this.#norm = this.child("norm", new LayerNorm(channels, options));
  }

  /** (batch, in, height, width) -> (batch, height / patch, width / patch, channels). @throws ShapeError */
  override forward(images: Tensor): Tensor {
    const patches = patchesOf(images, this.patchSize, "channels-first");
    const { weight, bias } = this.#projection;
    return this.#norm.forward(linear(patches, reshape(weight, [this.channels, -1]), bias));
  }
}

/** Halves the resolution and doubles the channels; an odd last row or column is dropped. */
export class PatchMerging extends Module {
  readonly #reduction: Linear;
  readonly #norm: LayerNorm;

  constructor(channels: number, options: LayerOptions = {}) {
    super();
    optionsOf("PatchMerging", options, { device: true });
    expectCounts("PatchMerging", { channels });
    this.#reduction = this.child(
      "reduction",
      new Linear(4 * channels, 2 * channels, { bias: false, ...options }),
    );
    this.#norm = this.child("norm", new LayerNorm(4 * channels, options));
  }

  /** (batch, height, width, c) -> (batch, floor(height / 2), floor(width / 2), 2c). @throws ShapeError */
  override forward(x: Tensor): Tensor {
    return this.#reduction.forward(this.#norm.forward(mergePatches(x)));
  }
}
