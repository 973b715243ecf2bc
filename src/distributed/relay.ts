/**
 * The engine of last resort: values go over the control plane to rank 0, which adds them in the order of ranks, and back. Nothing
 * has to be installed for it, and the bits are those of the other engines; but all bytes pass through one process, and each rank
 * waits for the sum on the host.
 */
import { DistributedError } from "../errors.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Control } from "./control.js";
import { addInRankOrder } from "./rank-order.js";

/** In place, every rank's values become the sum over ranks, float32. @param onHost  the values, on their way to the host */
export async function relaySum(
  control: Control,
  values: Tensor,
  onHost: ReturnType<Tensor["data"]> = values.data(),
): Promise<void> {
  const host = (await onHost) as Float32Array;
  const [sum] = await control.exchange("sum", bytesOf(host), (parts) => [bytesOf(added(parts, host.length))]);
  values.upload(floatsOf(sum as Uint8Array));
}

/** In place, every rank's values become those of `root`. */
export async function relayBroadcast(control: Control, values: Tensor, root: number): Promise<void> {
  const host = await values.data();
  const isRoot = control.rank === root;
  const own = isRoot ? new Uint8Array(host.buffer, host.byteOffset, host.byteLength) : new Uint8Array(0);
  const [bytes] = await control.exchange("broadcast", own, (parts) => [parts[root] as Uint8Array]);
  if (isRoot) return;
  if (bytes?.length !== host.byteLength)
    throw new DistributedError(
      `group.broadcast: rank ${root} has ${bytes?.length} bytes of it, rank ${control.rank} ${host.byteLength}: give tensors of one shape.`,
    );
  new Uint8Array(host.buffer, host.byteOffset, host.byteLength).set(bytes);
  values.upload(host);
}

function added(parts: readonly Uint8Array[], count: number): Float32Array {
  const sum = new Float32Array(count);
  for (const [rank, part] of parts.entries()) {
    if (part.length !== 4 * count)
      throw new DistributedError(
        `group.sum: rank ${rank} has ${part.length / 4} values, rank 0 ${count}: give tensors of one shape.`,
      );
  }
  addInRankOrder(parts.map(floatsOf), sum);
  return sum;
}

export const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** A copy, since what came over a connection begins anywhere. */
export const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(new Uint8Array(bytes).buffer);
