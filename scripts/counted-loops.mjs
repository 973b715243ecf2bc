// Loops whose machine instructions are counted: those in which a training step spends its time.
//
//   what      the loop in words
//   file      in native/cuda, without .cu
//   kernel    how its readable name begins (cuda-instructions.mjs --loops FILE prints the names)
//   most      the loop meant has, on every way around, the most instructions of this class or name (cubin.mjs) ...
//   place     ... but for so many loops that have more; 0 if absent
//   work      how many units one time around is for
//   unit      of what
//   limit     instructions that it may have at most, by the release of nvcc: a test fails where there are more. Lower it
//             with every gain; raise it only with a reason.

const forward = { file: "scan_forward", unit: "state and step" };
const backward = { file: "scan_backward", unit: "state and step" };

export const countedLoops = [
  {
    ...forward,
    what: "scan forward, float32: walk",
    kernel: "scan_forward_kernel<Scan4Source<float, 96,",
    most: "MUFU",
    work: 32,
    limit: { 11: 198, 13: 198 },
  },
  {
    ...forward,
    what: "scan forward, bf16: walk",
    kernel: "scan_forward_kernel<Scan4Source<BFloat16, 96,",
    most: "MUFU",
    work: 32,
    limit: { 11: 203, 13: 203 },
  },
  {
    ...backward,
    what: "scan backward, bf16: states before the runs",
    kernel: "scan_backward_kernel<Scan4Source<BFloat16, 48,",
    most: "float",
    place: 1,
    work: 32,
    limit: { 11: 170, 13: 170 },
  },
  {
    ...backward,
    what: "scan backward, bf16: run",
    kernel: "scan_backward_kernel<Scan4Source<BFloat16, 48,",
    most: "float",
    work: 32,
    limit: { 11: 575, 13: 568 },
  },
];
