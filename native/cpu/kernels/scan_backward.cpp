// Gradient of the four-direction scan.
//
// Each direction is walked from its last chunk to its first. Within a chunk the states are recomputed from the
// checkpoint that forward left (scan_steps.cpp); what is left to do here is to carry the gradients of delta and
// of delta u on to u, to delta's projection, and to the parameters:
//
//   dpre = ddelta * sigmoid(pre),   ddt = dpre . dt_weight,   ddt_weight = dpre x dt,   ddt_bias = sum of dpre.
//
// A task owns a run of images, a pair of directions (one of the image's two axes, both ways) and half of the
// channel blocks. So even one image gives four tasks, and what tasks must share stays small: du of the two
// pairs and dprojected of the two halves are summed at the end, one copy each beyond the result itself. A chunk
// is finished for all blocks of the task before the next, so that dB, dC and ddt, which are sums over channels,
// gather in rows in L1. Parameter gradients gather in the lane order of the task's blocks, one set for each run
// of images. How the work is split depends on shapes alone, so the sums have one order.
#include "scan4.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

constexpr int64_t most_runs = 8;  // of images: bounds the sets of parameter gradients
constexpr int64_t pairs = 2;

struct Split {
    int64_t runs, halves;
    explicit Split(const Scan4Shape& shape)
        : runs(std::min(shape.batch, most_runs)), halves(std::min<int64_t>(shape.blocks, 2)) {}
};

// Gradients of one block's parameters, summed over a run of images.
struct BlockGradients {
    float* A;               // (state_row, lanes)
    float* dt_weight;       // (rank, lanes)
    float *dt_bias, *skip;  // (lanes)

    static int64_t floats(const Scan4Shape& shape) { return (shape.state_row + shape.rank + 2) * lanes; }
    BlockGradients(const Scan4Shape& shape, float* p)
        : A(p), dt_weight(A + shape.state_row * lanes), dt_bias(dt_weight + shape.rank * lanes),
          skip(dt_bias + lanes) {}
};

struct BackwardTask {
    const mm_scan4_backward_params& p;
    const Scan4Shape& shape;
    const Scan4Arrangement& arrangement;
    float *du, *dprojected;      // this pair's and this half's copy
    float* gradients;            // (4, blocks) BlockGradients of this run of images
    int64_t first_block, last_block;
    Scratch& scratch;

    Scan4Chunk chunk{scratch, shape};
    float *dB = scratch.take(chunk_steps * shape.state_row), *dC = scratch.take(chunk_steps * shape.state_row);
    float *ddt = scratch.take(chunk_steps * shape.rank_row);
    float *delta = take_rows(), *slope = take_rows(), *u = take_rows(), *dy = take_rows(), *input = take_rows();
    float *dinput = take_rows(), *ddelta = take_rows();
    float *saved = scratch.take(saved_floats);
    int64_t state_floats = shape.state_row * lanes;
    float *h = scratch.take(state_floats), *dh = scratch.take((last_block - first_block) * state_floats);

    float* take_rows() { return scratch.take(chunk_steps * lanes); }

    void run(int direction, int64_t image) {
        set_zero(h, state_floats);  // padding states stay zero
        set_zero(dh, (last_block - first_block) * state_floats);
        const int64_t projected_image = image * shape.pixels * directions * shape.columns;
        for (int64_t c = shape.chunks - 1; c >= 0; --c) {
            chunk.gather(shape, p.projected + projected_image, direction, c);
            set_zero(dB, chunk.count * shape.state_row);
            set_zero(dC, chunk.count * shape.state_row);
            set_zero(ddt, chunk.count * shape.rank_row);
            for (int64_t block = first_block; block < last_block; ++block) run_block(direction, image, c, block);
            scatter_projected(direction, dprojected + projected_image);
        }
    }

    void run_block(int direction, int64_t image, int64_t c, int64_t block) {
        const Scan4Parameters parameters = arrangement.at(direction, block);
        const BlockGradients gradient(
            shape, gradients + (direction * shape.blocks + block) * BlockGradients::floats(shape));
        const int64_t corner = image * shape.pixels * shape.channels + block * lanes;
        enter_block(shape.block_lanes(block), corner, parameters);
        std::memcpy(h, p.checkpoints + shape.checkpoint(image, direction, c, block),
                    (size_t)(shape.states * lanes) * sizeof(float));
        walk_backward({chunk.count, shape.state_row, parameters.A2, delta, input, chunk.B, chunk.C, h, dy,
                       dh + (block - first_block) * state_floats, dinput, ddelta, gradient.A, dB, dC, saved});
        leave_block(shape.block_lanes(block), corner, direction < pairs, parameters, gradient);
        for (int64_t r = 0; r < shape.rank_row; r += lanes)
            multiply_rows(chunk.count, lanes, ddelta, lanes, 1, parameters.dt_by_lane + r, shape.rank_row, ddt + r,
                          shape.rank_row);
        multiply_rows(shape.rank, chunk.count, chunk.dt, 1, shape.rank_row, ddelta, lanes, gradient.dt_weight, lanes);
    }

    void enter_block(Lanes part, int64_t corner, const Scan4Parameters& parameters) {
        project_delta(shape, chunk, parameters, [&](int64_t t, vfloat pre) {
            const int64_t place = corner + chunk.pixel[t] * shape.channels;
            const vfloat x = part.load(p.u + place);
            const Softplus softplus(pre);
            store(delta + t * lanes, softplus.value);
            store(slope + t * lanes, softplus.slope(pre));
            store(u + t * lanes, x);
            store(dy + t * lanes, part.load(p.dy + place));
            store(input + t * lanes, softplus.value * x);
        });
    }

    // Leaves the gradient of what went into softplus in `ddelta`.
    void leave_block(Lanes part, int64_t corner, bool first, const Scan4Parameters& parameters,
                     const BlockGradients& gradient) {
        const vfloat skip = load(parameters.skip);
        vfloat dskip = load(gradient.skip), dbias = load(gradient.dt_bias);
        for (int64_t t = 0; t < chunk.count; ++t) {
            const vfloat x = load(u + t * lanes), dout = load(dy + t * lanes), through_input = load(dinput + t * lanes);
            float* row = du + corner + chunk.pixel[t] * shape.channels;
            const vfloat dx = through_input * load(delta + t * lanes) + skip * dout;
            part.store(row, first ? dx : part.load(row) + dx);
            const vfloat dpre = (through_input * x + load(ddelta + t * lanes) * ln2) * load(slope + t * lanes);
            store(ddelta + t * lanes, dpre);
            dbias += dpre;
            dskip += dout * x;
        }
        store(gradient.dt_bias, dbias);
        store(gradient.skip, dskip);
    }

    void scatter_projected(int direction, float* image) const {
        for (int64_t t = 0; t < chunk.count; ++t) {
            float* row = image + (chunk.pixel[t] * directions + direction) * shape.columns;
            copy_row(row, ddt + t * shape.rank_row, shape.rank);
            copy_row(row + shape.rank, dB + t * shape.state_row, shape.states);
            copy_row(row + shape.rank + shape.states, dC + t * shape.state_row, shape.states);
        }
    }

    static void copy_row(float* to, const float* from, int64_t count) {
        for (; count >= lanes; count -= lanes, from += lanes, to += lanes) store(to, load(from));
        if (count > 0) store_partial(to, load(from), count);
    }
};

// Adds the runs' gradients of one block in order and puts them where the parameters are.
void finish_parameters(const mm_scan4_backward_params& p, const Scan4Shape& shape, int64_t runs, int direction,
                       int64_t block, const float* A2, float* gradients) {
    const int64_t floats = BlockGradients::floats(shape), run_floats = directions * shape.blocks * floats;
    float* total = gradients + (direction * shape.blocks + block) * floats;
    for (int64_t run = 1; run < runs; ++run)
        for (int64_t i = 0; i < floats; i += lanes)
            store(total + i, load(total + i) + load(total + run * run_floats + i));
    const BlockGradients sum(shape, total);
    const int64_t states = shape.states, rank = shape.rank, first = direction * shape.channels + block * lanes;
    const Lanes part = shape.block_lanes(block);
    for (int64_t n = 0; n < states * lanes; n += lanes)  // dA_log = dA A
        store(sum.A + n, load(sum.A + n) * load(A2 + n) * ln2);
    store_columns(sum.A, lanes, part.count, states, p.dA_log + first * states, states);
    store_columns(sum.dt_weight, lanes, part.count, rank, p.ddt_weight + first * rank, rank);
    part.store(p.ddt_bias + first, load(sum.dt_bias));
    part.store(p.dskip + first, load(sum.skip));
}

}  // namespace

mm_status scan4_backward(mm_stream* stream, const mm_scan4_backward_params* params) {
    const mm_scan4_backward_params& p = *params;
    const Scan4Shape shape(p);
    const Split split(shape);
    const Scan4Arrangement arrangement(stream, shape, p, Scan4Arrangement::for_backward);
    const int64_t du_floats = shape.batch * shape.pixels * shape.channels;
    const int64_t dprojected_floats = shape.batch * shape.pixels * directions * shape.columns;
    float* du_copy = stream->scratch.take(du_floats);
    float* dprojected_copy = stream->scratch.take(split.halves > 1 ? dprojected_floats : 0);
    const int64_t gradient_floats = directions * shape.blocks * BlockGradients::floats(shape);
    float* gradients = stream->scratch.take(std::max<int64_t>(split.runs, 1) * gradient_floats);
    set_zero(gradients, std::max<int64_t>(split.runs, 1) * gradient_floats);

    stream->pool.run(split.runs * pairs * split.halves, [&](int64_t index, int worker) {
        Scratch& scratch = stream->worker_scratch[worker];
        Scratch::Scope scope(scratch);
        const int64_t half = index % split.halves, pair = index / split.halves % pairs;
        const int64_t run = index / split.halves / pairs;
        BackwardTask task{p, shape, arrangement, pair == 0 ? p.du : du_copy, half == 0 ? p.dprojected : dprojected_copy,
                          gradients + run * gradient_floats, half * shape.blocks / split.halves,
                          (half + 1) * shape.blocks / split.halves, scratch};
        for (int64_t image = run * shape.batch / split.runs; image < (run + 1) * shape.batch / split.runs; ++image)
            for (int64_t direction = pair; direction < directions; direction += pairs) task.run((int)direction, image);
    });

    add_copy(stream, p.du, du_copy, du_floats);
    if (split.halves > 1) add_copy(stream, p.dprojected, dprojected_copy, dprojected_floats);
    stream->pool.run(directions * shape.blocks, [&](int64_t index, int) {
        const int direction = (int)(index / shape.blocks);
        const int64_t block = index % shape.blocks;
        finish_parameters(p, shape, split.runs, direction, block, arrangement.at(direction, block).A2, gradients);
    });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
