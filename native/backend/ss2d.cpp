// SS2D: the selective scan of an image in four directions, between two linear maps.
//
//   x (P, c)     -- in_proj ----------------------> inner | z (P, 2D)       P = batch * pixels, D = 2c
//   inner        -- depthwise 3x3 + bias, SiLU ---> u (P, D)
//   u            -- x_proj -----------------------> projected (P, 4, R + 2N)
//   u, projected -- scan, four directions --------> scanned (P, D), their sum
//   scanned, z   -- LN(scanned) * SiLU(z) --------> gated (P, D)
//   gated        -- out_proj ---------------------> y (P, c)
//
// Where the backend wants it so, the scan leaves a copy of y for each direction, and the norm adds them while it reads; in
// training it writes the sum, which its gradient reads.
//
// inner and z stay the two halves of one tensor `xz`, read by row stride. The projections of the scan are per
// pixel, so those of all four directions are one matrix product. For backward are saved the results of the
// expensive steps; u and gated, one cheap pass each, are computed again.
//
// All of these, and their gradients, lie in memory in the activation dtype of the stream; x and y in that of the
// caller.
#include "block.h"
#include "sequence.h"

namespace medmamba {
namespace {

struct Shape {
    int64_t batch, height, width, channels, states, rank;
    int32_t dtype;   // of activations
    int64_t copies;  // of y that the scan leaves; 1: the sum

    int64_t rows() const { return batch * height * width; }
    int64_t inner() const { return 2 * channels; }  // D
    int64_t projections() const { return 4 * (rank + 2 * states); }
};

Shape shape_of(const mm_backend* backend, const mm_stream* stream, int64_t batch, int64_t height, int64_t width,
               int64_t channels, int64_t states, int64_t rank) {
    const mm_dtype dtype = backend->activation_dtype(stream);
    const int64_t copies = backend->scan4_copy_count(batch, height, width, 2 * channels, dtype);
    return {batch, height, width, channels, states, rank, dtype, copies};
}

template <class Params>
Shape shape_of(const mm_backend* backend, const mm_stream* stream, const Params& params) {
    return shape_of(backend, stream, params.batch, params.height, params.width, params.channels, params.states,
                    params.rank);
}

int64_t checkpoint_count(const mm_backend* backend, const Shape& shape) {
    return backend->scan4_checkpoint_count(shape.batch, shape.height, shape.width, shape.inner(), shape.states);
}

// What forward computes and backward reads. Inference keeps it in the workspace, without checkpoints.
template <class Float>
struct Saved {
    Activation<Float> xz;         // (P, 2D) inner | z
    Activation<Float> projected;  // (P, 4, R + 2N)
    Activation<Float> scanned;    // (P, D)
    Float* statistics;            // (P, 2) of the LayerNorm
    Float* checkpoints;           // the scan's own

    Saved(Carver<Float>& carver, const Shape& shape, int64_t checkpoint_count)
        : xz(carver.take_activation(shape.rows() * 2 * shape.inner(), shape.dtype)),
          projected(carver.take_activation(shape.rows() * shape.projections(), shape.dtype)),
          scanned(carver.take_activation(shape.rows() * shape.inner(), shape.dtype)),
          statistics(carver.take(shape.rows() * 2)),
          checkpoints(carver.take(checkpoint_count)) {}
};

// Two names are one region: what the first holds is dead when the second is written.
struct ForwardWorkspace {
    Activation<float> u, gated;  // (P, D)
    Activation<float> copies;    // (copies, P, D) of the scan's y, if there are more than one

    ForwardWorkspace(Carver<float>& carver, const Shape& shape)
        : u(carver.take_activation(shape.rows() * shape.inner(), shape.dtype)),
          gated(u),
          copies(carver.take_activation(shape.copies > 1 ? shape.copies * shape.rows() * shape.inner() : 0, shape.dtype)) {}
};

struct BackwardWorkspace {
    Activation<float> gated, dscanned;  // (P, D) gated until out_proj's gradient, dscanned from the LayerNorm's
    Activation<float> dgated, u;        // (P, D) dgated until the LayerNorm's gradient, then u for the scan's
    Activation<float> du;               // (P, D)
    Activation<float> dprojected;       // (P, 4, R + 2N)
    Activation<float> dxz;              // (P, 2D) dinner | dz

    BackwardWorkspace(Carver<float>& carver, const Shape& shape)
        : gated(carver.take_activation(shape.rows() * shape.inner(), shape.dtype)),
          dscanned(gated),
          dgated(carver.take_activation(shape.rows() * shape.inner(), shape.dtype)),
          u(dgated),
          du(carver.take_activation(shape.rows() * shape.inner(), shape.dtype)),
          dprojected(carver.take_activation(shape.rows() * shape.projections(), shape.dtype)),
          dxz(carver.take_activation(shape.rows() * 2 * shape.inner(), shape.dtype)) {}
};

// ---- forward steps; `activate` and `gate` serve backward too ------------------------------------------------

// xz = x in_proj^T
void project_in(Sequence& sequence, const Shape& shape, const mm_ss2d_forward_params& params,
                Activation<float> xz) {
    mm_matmul_params product = linear_forward(shape.rows(), shape.channels, 2 * shape.inner(),
                                              {params.x, params.x_dtype}, params.weights.in_proj_weight, xz);
    product.a_row = params.x_row;
    sequence.run(product);
}

// u = silu(depthwise(inner) + bias)
void activate(Sequence& sequence, const Shape& shape, const mm_ss2d_weights& weights,
              Activation<const float> xz, Activation<float> u) {
    mm_depthwise3x3_forward_params depthwise{};
    depthwise.batch = shape.batch;
    depthwise.height = shape.height;
    depthwise.width = shape.width;
    depthwise.channels = shape.inner();
    depthwise.x_row = 2 * shape.inner();
    depthwise.silu = 1;
    depthwise.x = xz.data;
    depthwise.x_dtype = shape.dtype;
    depthwise.weight = weights.conv2d_weight;
    depthwise.bias = weights.conv2d_bias;
    depthwise.y = u.data;
    sequence.run(depthwise);
}

// projected = u x_proj^T
void project(Sequence& sequence, const Shape& shape, const mm_ss2d_weights& weights,
             Activation<const float> u, Activation<float> projected) {
    sequence.run(linear_forward(shape.rows(), shape.inner(), shape.projections(), u, weights.x_proj_weight,
                                projected));
}

// y: the sum, or as many copies as the shape says.
void scan(Sequence& sequence, const Shape& shape, const mm_ss2d_weights& weights, Activation<const float> u,
          const Saved<float>& saved, Activation<float> y) {
    mm_scan4_forward_params scan{};
    scan.batch = shape.batch;
    scan.height = shape.height;
    scan.width = shape.width;
    scan.channels = shape.inner();
    scan.states = shape.states;
    scan.rank = shape.rank;
    scan.x_dtype = shape.dtype;
    scan.u = u.data;
    scan.projected = saved.projected.data;
    scan.dt_weight = weights.dt_projs_weight;
    scan.dt_bias = weights.dt_projs_bias;
    scan.A_log = weights.A_logs;
    scan.skip = weights.Ds;
    scan.y = y.data;
    scan.y_copies = shape.copies;
    scan.checkpoints = saved.checkpoints;
    sequence.run(scan);
}

// gated = LN(scanned) * silu(z); statistics may be NULL
mm_layer_norm_forward_params gate(const Shape& shape, const mm_ss2d_weights& weights, Activation<const float> scanned,
                                  Activation<const float> xz, Activation<float> gated, float* statistics) {
    mm_layer_norm_forward_params norm{};
    norm.rows = shape.rows();
    norm.channels = shape.inner();
    norm.gate_row = 2 * shape.inner();
    norm.eps = norm_eps;
    norm.x_dtype = norm.y_dtype = shape.dtype;
    norm.x = scanned.data;
    norm.weight = weights.out_norm_weight;
    norm.bias = weights.out_norm_bias;
    norm.gate = xz.after(shape.inner()).data;
    norm.y = gated.data;
    norm.statistics = statistics;
    return norm;
}

// y = gated out_proj^T
void project_out(Sequence& sequence, const Shape& shape, const mm_ss2d_forward_params& params,
                 Activation<const float> gated) {
    sequence.run(linear_forward(shape.rows(), shape.inner(), shape.channels, gated, params.weights.out_proj_weight,
                                {params.y, params.y_dtype}));
}

// ---- backward steps ---------------------------------------------------------------------------------------

void project_out_backward(Sequence& sequence, const Shape& shape, const mm_ss2d_backward_params& params,
                          Activation<const float> gated, Activation<float> dgated) {
    const Activation<const float> dy{params.dy, params.y_dtype};
    sequence.run(linear_backward_weight(shape.rows(), shape.inner(), shape.channels, dy, gated,
                                        params.gradients.out_proj_weight));
    sequence.run(linear_backward_data(shape.rows(), shape.inner(), shape.channels, dy, params.weights.out_proj_weight,
                                      dgated));
}

// dz goes straight into its half of dxz.
void gate_backward(Sequence& sequence, const Shape& shape, const mm_ss2d_backward_params& params,
                   const Saved<const float>& saved, Activation<const float> dgated, Activation<float> dscanned,
                   Activation<float> dxz) {
    mm_layer_norm_backward_params norm{};
    norm.rows = shape.rows();
    norm.channels = shape.inner();
    norm.gate_row = norm.dgate_row = 2 * shape.inner();
    norm.x_dtype = norm.y_dtype = shape.dtype;
    norm.x = saved.scanned.data;
    norm.weight = params.weights.out_norm_weight;
    norm.bias = params.weights.out_norm_bias;
    norm.statistics = saved.statistics;
    norm.gate = saved.xz.after(shape.inner()).data;
    norm.dy = dgated.data;
    norm.dx = dscanned.data;
    norm.dweight = params.gradients.out_norm_weight;
    norm.dbias = params.gradients.out_norm_bias;
    norm.dgate = dxz.after(shape.inner()).data;
    sequence.run(norm);
}

void scan_backward(Sequence& sequence, const Shape& shape, const mm_ss2d_backward_params& params,
                   const Saved<const float>& saved, const BackwardWorkspace& workspace) {
    mm_scan4_backward_params scan{};
    scan.batch = shape.batch;
    scan.height = shape.height;
    scan.width = shape.width;
    scan.channels = shape.inner();
    scan.states = shape.states;
    scan.rank = shape.rank;
    scan.x_dtype = shape.dtype;
    scan.u = workspace.u.data;
    scan.projected = saved.projected.data;
    scan.dt_weight = params.weights.dt_projs_weight;
    scan.dt_bias = params.weights.dt_projs_bias;
    scan.A_log = params.weights.A_logs;
    scan.skip = params.weights.Ds;
    scan.checkpoints = saved.checkpoints;
    scan.dy = workspace.dscanned.data;
    scan.du = workspace.du.data;
    scan.dprojected = workspace.dprojected.data;
    scan.ddt_weight = params.gradients.dt_projs_weight;
    scan.ddt_bias = params.gradients.dt_projs_bias;
    scan.dA_log = params.gradients.A_logs;
    scan.dskip = params.gradients.Ds;
    sequence.run(scan);
}

// du += dprojected x_proj: the second way from u to the scan.
void project_backward(Sequence& sequence, const Shape& shape, const mm_ss2d_backward_params& params,
                      const BackwardWorkspace& workspace) {
    sequence.run(linear_backward_weight(shape.rows(), shape.inner(), shape.projections(), workspace.dprojected,
                                        workspace.u, params.gradients.x_proj_weight));
    mm_matmul_params product = linear_backward_data(shape.rows(), shape.inner(), shape.projections(),
                                                    workspace.dprojected, params.weights.x_proj_weight,
                                                    workspace.du);
    product.accumulate = 1;
    sequence.run(product);
}

// dinner goes straight into its half of dxz.
void activate_backward(Sequence& sequence, const Shape& shape, const mm_ss2d_backward_params& params,
                       Activation<const float> xz, Activation<const float> du, Activation<float> dxz) {
    mm_depthwise3x3_backward_params depthwise{};
    depthwise.batch = shape.batch;
    depthwise.height = shape.height;
    depthwise.width = shape.width;
    depthwise.channels = shape.inner();
    depthwise.x_row = depthwise.dx_row = 2 * shape.inner();
    depthwise.silu = 1;
    depthwise.x_dtype = shape.dtype;
    depthwise.x = xz.data;
    depthwise.weight = params.weights.conv2d_weight;
    depthwise.bias = params.weights.conv2d_bias;
    depthwise.dy = du.data;
    depthwise.dx = dxz.data;
    depthwise.dweight = params.gradients.conv2d_weight;
    depthwise.dbias = params.gradients.conv2d_bias;
    sequence.run(depthwise);
}

void project_in_backward(Sequence& sequence, const Shape& shape, const mm_ss2d_backward_params& params,
                         Activation<const float> dxz) {
    mm_matmul_params weight = linear_backward_weight(shape.rows(), shape.channels, 2 * shape.inner(), dxz,
                                                     {params.x, params.x_dtype}, params.gradients.in_proj_weight);
    weight.b_row = params.x_row;
    sequence.run(weight);
    mm_matmul_params data = linear_backward_data(shape.rows(), shape.channels, 2 * shape.inner(), dxz,
                                                 params.weights.in_proj_weight, {params.dx, params.x_dtype});
    data.c_row = params.dx_row;
    data.accumulate = params.accumulate_dx;
    sequence.run(data);
}

}  // namespace
}  // namespace medmamba

using namespace medmamba;

mm_status mm_ss2d_plan(const mm_backend* backend, const mm_stream* stream, int64_t batch, int64_t height,
                       int64_t width, int64_t channels, int64_t states, int64_t rank, mm_plan* plan) {
    if (batch <= 0 || height <= 0 || width <= 0 || channels <= 0 || states <= 0 || rank <= 0)
        return MM_INVALID_ARGUMENT;
    const Shape shape = shape_of(backend, stream, batch, height, width, channels, states, rank);
    Carver<float> saved(nullptr), forward(nullptr), backward(nullptr);
    Saved<float>(saved, shape, checkpoint_count(backend, shape));
    ForwardWorkspace(forward, shape);
    Saved<float>(forward, shape, 0);  // inference needs the most
    BackwardWorkspace(backward, shape);
    *plan = {saved.used(), forward.used(), backward.used()};
    return MM_OK;
}

mm_status mm_ss2d_forward(const mm_backend* backend, mm_stream* stream, const mm_ss2d_forward_params* params) {
    const Shape shape = shape_of(backend, stream, *params);
    Carver<float> workspace_carver(params->workspace), saved_carver(params->saved);
    const ForwardWorkspace workspace(workspace_carver, shape);
    const Saved<float> saved = params->saved ? Saved<float>(saved_carver, shape, checkpoint_count(backend, shape))
                                             : Saved<float>(workspace_carver, shape, 0);

    Sequence sequence(backend, stream);
    project_in(sequence, shape, *params, saved.xz);
    activate(sequence, shape, params->weights, saved.xz, workspace.u);
    project(sequence, shape, params->weights, workspace.u, saved.projected);
    const bool has_copies = shape.copies > 1;
    const Activation<float> y = has_copies ? workspace.copies : saved.scanned;
    scan(sequence, shape, params->weights, workspace.u, saved, y);
    mm_layer_norm_forward_params norm =
        gate(shape, params->weights, y, saved.xz, workspace.gated, saved.statistics);
    norm.x_copies = shape.copies;
    norm.sum = has_copies && params->saved ? saved.scanned.data : nullptr;
    sequence.run(norm);
    project_out(sequence, shape, *params, workspace.gated);
    return sequence.status();
}

mm_status mm_ss2d_backward(const mm_backend* backend, mm_stream* stream, const mm_ss2d_backward_params* params) {
    const Shape shape = shape_of(backend, stream, *params);
    Carver<float> workspace_carver(params->workspace);
    Carver<const float> saved_carver(params->saved);
    const BackwardWorkspace workspace(workspace_carver, shape);
    const Saved<const float> saved(saved_carver, shape, checkpoint_count(backend, shape));

    Sequence sequence(backend, stream);
    sequence.run(gate(shape, params->weights, saved.scanned, saved.xz, workspace.gated, nullptr));
    project_out_backward(sequence, shape, *params, workspace.gated, workspace.dgated);
    gate_backward(sequence, shape, *params, saved, workspace.dgated, workspace.dscanned, workspace.dxz);
    activate(sequence, shape, params->weights, saved.xz, workspace.u);
    scan_backward(sequence, shape, *params, saved, workspace);
    project_backward(sequence, shape, *params, workspace);
    activate_backward(sequence, shape, *params, saved.xz, workspace.du, workspace.dxz);
    project_in_backward(sequence, shape, *params, workspace.dxz);
    return sequence.status();
}
