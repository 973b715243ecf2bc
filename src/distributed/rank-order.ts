/** What `Communicator.sum` computes, on the host. */

/**
 * The sum over ranks of each value: in double precision, one rank after another, rounded once. A CPU has the same bits for up to
 * 16 ranks; with more, and on a GPU, ranks are added in another order, as fixed, which shows where a double rounds, too.
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
