// Loops whose machine instructions are counted: those in which a training step spends its time.
//
//   what      the loop in words
//   file      in native/cuda, without .cu
//   kernel    how its readable name begins (cuda-instructions.mjs --loops FILE prints the names)
//   most      the loop meant has the most instructions of this class or name (cubin.mjs) on every way around; of loops that
//             have as many there, none in all of a product's, the most "at most" ...
//   place     ... but for so many loops that have more; 0 if absent
//   work      how many units one time around is for
//   unit      of what
//   architecture  that it is compiled for, if not the one that is asked for
//   limit     instructions that it may have at most, by the release of nvcc: a test fails where there are more. Lower it
//             with every gain; raise it only with a reason. Releases without a limit are not checked, and do not compile what
//             has an architecture of its own.

const forward = { file: "scan_forward", unit: "state and step" };
const backward = { file: "scan_backward", unit: "state and step" };
const product = { most: "tensor", work: 1, unit: "step of 64 k" };
// A warp has 16 rows of C and all columns of a tile, where that of the other products has 32 x 32.
const hopper = { ...product, file: "product_sm90", architecture: "90a" };

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
    place: 1,
    work: 32,
    limit: { 11: 203, 13: 203 },
  },
  {
    ...backward,
    what: "scan backward, bf16: states before the runs",
    kernel: "scan_backward_kernel<Scan4Source<BFloat16, 48,",
    most: "float",
    place: 2,
    work: 32,
    limit: { 11: 170, 13: 170 },
  },
  {
    ...backward,
    what: "scan backward, bf16: run",
    kernel: "scan_backward_kernel<Scan4Source<BFloat16, 48,",
    most: "float",
    work: 32,
    limit: { 11: 575, 13: 570 },
  },
  {
    ...product,
    what: "product, bf16, 128 x 64, k along both operands",
    file: "matmul",
    kernel:
      "multiply_tiles<Bf16Math, TileShape<128>, Matrix<BFloat16, BFloat16, true>, Matrix<BFloat16, BFloat16, true>,",
    limit: { 11: 609, 13: 599 },
  },
  {
    ...product,
    what: "product, bf16, 128 x 64, x as it lies times float32 weights",
    file: "matmul",
    kernel:
      "multiply_tiles<Bf16Math, TileShape<128>, Matrix<BFloat16, BFloat16, true>, Matrix<BFloat16, float, true>,",
    limit: { 11: 534, 13: 533 },
  },
  {
    ...product,
    what: "3x3 convolution, bf16, 128 x 64",
    file: "conv3x3",
    kernel: "multiply_tiles<Bf16Math, TileShape<128>, Pixels<BFloat16, false>,",
    limit: { 11: 652, 13: 644 },
  },
  {
    ...product,
    what: "3x3 convolution's weight gradient, bf16, 128 x 64",
    file: "conv3x3_weight",
    kernel: "multiply_tiles<Bf16Math, TileShape<128>, ShiftedPixels<BFloat16, false>,",
    limit: { 11: 677, 13: 677 },
  },
  {
    what: "depthwise, bf16: forward",
    file: "depthwise3x3",
    kernel: "convolve<4, BFloat16>",
    most: "float",
    work: 8,
    unit: "element",
    limit: { 11: 196, 13: 193 },
  },
  {
    what: "layer norm with gate, bf16",
    file: "layer_norm",
    kernel: "forward_kernel<Shape<16, 8, 8>, true, 1, BFloat16, BFloat16>",
    most: "float",
    work: 2,
    unit: "row of 96 channels",
    limit: { 11: 354, 13: 338 },
  },
  {
    what: "layer norm with gate, bf16, of four copies",
    file: "layer_norm",
    kernel: "forward_kernel<Shape<16, 8, 8>, true, 4, BFloat16, BFloat16>",
    most: "float",
    work: 2,
    unit: "row of 96 channels",
    limit: { 11: 600, 13: 597 },
  },
  {
    what: "batch norm, bf16: statistics",
    file: "batch_norm",
    kernel: "moments_kernel<8, BFloat16>",
    most: "float",
    work: 8,
    unit: "element",
    limit: { 11: 42, 13: 42 },
  },
  {
    what: "batch norm: statistics from parts",
    file: "batch_norm",
    kernel: "parts_kernel<4, ValueParts>",
    most: "float",
    work: 256,
    unit: "element",
    limit: { 11: 50, 13: 50 },
  },
  ...[48, 64, 96, 128, 192].map((columns) => ({
    ...hopper,
    what: `product and 3x3 convolution, bf16: wgmma, 16 x ${columns} of C a warp`,
    kernel: `multiply_boxes<${columns}, 64>`,
    limit: { 13: 67 },
  })),
];
