/** Values that ranks have, the same in a rank's process and in the test that knows what should come of them. */

/** Numbers in -1..1 by integer arithmetic alone: the bits are the same wherever they are drawn. */
export function drawn(seed, length) {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x2545f491) >>> 0 || 1;
  return Float32Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 31 - 1;
  });
}

/** Of one rank, large beside small, so that the order of a sum in float32 shows in its bits. */
export function ofRank(rank, length) {
  const values = drawn(rank, length);
  for (let i = 0; i < length; i++) values[i] = Math.fround(values[i] * 2 ** (((i + 3 * rank) % 25) - 12));
  return values;
}
