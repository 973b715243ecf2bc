// The SS-Conv-SSM block: half of the channels through convolutions, half through SS2D, shuffled together.
//
//   left  (P, c) = convolution branch(left half of x)           P = batch * pixels, channels = 2c
//   right (P, c) = SS2D(LN(right half of x))
//   y[2i] = left[i] + x[2i],  y[2i+1] = right[i] * path_scale + x[2i+1]
//
// The halves of x are never copied out: every step that reads or writes one does so by row stride. x and y, the
// residual stream, are float32; what lies between them is kept in the activation dtype of the stream.
#include "convolution_branch.h"

namespace medmamba {
namespace {

BlockShape block_shape(const mm_backend* backend, const mm_stream* stream, int64_t batch, int64_t height,
                       int64_t width, int64_t channels, int64_t states, int64_t rank) {
    const int64_t moments = backend->moment_count(batch * height * width, channels / 2);
    return {batch, height, width, channels, states, rank, backend->activation_dtype(stream), moments};
}

template <class Params>
BlockShape shape_of(const mm_backend* backend, const mm_stream* stream, const Params& params) {
    return block_shape(backend, stream, params.batch, params.height, params.width, params.channels, params.states,
                       params.rank);
}

mm_plan attention_plan(const mm_backend* backend, const mm_stream* stream, const BlockShape& shape) {
    mm_plan plan{};
    mm_ss2d_plan(backend, stream, shape.batch, shape.height, shape.width, shape.half(), shape.states, shape.rank,
                 &plan);
    return plan;
}

// What forward computes and backward reads. Inference keeps it in the workspace, and nothing of SS2D's.
template <class Float>
struct Saved {
    ConvolutionBranchSaved<Float> branch;
    Float* statistics;  // (P, 2) of the LayerNorm
    Float* attention;   // SS2D's own

    Saved(Carver<Float>& carver, const BlockShape& shape, int64_t attention_saved)
        : branch(carver, shape),
          statistics(carver.take(shape.rows() * 2)),
          attention(carver.take(attention_saved)) {}
};

// Several names are one region: what a name holds is dead when the next is written.
struct ForwardWorkspace {
    Activation<float> input3, normalised;  // (P, c) of the convolution branch, then of the other
    Activation<float> right;               // (P, c)
    float* moments;                        // for the norms of the convolution branch
    float* attention;                      // SS2D's own

    ForwardWorkspace(Carver<float>& carver, const BlockShape& shape, int64_t attention_workspace)
        : input3(carver.take_activation(shape.rows() * shape.half(), shape.dtype)),
          normalised(input3),
          right(carver.take_activation(shape.rows() * shape.half(), shape.dtype)),
          moments(carver.take(shape.moments)),
          attention(carver.take(attention_workspace)) {}
};

struct BackwardWorkspace {
    Activation<float> dleft;                   // (P, c)
    Activation<float> dright;                  // (P, c)
    Activation<float> of_outputs, normalised;  // (P, c) of the convolution branch, then of the other
    Activation<float> of_inputs, dnormalised;  // (P, c) likewise
    float* moments;                            // for the norms of the convolution branch
    float* attention;                          // SS2D's own

    BackwardWorkspace(Carver<float>& carver, const BlockShape& shape, int64_t attention_workspace)
        : dleft(carver.take_activation(shape.rows() * shape.half(), shape.dtype)),
          dright(carver.take_activation(shape.rows() * shape.half(), shape.dtype)),
          of_outputs(carver.take_activation(shape.rows() * shape.half(), shape.dtype)),
          normalised(of_outputs),
          of_inputs(carver.take_activation(shape.rows() * shape.half(), shape.dtype)),
          dnormalised(of_inputs),
          moments(carver.take(shape.moments)),
          attention(carver.take(attention_workspace)) {}
};

// ---- forward steps; `normalise` serves backward too ---------------------------------------------------------

// normalised = LN(right half of x); statistics may be NULL
template <class Params>
void normalise(Sequence& sequence, const BlockShape& shape, const Params& params, Activation<float> normalised,
               float* statistics) {
    mm_layer_norm_forward_params norm{};
    norm.rows = shape.rows();
    norm.channels = shape.half();
    norm.x_row = shape.channels;
    norm.eps = norm_eps;
    norm.x = params.x + shape.half();
    norm.weight = params.ln_1_weight;
    norm.bias = params.ln_1_bias;
    norm.y_dtype = normalised.dtype;
    norm.y = normalised.data;
    norm.statistics = statistics;
    sequence.run(norm);
}

// right = SS2D(LN(right half of x))
void attention_branch(Sequence& sequence, const BlockShape& shape, const mm_ss_conv_ssm_forward_params& params,
                      const Saved<float>& saved, const ForwardWorkspace& workspace) {
    normalise(sequence, shape, params, workspace.normalised, saved.statistics);
    mm_ss2d_forward_params attention{};
    attention.batch = shape.batch;
    attention.height = shape.height;
    attention.width = shape.width;
    attention.channels = shape.half();
    attention.states = shape.states;
    attention.rank = shape.rank;
    attention.x_dtype = attention.y_dtype = shape.dtype;
    attention.x = workspace.normalised.data;
    attention.weights = params.attention;
    attention.y = workspace.right.data;
    attention.saved = saved.attention;
    attention.workspace = workspace.attention;
    sequence.run(mm_ss2d_forward, attention);
}

void join(Sequence& sequence, const BlockShape& shape, const mm_ss_conv_ssm_forward_params& params,
          Activation<const float> left, Activation<const float> right) {
    mm_shuffle_residual_forward_params shuffle{};
    shuffle.batch = shape.batch;
    shuffle.pixels = shape.height * shape.width;
    shuffle.channels = shape.channels;
    shuffle.branch_dtype = shape.dtype;
    shuffle.left = left.data;
    shuffle.right = right.data;
    shuffle.x = params.x;
    shuffle.path_scale = params.path_scale;
    shuffle.y = params.y;
    sequence.run(shuffle);
}

// ---- backward steps -----------------------------------------------------------------------------------------

// dleft comes masked by left's ReLU; dx starts as the residual's gradient, to which both branches add.
void join_backward(Sequence& sequence, const BlockShape& shape, const mm_ss_conv_ssm_backward_params& params,
                   Activation<const float> left, Activation<float> dleft, Activation<float> dright) {
    mm_shuffle_residual_backward_params shuffle{};
    shuffle.batch = shape.batch;
    shuffle.pixels = shape.height * shape.width;
    shuffle.channels = shape.channels;
    shuffle.branch_dtype = shape.dtype;
    shuffle.left = left.data;
    shuffle.path_scale = params.path_scale;
    shuffle.dy = params.dy;
    shuffle.dleft = dleft.data;
    shuffle.dright = dright.data;
    shuffle.dx = params.dx;
    sequence.run(shuffle);
}

void attention_branch_backward(Sequence& sequence, const BlockShape& shape,
                               const mm_ss_conv_ssm_backward_params& params, const Saved<const float>& saved,
                               const BackwardWorkspace& workspace) {
    normalise(sequence, shape, params, workspace.normalised, nullptr);
    mm_ss2d_backward_params attention{};
    attention.batch = shape.batch;
    attention.height = shape.height;
    attention.width = shape.width;
    attention.channels = shape.half();
    attention.states = shape.states;
    attention.rank = shape.rank;
    attention.x_dtype = attention.y_dtype = shape.dtype;
    attention.x = workspace.normalised.data;
    attention.weights = params.attention;
    attention.saved = saved.attention;
    attention.dy = workspace.dright.data;
    attention.dx = workspace.dnormalised.data;
    attention.gradients = params.attention_gradients;
    attention.workspace = workspace.attention;
    sequence.run(mm_ss2d_backward, attention);

    mm_layer_norm_backward_params norm{};
    norm.rows = shape.rows();
    norm.channels = shape.half();
    norm.x_row = norm.dx_row = shape.channels;
    norm.accumulate_dx = 1;
    norm.x = params.x + shape.half();
    norm.weight = params.ln_1_weight;
    norm.bias = params.ln_1_bias;
    norm.statistics = saved.statistics;
    norm.y_dtype = workspace.dnormalised.dtype;
    norm.dy = workspace.dnormalised.data;
    norm.dx = params.dx + shape.half();
    norm.dweight = params.dln_1_weight;
    norm.dbias = params.dln_1_bias;
    sequence.run(norm);
}

}  // namespace
}  // namespace medmamba

using namespace medmamba;

mm_status mm_ss_conv_ssm_plan(const mm_backend* backend, const mm_stream* stream, int64_t batch, int64_t height,
                              int64_t width, int64_t channels, int64_t states, int64_t rank, mm_plan* plan) {
    if (channels % 2 != 0) return MM_INVALID_ARGUMENT;
    const BlockShape shape = block_shape(backend, stream, batch, height, width, channels, states, rank);
    mm_plan attention;
    const mm_status status =
        mm_ss2d_plan(backend, stream, batch, height, width, shape.half(), states, rank, &attention);
    if (status != MM_OK) return status;
    Carver<float> saved(nullptr), forward(nullptr), backward(nullptr);
    Saved<float>(saved, shape, attention.saved);
    ForwardWorkspace(forward, shape, attention.forward_workspace);
    Saved<float>(forward, shape, 0);  // inference needs the most
    BackwardWorkspace(backward, shape, attention.backward_workspace);
    *plan = {saved.used(), forward.used(), backward.used()};
    return MM_OK;
}

mm_status mm_ss_conv_ssm_forward(const mm_backend* backend, mm_stream* stream,
                                 const mm_ss_conv_ssm_forward_params* params) {
    const BlockShape shape = shape_of(backend, stream, *params);
    const mm_plan attention = attention_plan(backend, stream, shape);
    Carver<float> workspace_carver(params->workspace), saved_carver(params->saved);
    const ForwardWorkspace workspace(workspace_carver, shape, attention.forward_workspace);
    const Saved<float> saved = params->saved ? Saved<float>(saved_carver, shape, attention.saved)
                                             : Saved<float>(workspace_carver, shape, 0);

    Sequence sequence(backend, stream);
    convolution_branch_forward(sequence, shape, *params, saved.branch, workspace.input3, workspace.moments);
    attention_branch(sequence, shape, *params, saved, workspace);
    join(sequence, shape, *params, saved.branch.left, workspace.right);
    return sequence.status();
}

mm_status mm_ss_conv_ssm_backward(const mm_backend* backend, mm_stream* stream,
                                  const mm_ss_conv_ssm_backward_params* params) {
    const BlockShape shape = shape_of(backend, stream, *params);
    const mm_plan attention = attention_plan(backend, stream, shape);
    Carver<float> workspace_carver(params->workspace);
    Carver<const float> saved_carver(params->saved);
    const BackwardWorkspace workspace(workspace_carver, shape, attention.backward_workspace);
    const Saved<const float> saved(saved_carver, shape, attention.saved);

    Sequence sequence(backend, stream);
    join_backward(sequence, shape, *params, saved.branch.left, workspace.dleft, workspace.dright);
    convolution_branch_backward(sequence, shape, *params, saved.branch, workspace.dleft, workspace.of_outputs,
                                workspace.of_inputs, workspace.moments);
    attention_branch_backward(sequence, shape, *params, saved, workspace);
    return sequence.status();
}
