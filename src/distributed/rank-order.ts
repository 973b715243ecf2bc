/** What `Communicator.sum` computes, on the host. */

/**
 * The sum over ranks of each value: in double precision, one rank after another, rounded once; the bits that devices have for
 * up to 16 ranks on a CPU, 8 on a GPU.
 *
 * @param parts  of each rank, in the order of ranks, equally long
 * @param sum    overwritten; may be one of them
 */
export function addInRankOrder(parts: readonly Float32Array[], sum: Float32Array): void {
  for (let i = 0; i < sum.length; i++) {
    let total = 0;
    for (const part of parts) total += part[i] as number;
    sum[i] = total;
  }
}
