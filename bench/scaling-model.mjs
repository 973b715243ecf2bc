// What a sum over ranks costs on paper: bytes over links. Computed, not measured.

/** Links by what they carry in practice, in GB/s one way: of a GPU within a machine, of a machine's network between machines. */
export const links = [
  { name: "NVLink 4", gigabytes: 250, between: "GPUs" },
  { name: "PCIe 4", gigabytes: 20, between: "GPUs" },
  { name: "InfiniBand 400", gigabytes: 45, between: "machines" },
  { name: "InfiniBand 200", gigabytes: 23, between: "machines" },
  { name: "100 GbE", gigabytes: 9, between: "machines" },
  { name: "25 GbE", gigabytes: 2.8, between: "machines" },
  { name: "10 GbE", gigabytes: 1.1, between: "machines" },
];

/**
 * Bytes that one link carries in a sum of `bytes` over `ranks`, `perMachine` of which share the link.
 *
 * A ring, which is what engines' own sums come to, passes all but one part twice: 2 (W - 1) / W. In ours, every rank sends a part to
 * every other: of the G ranks of a machine, G (W - G) / W leave it; the gathering of the parts is a ring's half.
 *
 * @returns {{ ours: number, engine: number }}
 */
export function bytesOverLink(bytes, ranks, perMachine) {
  const half = ((ranks - 1) / ranks) * bytes;
  const exchanged = ((perMachine * (ranks - perMachine)) / ranks) * bytes;
  return { ours: exchanged + half, engine: 2 * half };
}

/** Milliseconds of a sum over a link of that many GB/s, latency left out. */
export function millisecondsOf(bytes, gigabytes) {
  return bytes / gigabytes / 1e6;
}
