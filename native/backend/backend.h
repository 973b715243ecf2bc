/* The one C interface that every backend fills: CPU, CUDA, and CUDA emulated.
 *
 * A backend is a table of functions over plain structs. Each function runs on an in-order stream: it may
 * finish after it returns (CUDA) or before (CPU), but never before what was called earlier on the same
 * stream. Nothing C++ and no exception crosses this line; a function answers with a status, and the
 * stream's `last_error` holds one sentence about a failure.
 *
 * Conventions, unless a comment says otherwise:
 *   - every pointer is memory of the stream's device, float32, 64-byte aligned at its allocation;
 *   - activations are channels-last, so an image is `pixels = height * width` rows of `channels` floats,
 *     and the rows of a batch follow each other;
 *   - `x_row` is the distance in floats from one row of `x` to the next (0 means densely packed), so that
 *     an operation can read or write half of the channels of a wider activation;
 *   - a field such as `x_dtype` (mm_dtype) tells how an activation and its gradient lie in memory: as float32, which
 *     is what a zeroed struct says, or as bfloat16. Then the `float *` points to 16-bit elements and `x_row` counts
 *     these. Arithmetic is float32 all the same, and what has no such field is float32. A backend that keeps no
 *     bfloat16 activations answers MM_UNSUPPORTED;
 *   - a NULL pointer marks an optional input or output as absent; which are optional is said at the field;
 *   - outputs are overwritten, and never alias inputs, unless the comment says so;
 *   - same inputs, same bits: reductions have a fixed order that depends on shapes alone, never on the
 *     number of threads or on which block finished first.
 */
#ifndef MEDMAMBA_BACKEND_H
#define MEDMAMBA_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a struct or the table changes; addon and backend must agree. */
#define MM_ABI_VERSION 5
#define MM_MAX_DIMENSIONS 8

typedef enum mm_status {
    MM_OK = 0,
    MM_INVALID_ARGUMENT = 1, /* a value the operation cannot accept, such as a label out of range */
    MM_OUT_OF_MEMORY = 2,
    MM_UNSUPPORTED = 3, /* a valid request that this backend or device cannot serve */
    MM_DEVICE_ERROR = 4,
    MM_INTERNAL = 5
} mm_status;

typedef enum mm_dtype { MM_FLOAT32 = 0, MM_BFLOAT16 = 1, MM_INT32 = 2, MM_INT64 = 3, MM_UINT8 = 4 } mm_dtype;

typedef struct mm_stream mm_stream; /* defined by each backend */
typedef struct mm_event mm_event;   /* a moment of a stream; defined by each backend */
typedef struct mm_graph mm_graph;   /* likewise, if it has graphs */

typedef struct mm_stream_options {
    int32_t device_index;
    int32_t threads;  /* CPU: worker threads, 0 = MEDMAMBA_THREADS, or one per processor that the process may use */
    const char *simd; /* CPU: "portable", "avx2", "avx512", "neon", or NULL or "" for the best that runs here */
    /* How matrix products and convolutions multiply: "float32", "tf32" or "bf16"; NULL or "" is "float32". Sums, and
     * all else, are float32 whatever it is, but for the activations inside a block, which CUDA keeps as bfloat16 with
     * "bf16" (activation_dtype). The CPU has no "tf32", and has "bf16" at level "avx512" of a processor with
     * AVX512-BF16. */
    const char *precision;
    /* The most memory that tensors, and on a GPU also operations, of this process may take of the device: bytes, or, up
     * to 1, a share of what the device has; 0 is no limit. On a GPU the least of what its open streams say. */
    double memory_limit;
} mm_stream_options;

typedef struct mm_device_description {
    char name[128];  /* "AMD EPYC 9354" or "NVIDIA H200" */
    char simd[16];   /* CPU: level in use; otherwise empty */
    int32_t threads; /* CPU: threads in use; otherwise 0 */
    int64_t total_bytes, free_bytes; /* of the device; free is no more than the limit leaves */
    int64_t limit_bytes;             /* 0 if there is none */
} mm_device_description;

/* ---- ranks ---------------------------------------------------------------------------------------------- */

/* What rank 0 makes up for a job and all ranks connect by. */
#define MM_COMMUNICATOR_ID_BYTES 128
/* Names what a communicator runs on: "Open MPI v4.1.4, ...", "2.30.7". */
#define MM_ENGINE_VERSION_BYTES 256

/* A stream's way to the other ranks of its job, each a process with one stream. Every rank has to call the same functions
 * in the same order, with the same numbers: they wait for each other. They move bytes in stream order and add nothing, but
 * for `engine_sum`; a sum whose bits do not depend on who moves the bytes is an exchange, the operation `reduce`, and a
 * gather. Whoever makes a communicator fills its functions; after a failure `last_error` is one sentence. Called by the
 * thread that calls operations. */
typedef struct mm_communicator mm_communicator;
struct mm_communicator {
    int32_t rank, size;
    /* All-to-all: part r of y is part `rank` of rank r's x. x and y have `size` parts of `bytes`, and do not overlap. */
    mm_status (*exchange)(mm_communicator *self, mm_stream *stream, const void *x, void *y, size_t bytes);
    /* Part r of y is rank r's x, of `bytes`. x may be part `rank` of y. */
    mm_status (*gather)(mm_communicator *self, mm_stream *stream, const void *x, void *y, size_t bytes);
    /* In place, in the engine's own order, whose bits may differ from engine to engine and from version to version. */
    mm_status (*engine_sum)(mm_communicator *self, mm_stream *stream, float *values, size_t count);
    /* Waits for the other ranks to do the same, and frees it. */
    mm_status (*disconnect)(mm_communicator *self, mm_stream *stream, const char **why);
    char last_error[320];
};

/* ---- elementwise, copies, reductions ------------------------------------------------------------- */

typedef struct mm_fill_params {
    int64_t count;
    float value;
    float *y;
} mm_fill_params;

typedef struct mm_cast_params {
    int64_t count;
    int32_t x_dtype, y_dtype; /* mm_dtype; float to integer truncates, to bfloat16 rounds to nearest even */
    const void *x;
    void *y;
} mm_cast_params;

/* y[index . y_strides] = x[index . x_strides] for every index of `shape`: permute, slice, concat, patches. */
typedef struct mm_copy_params {
    int64_t dimensions, element_size; /* element_size in bytes: 1, 2, 4 or 8 */
    int64_t shape[MM_MAX_DIMENSIONS], x_strides[MM_MAX_DIMENSIONS], y_strides[MM_MAX_DIMENSIONS]; /* elements */
    int64_t x_offset, y_offset;                                                                     /* elements */
    const void *x;
    void *y;
} mm_copy_params;

typedef enum mm_unary_op {
    MM_RELU = 0, MM_SILU = 1, MM_GELU = 2 /* exact, with erf */, MM_SIGMOID = 3, MM_EXP = 4, MM_LOG = 5
} mm_unary_op;

typedef struct mm_unary_params {
    int32_t op;
    int64_t count;
    const float *x;
    float *y; /* may be x */
} mm_unary_params;

typedef struct mm_unary_backward_params {
    int32_t op;
    int64_t count;
    const float *x, *dy;
    float *dx; /* may be dy */
} mm_unary_backward_params;

/* y = scale * x + shift */
typedef struct mm_affine_params {
    int64_t count;
    float scale, shift;
    const float *x;
    float *y; /* may be x */
} mm_affine_params;

/* y += scale * x */
typedef struct mm_accumulate_params {
    int64_t count;
    float scale;
    const float *x;
    float *y;
} mm_accumulate_params;

typedef enum mm_binary_op { MM_ADD = 0, MM_SUBTRACT = 1, MM_MULTIPLY = 2, MM_DIVIDE = 3 } mm_binary_op;

/* y[index] = a[index . a_strides] op b[index . b_strides]; y is dense, a broadcast axis has stride 0. */
typedef struct mm_binary_params {
    int32_t op;
    int64_t dimensions;
    int64_t shape[MM_MAX_DIMENSIONS], a_strides[MM_MAX_DIMENSIONS], b_strides[MM_MAX_DIMENSIONS];
    const float *a, *b;
    float *y;
} mm_binary_params;

/* y[o, i] = scale * sum over r of x[o, r, i] */
typedef struct mm_reduce_params {
    int64_t outer, reduced, inner;
    float scale;
    const float *x;
    float *y;
    int32_t x_dtype;
} mm_reduce_params;

/* ---- matrix products and convolutions --------------------------------------------------------------- */

/* What a BatchNorm sums over its rows, left by the operation that writes them, so that nobody reads them for it: sums of
 * parts of the rows, `moment_count` floats, in the backend's own form. They are of the values as they are stored.
 *
 * These are of a gradient dy that is written, behind y = relu?(batch_norm(x)); for batch_norm_backward. */
typedef struct mm_gradient_moments {
    float *sums; /* NULL: none are asked for */
    int64_t x_row;
    const float *x, *mean;
    const float *scale, *shift; /* both where there is a ReLU, whose mask they give, or neither */
    int32_t x_dtype;
} mm_gradient_moments;

/* C[i] = op(A[i]) op(B[i]) (+ C[i] if accumulate) + bias, then ReLU if asked; i runs over `batch`.
 * op(A) is (m, k): stored (m, k), or (k, m) if transpose_a.  op(B) is (k, n): stored (k, n), or (n, k).
 * If one of A and B is bfloat16, the other is rounded to it. */
typedef struct mm_matmul_params {
    int64_t batch, m, n, k;
    int32_t transpose_a, transpose_b, accumulate, relu;
    int64_t a_row, b_row, c_row;       /* floats between stored rows, 0 = dense */
    int64_t a_batch, b_batch, c_batch; /* floats between matrices; 0 for a or b shares one */
    const float *a, *b;
    const float *bias; /* (n), optional */
    float *c;
    int32_t a_dtype, b_dtype, c_dtype;
    mm_gradient_moments moments; /* of c; of one matrix, with neither A nor B transposed */
} mm_matmul_params;

/* 3x3 convolution, stride 1, zero padding 1.  weight: (out_channels, in_channels, 3, 3) as PyTorch stores it.
 * The input that is convolved is  f(x) = x * input_scale + input_shift, then ReLU if input_relu,  applied
 * while reading (padding stays zero after f): a BatchNorm in front costs no pass of its own. If one of what is
 * multiplied is bfloat16, the other is rounded to it, f(x) after f. */
typedef struct mm_conv3x3_forward_params {
    int64_t batch, height, width, in_channels, out_channels;
    int64_t x_row, y_row;
    int32_t input_relu, relu;              /* relu: applied to y */
    const float *x;                        /* (batch, pixels, in_channels) */
    const float *input_scale, *input_shift; /* (in_channels), both or neither */
    const float *weight;
    const float *bias; /* (out_channels), optional */
    float *y;          /* (batch, pixels, out_channels) */
    int32_t x_dtype, y_dtype;
    const float *output_scale, *output_shift; /* (out_channels), both or neither: a BatchNorm behind, in front of relu */
    float *moments; /* of y, optional; for batch_norm_statistics */
} mm_conv3x3_forward_params;

/* Gradient of the convolved input f(x), not of x. */
typedef struct mm_conv3x3_backward_data_params {
    int64_t batch, height, width, in_channels, out_channels;
    int64_t dy_row, dx_row;
    const float *dy, *weight;
    float *dx;
    int32_t x_dtype, y_dtype; /* of dx and of dy */
    mm_gradient_moments moments; /* of dx */
} mm_conv3x3_backward_data_params;

typedef struct mm_conv3x3_backward_weight_params {
    int64_t batch, height, width, in_channels, out_channels;
    int64_t x_row, dy_row;
    int32_t input_relu;
    const float *x, *input_scale, *input_shift; /* as in forward */
    const float *dy;
    float *dweight;
    float *dbias; /* optional */
    int32_t x_dtype, y_dtype; /* of x and of dy */
} mm_conv3x3_backward_weight_params;

/* Depthwise 3x3, stride 1, zero padding 1, + bias, then SiLU if asked.  weight: (channels, 1, 3, 3). */
typedef struct mm_depthwise3x3_forward_params {
    int64_t batch, height, width, channels;
    int64_t x_row, y_row;
    int32_t silu;
    const float *x, *weight;
    const float *bias; /* optional */
    float *y;
    int32_t x_dtype; /* of x and y */
} mm_depthwise3x3_forward_params;

typedef struct mm_depthwise3x3_backward_params {
    int64_t batch, height, width, channels;
    int64_t x_row, dy_row, dx_row;
    int32_t silu; /* the pre-activation is recomputed from x */
    const float *x, *weight, *bias, *dy;
    float *dx;                /* optional */
    float *dweight, *dbias;   /* optional */
    int32_t x_dtype;          /* of x, dy and dx */
} mm_depthwise3x3_backward_params;

/* ---- normalisation ---------------------------------------------------------------------------------- */

/* y = ((x - mean) * inverse_std * weight + bias) * silu(gate), over the channels of each row. */
typedef struct mm_layer_norm_forward_params {
    int64_t rows, channels;
    int64_t x_row, y_row, gate_row;
    float eps;
    const float *x, *weight, *bias;
    const float *gate; /* (rows, channels), optional: without it the factor silu(gate) is 1 */
    float *y;
    float *statistics; /* (rows, 2) mean | inverse_std, optional */
    int32_t x_dtype, y_dtype; /* gate has that of y */
    /* With more than one (0 is one), x is as many arrays, one behind the other, and what is normalised is their sum, added
     * in their order and rounded as x is stored. As many as a backend's scan4_copy_count says, with a gate. */
    int64_t x_copies;
    float *sum; /* (rows, channels) dense, optional: that sum */
} mm_layer_norm_forward_params;

typedef struct mm_layer_norm_backward_params {
    int64_t rows, channels;
    int64_t x_row, dy_row, dx_row, gate_row, dgate_row;
    int32_t accumulate_dx; /* dx += instead of dx = */
    const float *x, *weight, *bias, *statistics, *gate, *dy;
    float *dx;
    float *dweight, *dbias; /* optional */
    float *dgate;           /* present if gate is */
    int32_t x_dtype, y_dtype; /* of x and dx; of gate, dy and dgate */
} mm_layer_norm_backward_params;

/* Per-channel statistics of a batch, and the affine map that normalisation amounts to:
 * scale = weight * inverse_std, shift = bias - mean * scale.  Running statistics move by `momentum`
 * towards the batch's (variance: the unbiased one) and batches_tracked grows by one. */
typedef struct mm_batch_norm_statistics_params {
    int64_t rows, channels, x_row;
    float eps, momentum;
    const float *x, *weight, *bias;
    float *running_mean, *running_variance; /* (channels), optional */
    int64_t *batches_tracked;               /* (1), optional */
    float *statistics;                      /* (2, channels) mean | inverse_std */
    float *scale, *shift;                   /* (channels) */
    int32_t x_dtype;
    mm_communicator *communicator; /* optional: the batch is that of all ranks, added in their order */
    const float *moments; /* of x, optional: as conv3x3_forward left them; then x is not read */
} mm_batch_norm_statistics_params;

/* As above from the running statistics (evaluation). */
typedef struct mm_batch_norm_fold_params {
    int64_t channels;
    float eps;
    const float *weight, *bias, *running_mean, *running_variance;
    float *statistics, *scale, *shift;
} mm_batch_norm_fold_params;

/* y = x * scale + shift, then ReLU if asked, per channel. */
typedef struct mm_channel_affine_params {
    int64_t rows, channels, x_row, y_row;
    int32_t relu;
    const float *x, *scale, *shift;
    float *y;
    int32_t x_dtype, y_dtype;
} mm_channel_affine_params;

/* Backward of y = relu?(batch_norm(x)): `scale` and `shift` of forward, ReLU's mask recomputed from them.
 * training: statistics depended on x (three-term gradient); otherwise they are constants. With a communicator they
 * depended on every rank's x; dweight and dbias are the rank's own share of theirs. */
typedef struct mm_batch_norm_backward_params {
    int64_t rows, channels, x_row, dy_row, dx_row;
    int32_t training, relu, accumulate_dx;
    const float *x, *statistics, *scale, *shift, *dy;
    float *dx;
    float *dweight, *dbias; /* optional */
    int32_t x_dtype, y_dtype; /* of x and dx; of dy */
    mm_communicator *communicator; /* optional: as in forward, and only if training */
    const float *moments; /* of dy, optional: as the operation left them that wrote it */
} mm_batch_norm_backward_params;

/* ---- heads and losses --------------------------------------------------------------------------------- */

typedef struct mm_softmax_forward_params {
    int64_t rows, channels;
    int32_t logarithm; /* log-softmax */
    const float *x;
    float *y;
} mm_softmax_forward_params;

typedef struct mm_softmax_backward_params {
    int64_t rows, channels;
    int32_t logarithm;
    const float *y, *dy;
    float *dx;
} mm_softmax_backward_params;

/* torch.nn.CrossEntropyLoss(weight, label_smoothing), mean reduction:
 * loss = sum_n [ (1-s) w[t_n] (-log p_n[t_n]) + s/K sum_c w[c] (-log p_n[c]) ] / sum_n w[t_n].
 * A label outside 0..classes-1 is MM_INVALID_ARGUMENT. */
typedef struct mm_cross_entropy_forward_params {
    int64_t rows, classes;
    float label_smoothing;
    const float *logits;
    const int64_t *labels;      /* (rows) */
    const float *class_weights; /* (classes), optional */
    float *loss;                /* (1) */
    float *probabilities;       /* (rows, classes), kept for backward */
} mm_cross_entropy_forward_params;

typedef struct mm_cross_entropy_backward_params {
    int64_t rows, classes;
    float label_smoothing;
    const float *probabilities;
    const int64_t *labels;
    const float *class_weights;
    const float *dloss; /* (1) */
    float *dlogits;
} mm_cross_entropy_backward_params;

/* Focal loss (arXiv 1708.02002), mean over rows: w[t] (1 - p[t])^gamma (-log p[t]). */
typedef struct mm_focal_loss_forward_params {
    int64_t rows, classes;
    float gamma;
    const float *logits;
    const int64_t *labels;
    const float *class_weights; /* optional */
    float *loss, *probabilities;
} mm_focal_loss_forward_params;

typedef struct mm_focal_loss_backward_params {
    int64_t rows, classes;
    float gamma;
    const float *probabilities;
    const int64_t *labels;
    const float *class_weights, *dloss;
    float *dlogits;
} mm_focal_loss_backward_params;

/* Mean over all elements of  -[ positive_weight t log s(x) + (1 - t) log(1 - s(x)) ]. */
typedef struct mm_binary_cross_entropy_forward_params {
    int64_t count;
    float positive_weight; /* 1 for the plain loss */
    const float *logits, *targets;
    float *loss; /* (1) */
} mm_binary_cross_entropy_forward_params;

typedef struct mm_binary_cross_entropy_backward_params {
    int64_t count;
    float positive_weight;
    const float *logits, *targets, *dloss;
    float *dlogits;
} mm_binary_cross_entropy_backward_params;

typedef struct mm_mse_forward_params {
    int64_t count;
    const float *x, *target;
    float *loss; /* (1) */
} mm_mse_forward_params;

typedef struct mm_mse_backward_params {
    int64_t count;
    const float *x, *target, *dloss;
    float *dx; /* the gradient of target is its negative */
} mm_mse_backward_params;

/* ---- randomness: Philox4x32-10, key = seed, counter = offset + element / 4, word = element % 4 --------- */

typedef enum mm_distribution {
    MM_UNIFORM = 0,         /* low + (high - low) * u,  u = (word >> 8) * 2^-24 in [0, 1) */
    MM_NORMAL = 1,          /* low = mean, high = standard deviation; Box-Muller on word pairs (0,1), (2,3) */
    MM_TRUNCATED_NORMAL = 2, /* as NORMAL, by inverse erf of a uniform, cut at two absolute units (PyTorch's) */
    MM_BERNOULLI_SCALE = 3  /* low = rate: 0 where u < rate, else 1 / (1 - rate) */
} mm_distribution;

typedef struct mm_random_params {
    int32_t distribution;
    int64_t count, seed, offset;
    float low, high;
    float *y;
} mm_random_params;

/* y = x * keep / (1 - rate), keep = (u >= rate). The mask is a function of (seed, offset): backward is the
 * same call on dy. */
typedef struct mm_dropout_params {
    int64_t count, seed, offset;
    float rate;
    const float *x;
    float *y;
} mm_dropout_params;

/* ---- optimisation: many tensors, one call ------------------------------------------------------------- */

/* Host arrays of `tensor_count` device pointers. Gradients are multiplied by *gradient_scale if it is there. */
typedef struct mm_tensor_list {
    int64_t tensor_count;
    const int64_t *counts; /* elements of each tensor */
} mm_tensor_list;

typedef struct mm_sgd_params {
    mm_tensor_list list;
    float *const *parameters;
    const float *const *gradients;
    float *const *momentum_buffers; /* optional: absent if momentum is 0 */
    double learning_rate, momentum, dampening, weight_decay;
    int32_t nesterov, first_step; /* first_step: the buffer becomes the gradient (PyTorch's) */
    const float *gradient_scale;  /* (1), optional */
} mm_sgd_params;

/* Adam (arXiv 1412.6980); decoupled: AdamW (arXiv 1711.05101). `step` counts from 1. */
typedef struct mm_adam_params {
    mm_tensor_list list;
    float *const *parameters;
    const float *const *gradients;
    float *const *first_moments;
    float *const *second_moments;
    double learning_rate, beta1, beta2, eps, weight_decay; /* double: 1 - 0.999f is off by 1e-5 */
    int32_t decoupled;
    int64_t step;
    const float *gradient_scale; /* (1), optional */
} mm_adam_params;

/* norm = sqrt(sum of squares over all tensors); scale = min(1, max_norm / (norm + 1e-6)). */
typedef struct mm_gradient_norm_params {
    mm_tensor_list list;
    const float *const *gradients;
    float max_norm;
    float *norm, *scale; /* (1) each */
} mm_gradient_norm_params;

/* average = decay * average + (1 - decay) * parameter */
typedef struct mm_moving_average_params {
    mm_tensor_list list;
    const float *const *parameters;
    float *const *averages;
    float decay;
} mm_moving_average_params;

/* ---- selective scan ------------------------------------------------------------------------------------ */

/* Steps between two saved states: forward keeps the state before steps 0, MM_SCAN_CHUNK, 2 MM_SCAN_CHUNK, ...
 * and backward recomputes the ones between. */
#define MM_SCAN_CHUNK 32

/* mamba_ssm's selective_scan_fn.  delta' = softplus?(delta + delta_bias),
 * h[t] = exp(delta'[t] A) h[t-1] + delta'[t] B[t] u[t],   y[t] = (C[t].h[t] + D u[t]) * silu(z[t]).
 * Channel d reads group d / (channels / groups) of B and C.  Layouts are channels-first, as published. */
typedef struct mm_selective_scan_forward_params {
    int64_t batch, channels, length, states, groups;
    int32_t delta_softplus;
    const float *u, *delta; /* (batch, channels, length) */
    const float *A;         /* (channels, states), negative */
    const float *B, *C;     /* (batch, groups, states, length) */
    const float *D;         /* (channels), optional */
    const float *z;         /* (batch, channels, length), optional */
    const float *delta_bias; /* (channels), optional */
    float *y;
    float *last_state;  /* (batch, channels, states), optional */
    float *checkpoints; /* (batch, channels, ceil(length / MM_SCAN_CHUNK), states), NULL in inference */
} mm_selective_scan_forward_params;

typedef struct mm_selective_scan_backward_params {
    int64_t batch, channels, length, states, groups;
    int32_t delta_softplus;
    const float *u, *delta, *A, *B, *C, *D, *z, *delta_bias, *checkpoints;
    const float *dy;
    const float *dlast_state; /* (batch, channels, states), optional */
    float *du, *ddelta, *dA, *dB, *dC;
    float *dD, *dz, *ddelta_bias; /* present if D, z, delta_bias are */
} mm_selective_scan_backward_params;

/* Four-direction selective scan of an image, the core of SS2D. Row p of an image is pixel p in row-major
 * order; direction 0 visits rows, 1 columns, 2 and 3 the same two reversed.  For direction k
 *   delta = softplus(dt_weight[k] dt + dt_bias[k]),   A = -exp(A_log[k]),
 *   h = exp(delta A) h + delta B u,   y += C.h + skip[k] u   (h starts at zero in each direction).
 * `checkpoints` is opaque to the caller: as many floats as the backend's scan4_checkpoint_count says. */
typedef struct mm_scan4_forward_params {
    int64_t batch, height, width;
    int64_t channels, states, rank; /* D, N, R */
    const float *u;                 /* (batch, pixels, D) activations, shared by the four directions */
    const float *projected;         /* (batch, pixels, 4, R + 2N)  dt | B | C of each direction */
    const float *dt_weight;         /* (4, D, R) */
    const float *dt_bias;           /* (4, D) */
    const float *A_log;             /* (4, D, N) */
    const float *skip;              /* (4, D)  "Ds" */
    float *y;                       /* (batch, pixels, D) sum of the four directions */
    float *checkpoints;             /* NULL in inference */
    int32_t x_dtype;                /* of u, projected and y */
    int64_t y_copies;               /* 0 or 1; or scan4_copy_count: y is (copies, batch, pixels, D), for its reader to add */
} mm_scan4_forward_params;

typedef struct mm_scan4_backward_params {
    int64_t batch, height, width, channels, states, rank;
    const float *u, *projected, *dt_weight, *dt_bias, *A_log, *skip, *checkpoints;
    const float *dy;   /* (batch, pixels, D) */
    float *du;         /* (batch, pixels, D), through the recurrence and the skip only, not the projection */
    float *dprojected; /* (batch, pixels, 4, R + 2N) */
    float *ddt_weight, *ddt_bias, *dA_log, *dskip;
    int32_t x_dtype;   /* of u, projected and dy, and of their gradients */
} mm_scan4_backward_params;

/* ---- the ends of the block, and the way in ------------------------------------------------------------- */

/* y[2i] = left[i] + x[2i],  y[2i+1] = right[i] * path_scale[image] + x[2i+1]: concat, shuffle, DropPath,
 * residual in one pass. */
typedef struct mm_shuffle_residual_forward_params {
    int64_t batch, pixels, channels; /* channels of y and x; left and right have half */
    const float *left, *right, *x;
    const float *path_scale; /* (batch), optional */
    float *y;
    int32_t branch_dtype; /* of left and right; x and y are float32 */
} mm_shuffle_residual_forward_params;

/* dleft[i] = dy[2i] where left[i] > 0 (left ends in a ReLU), dright[i] = dy[2i+1] * path_scale; dx = dy. */
typedef struct mm_shuffle_residual_backward_params {
    int64_t batch, pixels, channels;
    const float *left, *path_scale, *dy;
    float *dleft, *dright, *dx;
    int32_t branch_dtype; /* of left, dleft and dright */
} mm_shuffle_residual_backward_params;

/* Bilinear sampling under an affine map, the one pass of augmentation: output pixel (i, j) of image n reads
 * the input at  (row, column) = matrix[n] . (i + 0.5, j + 0.5, 1) - 0.5,  clamped to the border; then
 * y = ((value * gain[n] + offset[n]) clamped to 0..1) * channel_scale[c] + channel_shift[c].
 * Input values are taken to 0..1 first: uint8 is divided by 255, float32 is used as it is. */
typedef struct mm_affine_sample_params {
    int64_t batch, channels, in_height, in_width, out_height, out_width;
    int32_t x_dtype;     /* MM_UINT8 or MM_FLOAT32 */
    const void *x;       /* (batch, channels, in_height, in_width) */
    const float *matrix; /* (batch, 2, 3) row-major */
    const float *gain, *offset;                 /* (batch) */
    const float *channel_scale, *channel_shift; /* (channels) */
    float *y;                                   /* (batch, channels, out_height, out_width) */
} mm_affine_sample_params;

/* ---- the table ------------------------------------------------------------------------------------------- */

/* What every backend has beside its operations, but for graphs and ranks: MM_STREAM_FUNCTIONS(F) expands F(name) for each. */
#define MM_STREAM_FUNCTIONS(F)                                                                                 \
    F(device_count) F(stream_create) F(stream_destroy) F(describe) F(allocate) F(release) F(trim) F(upload)    \
    F(download) F(synchronize) F(event_create) F(event_destroy) F(event_record) F(event_elapsed)               \
    F(last_error) F(fail) F(activation_dtype) F(moment_count) F(scan4_checkpoint_count) \
    F(scan4_copy_count)

/* Every operation once: MM_OPERATIONS(F) expands F(name) for each, with params struct mm_<name>_params. */
#define MM_OPERATIONS(F)                                                                                       \
    F(fill) F(cast) F(copy) F(unary) F(unary_backward) F(affine) F(accumulate) F(binary) F(reduce)             \
    F(matmul) F(conv3x3_forward) F(conv3x3_backward_data) F(conv3x3_backward_weight)                           \
    F(depthwise3x3_forward) F(depthwise3x3_backward)                                                           \
    F(layer_norm_forward) F(layer_norm_backward)                                                               \
    F(batch_norm_statistics) F(batch_norm_fold) F(channel_affine) F(batch_norm_backward)                       \
    F(softmax_forward) F(softmax_backward) F(cross_entropy_forward) F(cross_entropy_backward)                  \
    F(focal_loss_forward) F(focal_loss_backward)                                                               \
    F(binary_cross_entropy_forward) F(binary_cross_entropy_backward) F(mse_forward) F(mse_backward)            \
    F(random) F(dropout) F(sgd) F(adam) F(gradient_norm) F(moving_average)                                     \
    F(selective_scan_forward) F(selective_scan_backward) F(scan4_forward) F(scan4_backward)                    \
    F(shuffle_residual_forward) F(shuffle_residual_backward) F(affine_sample)

typedef struct mm_backend {
    uint32_t abi_version; /* MM_ABI_VERSION; first, and checked before anything else is read */
    const char *name;     /* "cpu", "cuda", "cuda-emulated" */

    /* Devices that could be opened. 0 with a reason in *why (static text) if there is none. */
    int32_t (*device_count)(const char **why);

    mm_status (*stream_create)(const mm_stream_options *options, mm_stream **stream, const char **why);
    void (*stream_destroy)(mm_stream *stream); /* waits for what is running */
    mm_status (*describe)(mm_stream *stream, mm_device_description *description);

    /* Thread-safe. Memory is uninitialised. `release` may be called once no queued work uses the memory. */
    mm_status (*allocate)(mm_stream *stream, size_t bytes, void **pointer);
    void (*release)(mm_stream *stream, void *pointer, size_t bytes);
    /* Gives back to the system what has been released and was kept for the next `allocate`, or for operations. Not while
     * a graph is captured. */
    void (*trim)(mm_stream *stream);

    /* In stream order; host memory must stay valid until `synchronize` returns. */
    mm_status (*upload)(mm_stream *stream, void *device, const void *host, size_t bytes);
    mm_status (*download)(mm_stream *stream, void *host, const void *device, size_t bytes);
    mm_status (*synchronize)(mm_stream *stream);

    /* Time where the work runs. An event marks the moment when everything queued before `event_record` has run, and
     * may be recorded again. `event_elapsed` waits for `end` and answers the seconds from `begin`; both have to have
     * been recorded. The CPU, whose work is done when a function returns, has a clock's readings. */
    mm_status (*event_create)(mm_stream *stream, mm_event **event);
    void (*event_destroy)(mm_stream *stream, mm_event *event);
    mm_status (*event_record)(mm_stream *stream, mm_event *event);
    mm_status (*event_elapsed)(mm_stream *stream, const mm_event *begin, const mm_event *end, double *seconds);

    const char *(*last_error)(mm_stream *stream); /* one sentence about the last failure on this stream */

    /* Thread-safe: how the block (block.h) keeps the activations between its steps on this stream, MM_FLOAT32 or
     * MM_BFLOAT16. */
    mm_dtype (*activation_dtype)(const mm_stream *stream);
    /* Graphs: operations that are captured once and launched many times, at the cost of one call. All six functions
     * are there or, where operations are cheap to call, all are NULL, as on the CPU. They are called by the thread
     * that calls operations.
     *
     * Between graph_begin and graph_end operations check their arguments but do not run; upload, download and
     * synchronize are not allowed. A launch runs them in their order, on the memory that they were given, which the
     * caller keeps for the graph. After an operation that failed, graph_end with NULL throws away what was captured.
     *
     * Numbers may differ from launch to launch where a call says so: what is called after graph_vary(call), for
     * call = 0, 1, ... until graph_vary(-1), is varying call `call`. Between graph_change(graph, call) and
     * graph_change(NULL, -1) that same operation, called again with other numbers, does not run: later launches have
     * these numbers instead, launches already queued keep theirs. Pointers and counts have to be the same.
     * Graphs go with their stream. */
    mm_status (*graph_begin)(mm_stream *stream);
    mm_status (*graph_end)(mm_stream *stream, mm_graph **graph);
    mm_status (*graph_vary)(mm_stream *stream, int64_t call);
    mm_status (*graph_change)(mm_stream *stream, mm_graph *graph, int64_t call);
    mm_status (*graph_launch)(mm_stream *stream, mm_graph *graph);
    void (*graph_destroy)(mm_stream *stream, mm_graph *graph); /* in stream order */

    /* What is called from here on is shown to a profiler as part of `name`; NULL ends the stretch that began last. Called
     * by the thread that calls operations. NULL where no profiler would look, as on the CPU. */
    void (*annotate)(mm_stream *stream, const char *name);

    /* Floats of the moments of (rows, channels); 0 where operations leave none. */
    int64_t (*moment_count)(int64_t rows, int64_t channels);

    int64_t (*scan4_checkpoint_count)(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t states);
    /* How many copies of y, of this dtype, forward may leave for layer_norm_forward to add; 1 where it adds itself. */
    int64_t (*scan4_copy_count)(int64_t batch, int64_t height, int64_t width, int64_t channels, mm_dtype dtype);

    /* Ranks: all three are there, or NULL where the backend has no engine to reach others by. An engine is a library of
     * the system, NCCL for CUDA and MPI for the CPU, that is loaded when it is first named and stays; *why is static text, or
     * the calling thread's own until it calls again.
     *
     * `communicator_create` waits for the other ranks. The CPU's communicators take any stream, NULL included: they work on
     * the host's memory, and what they are asked for is done when they return. */
    mm_status (*engine_version)(const char *library, char version[MM_ENGINE_VERSION_BYTES], const char **why);
    mm_status (*communicator_id)(const char *library, char id[MM_COMMUNICATOR_ID_BYTES], const char **why);
    mm_status (*communicator_create)(mm_stream *stream, const char *library, const char id[MM_COMMUNICATOR_ID_BYTES],
                                     int32_t rank, int32_t size, mm_communicator **communicator, const char **why);

    /* Work beside the stream's, such as what goes to other ranks while the stream goes on; all three are there, or NULL.
     * What is called between beside_begin and beside_end runs after all that was called before, and after what was called
     * so earlier, but beside what is called after beside_end, until beside_join: what is called then comes after it. While
     * a graph is captured it is the graph's, and has to be joined before the graph ends. `beside_join` is nothing where
     * nothing is beside. Called by the thread that calls operations. */
    mm_status (*beside_begin)(mm_stream *stream);
    mm_status (*beside_end)(mm_stream *stream);
    mm_status (*beside_join)(mm_stream *stream);

    /* Keeps a sentence as last_error and returns the status: for what is written over this table. */
    mm_status (*fail)(mm_stream *stream, mm_status status, const char *sentence);

#define MM_DECLARE_OPERATION(name) mm_status (*name)(mm_stream * stream, const struct mm_##name##_params *params);
    MM_OPERATIONS(MM_DECLARE_OPERATION)
#undef MM_DECLARE_OPERATION
} mm_backend;

/* What a backend's shared library exports. */
typedef const mm_backend *(*mm_backend_entry)(void);
#define MM_BACKEND_ENTRY "medmamba_backend"

#ifdef __cplusplus
}
#endif
#endif
