/**
 * How much arithmetic a MedMamba takes, counted from its configuration. A multiply-add is one of `a * b + c`.
 *
 * A block of width C = 2c runs its scan over D = C channels with N states in four directions, and its projections
 * have rank R = ceil(c / 16). For each pixel: in_proj c 4c, x_proj D 4(R + 2N), dt_proj 4 D R, out_proj D c, two
 * convolutions 9 c c, one c c, a depthwise one 9 D.
 */
import type { MedMambaConfig } from "../models/config.js";

/** One resolution of the network, where all blocks have the same shape. */
export interface Stage {
  readonly height: number;
  readonly width: number;
  /** C, of the block; D of its scan. */
  readonly channels: number;
  /** N */
  readonly states: number;
  /** R */
  readonly rank: number;
  readonly blocks: number;
}

/** Multiply-adds of matrix products and convolutions, by part. */
export type Products = Readonly<Record<Part, number>>;

export type Part = (typeof parts)[number];

const parts = [
  "patchEmbed",
  "conv3x3",
  "conv1x1",
  "inProj",
  "depthwise",
  "xProj",
  "dtProj",
  "outProj",
  "merging",
  "head",
] as const;

/** What one image costs in a forward pass. */
export interface Work {
  readonly products: Products;
  /** One for each state, step and direction of the scan. */
  readonly exponentials: number;
  /**
   * Operations of the scan as the literature counts them: nine a state and step, and one a step for the skip. How
   * many a processor has to issue is in `scanInstructions`.
   */
  readonly scanOperations: number;
}

/**
 * Vector instructions that a state and step of the scan need besides the exponential, when products and sums are
 * fused. Forward: delta A, delta u B, h, y. Backward recomputes the first three, and has dh from y, dh from the
 * next step, dB, dC, d(delta u), and for the decay the product with h, ddelta and dA.
 */
export const scanInstructions = { forward: 4, backward: 11 } as const;

export function stagesOf(config: MedMambaConfig, imageSize: number): Stage[] {
  const { depths, dims, dState: states, patchSize } = config;
  let side = Math.floor(imageSize / patchSize);
  return dims.map((channels, i) => {
    if (i > 0) side = Math.floor(side / 2);
    const rank = Math.ceil(channels / 2 / 16);
    return { height: side, width: side, channels, states, rank, blocks: depths[i] ?? 0 };
  });
}

/** One block, one image. */
export function blockWork({ height, width, channels: D, states: N, rank: R }: Stage): Work {
  const [pixels, c] = [height * width, D / 2];
  const steps = 4 * pixels * D;
  const products = {
    ...noProducts(),
    conv3x3: pixels * 2 * 9 * c * c,
    conv1x1: pixels * c * c,
    inProj: pixels * c * 2 * D,
    depthwise: pixels * 9 * D,
    xProj: pixels * D * 4 * (R + 2 * N),
    dtProj: steps * R,
    outProj: pixels * D * c,
  };
  return { products, exponentials: steps * N, scanOperations: steps * (9 * N + 1) };
}

/** The whole network, one image. */
export function modelWork(config: MedMambaConfig, imageSize: number): Work {
  const { inChannels, patchSize, numClasses } = config;
  const stages = stagesOf(config, imageSize);
  const [first, last] = [stages[0] as Stage, stages.at(-1) as Stage];
  const total: Record<Part, number> = noProducts();
  let [exponentials, scanOperations] = [0, 0];
  for (const [i, stage] of stages.entries()) {
    const block = blockWork(stage);
    for (const part of parts) total[part] += stage.blocks * block.products[part];
    exponentials += stage.blocks * block.exponentials;
    scanOperations += stage.blocks * block.scanOperations;
    const next = stages[i + 1];
    if (next) total.merging += next.height * next.width * 4 * stage.channels * next.channels;
  }
  total.patchEmbed = first.height * first.width * inChannels * patchSize ** 2 * first.channels;
  total.head = last.channels * numClasses;
  return { products: total, exponentials, scanOperations };
}

/** Multiply-adds and exponentials that a pass over `images` cannot do without. */
export interface Cost {
  readonly multiplyAdds: number;
  readonly exponentials: number;
  /** Read and written once; left out where most of it stays in caches. */
  readonly bytes?: number;
}

export function forwardCost({ products, exponentials }: Work, images: number): Cost {
  const multiplyAdds = sum(products) + scanInstructions.forward * exponentials;
  return { multiplyAdds: images * multiplyAdds, exponentials: images * exponentials };
}

/** Each product has one for the gradient of its input (images have none) and one for that of its weight. */
export function backwardCost({ products, exponentials }: Work, images: number): Cost {
  const gradients = 2 * sum(products) - products.patchEmbed;
  const multiplyAdds = gradients + scanInstructions.backward * exponentials;
  return { multiplyAdds: images * multiplyAdds, exponentials: images * exponentials };
}

/** One after the other. */
export function both(a: Cost, b: Cost): Cost {
  return {
    multiplyAdds: a.multiplyAdds + b.multiplyAdds,
    exponentials: a.exponentials + b.exponentials,
  };
}

function sum(products: Products): number {
  return Object.values(products).reduce((total, count) => total + count, 0);
}

function noProducts(): Record<Part, number> {
  return Object.fromEntries(parts.map((part) => [part, 0])) as Record<Part, number>;
}
