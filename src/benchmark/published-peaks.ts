/**
 * Multiply-adds a second that makers publish for their GPUs: dense, with float32 sums. Products of ours measured instead
 * would make whatever our products do the limit of what can be done.
 */
import type { Precision } from "../tensor/device.js";

/** TFLOP/s, two to a multiply-add. */
type Peaks = Readonly<Record<Precision, number>>;

/** By what a model's name contains. Cards of the same name with fewer units or less power (PCIe, NVL) have others. */
const published: readonly (readonly [name: RegExp, Peaks])[] = [
  // NVIDIA's A100 datasheet (nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf).
  [/\bA100\b/, { float32: 19.5, tf32: 156, bf16: 312 }],
  // NVIDIA's H100 architecture paper, SXM5; the H200's chip is the same.
  [/\bH[12]00\b(?!.*\b(PCIe|NVL)\b)/, { float32: 66.9, tf32: 494.7, bf16: 989.4 }],
];

/** undefined where no peak is known here. */
export function publishedMultiplyAdds(model: string | undefined, precision: Precision): number | undefined {
  const peaks = published.find(([name]) => model !== undefined && name.test(model))?.[1];
  return peaks && (1e12 * peaks[precision]) / 2;
}
