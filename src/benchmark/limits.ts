/**
 * What this machine can do at best, measured with this package's own code in the same run as everything else: a
 * matrix product large enough to hide its edges, in the precision of the device, where the maker of a GPU has not
 * published what that one can do; a copy larger than the caches;
 * exponentials of numbers in L2. A GPU's exponentials outrun its caches, so that there the scan counts as well, which
 * takes many of each number that it loads. Of several samples the fastest counts: whatever else runs on the machine
 * can only hide what it can do.
 */
import { constants } from "../native/constants.js";
import { runKernel } from "../ops/kernel.js";
import { product } from "../ops/matmul.js";
import { randn } from "../tensor/creation.js";
import type { Device } from "../tensor/device.js";
import { Tensor } from "../tensor/tensor.js";
import { scanForward } from "./kernels.js";
import { measure, type Pace } from "./measure.js";
import { publishedMultiplyAdds } from "./published-peaks.js";
import type { Cost, Stage } from "./work.js";

/** Rates a second, of all threads together. */
export interface Limits {
  readonly multiplyAdds: number;
  /** Whether `multiplyAdds` is the maker's number instead of a measurement. */
  readonly published?: boolean;
  /** Read plus written. */
  readonly bytes: number;
  readonly exponentials: number;
}

/** What a cost is bound by. */
export type Bound = "product" | "exp" | "memory";

/** Of the matrices, of the copy in floats, of the exponentials of a thread or GPU, and images of a GPU's scan. */
interface Sizes {
  readonly matrix: number;
  readonly copied: number;
  readonly exponentials: number;
  readonly scanned: number;
}

const cpu: Record<"full" | "quick", Sizes> = {
  full: { matrix: 1536, copied: 1 << 26, exponentials: 1 << 15, scanned: 0 },
  quick: { matrix: 512, copied: 1 << 22, exponentials: 1 << 15, scanned: 0 },
};
const gpu: Record<"full" | "quick", Sizes> = {
  full: { matrix: 8192, copied: 1 << 28, exponentials: 1 << 22, scanned: 128 },
  quick: { matrix: 128, copied: 1 << 14, exponentials: 1 << 12, scanned: 0 },
};

/** What is scanned for it: the third stage of `tiny` at 224 pixels. */
const scannedStage: Stage = { height: 14, width: 14, channels: 384, states: 16, rank: 12, blocks: 1 };

export async function measureLimits(device: Device, pace: Pace, quick: boolean): Promise<Limits> {
  const sizes = (device.name === "cpu" ? cpu : gpu)[quick ? "quick" : "full"];
  const { matrix, copied } = sizes;
  const numbers = sizes.exponentials * (device.describe().threads || 1);
  const peak = publishedMultiplyAdds(device.describe().model, device.precision);
  return {
    multiplyAdds:
      peak ?? matrix ** 3 / (await secondsOf(device, pace, matrix ** 2, (a, c) => multiply(matrix, a, c))),
    ...(peak === undefined ? {} : { published: true }),
    bytes: (8 * copied) / (await secondsOf(device, pace, copied, copy)),
    exponentials: Math.max(
      numbers / (await secondsOf(device, pace, numbers, exponential)),
      sizes.scanned > 0 ? await scanned(device, pace, sizes.scanned) : 0,
    ),
  };
}

/** The least time that the machine needs for a cost, and what it is bound by. */
export function leastTime(cost: Cost, limits: Limits): { seconds: number; bound: Bound } {
  const products = cost.multiplyAdds / limits.multiplyAdds;
  const exponentials = cost.exponentials / limits.exponentials;
  const memory = (cost.bytes ?? 0) / limits.bytes;
  if (memory > products + exponentials) return { seconds: memory, bound: "memory" };
  return { seconds: products + exponentials, bound: exponentials > products ? "exp" : "product" };
}

/** Exponentials a second of the scan's forward pass. */
async function scanned(device: Device, pace: Pace, images: number): Promise<number> {
  const scan = scanForward(scannedStage, images);
  const opened = scan.open(device);
  try {
    return scan.cost.exponentials / (await measure(device, opened, pace)).fastest;
  } finally {
    opened.close();
  }
}

async function secondsOf(
  device: Device,
  pace: Pace,
  size: number,
  call: (x: Tensor, y: Tensor) => void,
): Promise<number> {
  const x = randn([size], { device });
  const y = Tensor.empty([size], { device });
  try {
    return (await measure(device, { run: () => call(x, y) }, pace)).fastest;
  } finally {
    x.dispose();
    y.dispose();
  }
}

function multiply(side: number, a: Tensor, c: Tensor): void {
  product(a, a, c, { m: side, n: side, k: side });
}

function copy(x: Tensor, y: Tensor): void {
  runKernel(x.device, "copy", {
    dimensions: 1,
    element_size: 4,
    shape: [x.size],
    x_strides: [1],
    y_strides: [1],
    x_offset: 0,
    y_offset: 0,
    x,
    y,
  });
}

function exponential(x: Tensor, y: Tensor): void {
  runKernel(x.device, "unary", { op: constants().unary.exp, count: x.size, x, y });
}
