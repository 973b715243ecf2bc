/** Memory that ran out while a batch was computed: which batch size to try instead. */
import { OutOfMemoryError } from "../errors.js";
import type { Device } from "../tensor/device.js";

/**
 * The error to throw in the place of one that computing a batch threw: an `OutOfMemoryError` with a batch size that may
 * fit, in words and as `suggestedBatchSize`; any other error as it is. To be asked when the batch's own tensors are gone,
 * and what stays whatever the batch size (weights, optimiser) is still there.
 *
 * The batch is halved until as much memory as this one had asked for before it failed, in proportion to its images, fits
 * beside what stays. What it would have asked for after that is not known: at the latest, the next size below fits.
 *
 * @param batchSize  images that were computed at once
 * @param recompute  whether activation checkpointing could still save memory; default false
 */
export function withBatchAdvice(
  error: unknown,
  { device, batchSize, recompute = false }: { device: Device; batchSize: number; recompute?: boolean },
): unknown {
  if (!(error instanceof OutOfMemoryError) || error.batchSize !== undefined) return error;
  const { bytes: staying, peakBytes, reservedBytes } = device.memory();
  const available = reservedBytes + (device.describe().freeBytes ?? 0) - staying;
  const needed = peakBytes - staying + (error.requestedBytes ?? 0);
  let fitting = Math.floor(batchSize / 2);
  while (fitting >= 1 && (needed * fitting) / batchSize > available) fitting = Math.floor(fitting / 2);
  const otherwise = recompute ? ", or recompute (--recompute)" : "";
  const advice =
    fitting >= 1
      ? `A batch of ${batchSize} images does not fit on ${device}: try a batch size of ${fitting}${otherwise}.`
      : `Not even one image fits on ${device}: use smaller images or a smaller model${otherwise}.`;
  return new OutOfMemoryError(`${error.message}\n  ${advice}`, {
    requestedBytes: error.requestedBytes,
    freeBytes: error.freeBytes,
    limitBytes: error.limitBytes,
    batchSize,
    suggestedBatchSize: fitting >= 1 ? fitting : undefined,
    cause: error,
  });
}
