/* SS2D and the SS-Conv-SSM block, written once over the functions of a backend's table.
 *
 * Each is one call for the layer above, so that one call's worth of queueing, one saved buffer and one
 * workspace serve some twenty kernels. What forward keeps for backward lies in `saved`, what only one of them
 * needs in `workspace`; how many floats each takes is answered by the `_plan` functions. Activations in there, and
 * their gradients, are float32 or bfloat16, as the backend's activation_dtype says for the stream. */
#ifndef MEDMAMBA_BLOCK_H
#define MEDMAMBA_BLOCK_H

#include "backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mm_plan {
    int64_t saved, forward_workspace, backward_workspace; /* floats, that is 4 bytes each, whatever lies there */
} mm_plan;

/* x: (batch, pixels, channels), c = channels, D = 2c.  out = out_proj( LN(scan4(u)) * silu(z) ),
 * u = silu(depthwise(in_proj(x)[:D])), z = in_proj(x)[D:]. Parameter names are the published ones. */
#define MM_SS2D_PARAMETERS(T)                                                                                 \
    T *in_proj_weight;     /* (2D, c) */                                                                       \
    T *conv2d_weight;      /* (D, 1, 3, 3) */                                                                  \
    T *conv2d_bias;        /* (D) */                                                                           \
    T *x_proj_weight;      /* (4, R + 2N, D) */                                                                \
    T *dt_projs_weight;    /* (4, D, R) */                                                                     \
    T *dt_projs_bias;      /* (4, D) */                                                                        \
    T *A_logs;             /* (4 D, N) */                                                                      \
    T *Ds;                 /* (4 D) */                                                                         \
    T *out_norm_weight;    /* (D) */                                                                           \
    T *out_norm_bias;      /* (D) */                                                                           \
    T *out_proj_weight;    /* (c, D) */

typedef struct mm_ss2d_weights { MM_SS2D_PARAMETERS(const float) } mm_ss2d_weights;
typedef struct mm_ss2d_gradients { MM_SS2D_PARAMETERS(float) } mm_ss2d_gradients;

typedef struct mm_ss2d_forward_params {
    int64_t batch, height, width, channels, states, rank;
    int64_t x_row;
    const float *x;
    mm_ss2d_weights weights;
    float *y;         /* (batch, pixels, c) dense */
    float *saved;     /* NULL in inference */
    float *workspace;
    int32_t x_dtype, y_dtype;
} mm_ss2d_forward_params;

typedef struct mm_ss2d_backward_params {
    int64_t batch, height, width, channels, states, rank;
    int64_t x_row, dx_row;
    int32_t accumulate_dx;
    const float *x;
    mm_ss2d_weights weights;
    const float *saved, *dy;
    float *dx;
    mm_ss2d_gradients gradients;
    float *workspace;
    int32_t x_dtype, y_dtype; /* of x and dx; of dy */
} mm_ss2d_backward_params;

/* The left half of the block: BN, conv3x3, BN, ReLU, conv3x3, BN, ReLU, conv1x1, ReLU; c channels in and out. */
#define MM_CONV_BRANCH_PARAMETERS(T)                                                                          \
    T *norm1_weight, *norm1_bias; /* (c), Sequential index 0 */                                                \
    T *conv1_weight, *conv1_bias; /* (c, c, 3, 3), (c), index 1 */                                             \
    T *norm2_weight, *norm2_bias; /* index 2 */                                                                \
    T *conv2_weight, *conv2_bias; /* index 4 */                                                                \
    T *norm3_weight, *norm3_bias; /* index 5 */                                                                \
    T *conv3_weight, *conv3_bias; /* (c, c, 1, 1), (c), index 7 */

typedef struct mm_conv_branch_weights { MM_CONV_BRANCH_PARAMETERS(const float) } mm_conv_branch_weights;
typedef struct mm_conv_branch_gradients { MM_CONV_BRANCH_PARAMETERS(float) } mm_conv_branch_gradients;

typedef struct mm_batch_norm_buffers {
    float *running_mean, *running_variance;
    int64_t *batches_tracked;
} mm_batch_norm_buffers;

/* channels = 2c; x and y: (batch, pixels, channels). y[2i] = left[i] + x[2i], y[2i+1] = right[i] + x[2i+1]. */
typedef struct mm_ss_conv_ssm_forward_params {
    int64_t batch, height, width, channels, states, rank;
    int32_t training; /* batch statistics, and running ones updated; otherwise running ones are used */
    float momentum;
    const float *x;
    const float *ln_1_weight, *ln_1_bias; /* (c) */
    mm_ss2d_weights attention;
    mm_conv_branch_weights branch;
    mm_batch_norm_buffers norm1, norm2, norm3;
    const float *path_scale; /* (batch), optional */
    float *y;
    float *saved; /* NULL in inference */
    float *workspace;
    mm_communicator *communicator; /* optional: in training, batch statistics are those of all ranks */
} mm_ss_conv_ssm_forward_params;

typedef struct mm_ss_conv_ssm_backward_params {
    int64_t batch, height, width, channels, states, rank;
    int32_t training;
    const float *x;
    const float *ln_1_weight, *ln_1_bias;
    mm_ss2d_weights attention;
    mm_conv_branch_weights branch;
    const float *path_scale;
    const float *saved, *dy;
    float *dx;
    float *dln_1_weight, *dln_1_bias;
    mm_ss2d_gradients attention_gradients;
    mm_conv_branch_gradients branch_gradients;
    float *workspace;
    mm_communicator *communicator; /* that of forward */
} mm_ss_conv_ssm_backward_params;

mm_status mm_ss2d_plan(const mm_backend *backend, const mm_stream *stream, int64_t batch, int64_t height,
                       int64_t width, int64_t channels, int64_t states, int64_t rank, mm_plan *plan);
mm_status mm_ss2d_forward(const mm_backend *backend, mm_stream *stream, const mm_ss2d_forward_params *params);
mm_status mm_ss2d_backward(const mm_backend *backend, mm_stream *stream, const mm_ss2d_backward_params *params);

mm_status mm_ss_conv_ssm_plan(const mm_backend *backend, const mm_stream *stream, int64_t batch, int64_t height,
                              int64_t width, int64_t channels, int64_t states, int64_t rank, mm_plan *plan);
mm_status mm_ss_conv_ssm_forward(const mm_backend *backend, mm_stream *stream,
                                 const mm_ss_conv_ssm_forward_params *params);
mm_status mm_ss_conv_ssm_backward(const mm_backend *backend, mm_stream *stream,
                                  const mm_ss_conv_ssm_backward_params *params);

#ifdef __cplusplus
}
#endif
#endif
