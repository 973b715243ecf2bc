// Loops whose machine instructions are counted: those in which a training step spends its time.
//
//   what      the loop in words
//   file      in native/cuda, without .cu
//   kernel    how its readable name begins (cuda-instructions.mjs --loops FILE prints the names)
//   most      the loop meant has, on every way around, the most instructions of this class or name (cubin.mjs) ...
//   place     ... but for so many loops that have more; 0 if absent
//   work      how many units one time around is for
//   unit      of what
//   architecture  that it is compiled for, if not the one that is asked for
//   limit     instructions that it may have at most, by the release of nvcc: a test fails where there are more. A release that
//             has none is not compiled with, where a row has an architecture of its own. Lower it
//             with every gain; raise it only with a reason.

const forward = { file: "scan_forward", unit: "state and step" };
// A step of 64 k of a product on Hopper, of a warp: 16 rows and all columns of a tile. mma.sync's, which `--loops conv3x3` shows, has 32 x 32.
const hopper = { file: "product_sm90", architecture: "90a", most: "tensor", unit: "step of 64 k" };
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
  {
    what: "depthwise, bf16: forward",
    file: "depthwise3x3",
    kernel: "convolve<4, BFloat16>",
    most: "float",
    work: 8,
    unit: "element",
    limit: { 13: 193 },
  },
  {
    what: "layer norm with gate, bf16",
    file: "layer_norm",
    kernel: "forward_kernel<Shape<16, 8, 8>, true, BFloat16, BFloat16>",
    most: "float",
    work: 2,
    unit: "row of 96 channels",
    limit: { 13: 338 },
  },
  {
    what: "batch norm, bf16: statistics",
    file: "batch_norm",
    kernel: "moments_kernel<8, BFloat16>",
    most: "float",
    work: 8,
    unit: "element",
    limit: { 13: 42 },
  },
  ...[48, 64, 96, 128, 192].map((columns) => ({
    ...hopper,
    what: `product and 3x3 convolution, bf16: wgmma, 16 x ${columns} of C a warp`,
    kernel: `multiply_boxes<${columns}, 64>`,
    work: 1,
    limit: { 13: 67 },
  })),
];
