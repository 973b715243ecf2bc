// Gradient of the selective scan as mamba_ssm defines it; a sibling of scan_backward.cpp.
//
// A task owns half of the blocks of one group of channels for a run of images. It goes from the last chunk to
// the first and finishes a chunk for all its blocks before the next, so that dB and dC, sums over the group's
// channels, gather in rows in L1. What the second halves add to dB and dC is kept apart and summed at the end,
// as are the gradients of A, D and delta_bias of the runs. The split depends on shapes alone.
#include "selective_scan.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

constexpr int64_t most_runs = 8;  // of images: bounds the sets of parameter gradients

// Gradients of one block's parameters, summed over a run of images.
struct BlockGradients {
    float* A;                 // (state_row, lanes)
    float *D, *delta_bias;    // (lanes)

    static int64_t floats(const SelectiveShape& shape) { return (shape.state_row + 2) * lanes; }
    BlockGradients(const SelectiveShape& shape, float* p)
        : A(p), D(p + shape.state_row * lanes), delta_bias(D + lanes) {}
};

struct BackwardTask {
    const mm_selective_scan_backward_params& p;
    const SelectiveShape& shape;
    float *dB, *dC;    // this half's copy, (batch, groups, states, length)
    float* gradients;  // (blocks) BlockGradients of this run of images
    int64_t group, first_block, last_block;
    Scratch& scratch;

    float *delta = take_rows(), *slope = take_rows(), *u = take_rows(), *z = take_rows(), *dy = take_rows();
    float *gated = take_rows(), *input = take_rows(), *y = take_rows(), *dinput = take_rows(), *ddelta = take_rows();
    float *B = take_state_rows(), *C = take_state_rows(), *dB_rows = take_state_rows(), *dC_rows = take_state_rows();
    float* saved = scratch.take(saved_floats);
    int64_t state_floats = shape.state_row * lanes;
    float *h = scratch.take(state_floats), *h_walked = scratch.take(state_floats);
    float* A2 = scratch.take((last_block - first_block) * state_floats);
    float* dh = scratch.take((last_block - first_block) * state_floats);

    float* take_rows() { return scratch.take(chunk_steps * lanes); }
    float* take_state_rows() { return scratch.take(chunk_steps * shape.state_row); }

    // What all images of the run share.
    void prepare() {
        for (int64_t block = first_block; block < last_block; ++block) arrange_A2(shape, p.A, block, A2_of(block));
    }

    float* A2_of(int64_t block) const { return A2 + (block - first_block) * state_floats; }
    float* dh_of(int64_t block) const { return dh + (block - first_block) * state_floats; }

    void run(int64_t image) {
        set_zero(h, state_floats);  // padding states stay zero
        set_zero(dh, (last_block - first_block) * state_floats);
        if (p.dlast_state)
            for (int64_t block = first_block; block < last_block; ++block)
                load_columns(p.dlast_state + (image * shape.channels + shape.first_channel(block)) * shape.states,
                             shape.states, shape.block_lanes(block).count, shape.states, dh_of(block), lanes);
        for (int64_t chunk = shape.chunks - 1; chunk >= 0; --chunk) {
            const int64_t count = shape.steps(chunk);
            const int64_t corner = (image * shape.groups + group) * shape.states * shape.length + chunk * chunk_steps;
            load_columns(p.B + corner, shape.length, shape.states, count, B, shape.state_row);
            load_columns(p.C + corner, shape.length, shape.states, count, C, shape.state_row);
            set_zero(dB_rows, count * shape.state_row);
            set_zero(dC_rows, count * shape.state_row);
            for (int64_t block = first_block; block < last_block; ++block) run_block(image, block, chunk, count);
            store_columns(dB_rows, shape.state_row, shape.states, count, dB + corner, shape.length);
            store_columns(dC_rows, shape.state_row, shape.states, count, dC + corner, shape.length);
        }
    }

    void run_block(int64_t image, int64_t index, int64_t chunk, int64_t count) {
        const SelectiveBlock block(shape, p, image, index);
        const BlockGradients gradient(shape, gradients + index * BlockGradients::floats(shape));
        const int64_t corner = block.channel_row * shape.length + chunk * chunk_steps, channels = block.part.count;
        load_columns(p.u + corner, shape.length, channels, count, u, lanes);
        load_columns(p.delta + corner, shape.length, channels, count, delta, lanes);
        load_columns(p.dy + corner, shape.length, channels, count, dy, lanes);
        load_columns(p.checkpoints + (block.channel_row * shape.chunks + chunk) * shape.states,
                     shape.chunks * shape.states, channels, shape.states, h, lanes);
        for (int64_t t = 0; t < count; ++t) {
            const vfloat x = load(u + t * lanes), pre = load(delta + t * lanes) + block.delta_bias;
            const Softplus softplus(pre);
            const vfloat step = p.delta_softplus ? softplus.value : pre;
            store(slope + t * lanes, p.delta_softplus ? softplus.slope(pre) : broadcast(1.0f));
            store(delta + t * lanes, step);
            store(input + t * lanes, step * x);
        }
        if (p.z) pass_gate(block, A2_of(index), corner, count);
        walk_backward({count, shape.state_row, A2_of(index), delta, input, B, C, h, p.z ? gated : dy, dh_of(index),
                       dinput, ddelta, gradient.A, dB_rows, dC_rows, saved});
        leave_block(block, corner, count, gradient);
    }

    // y was multiplied by silu(z): the scan's own output is walked once more for the gradient of z.
    void pass_gate(const SelectiveBlock& block, const float* block_A2, int64_t corner, int64_t count) {
        load_columns(p.z + corner, shape.length, block.part.count, count, z, lanes);
        for (int64_t t = 0; t < count; ++t) store(y + t * lanes, block.D * load(u + t * lanes));
        std::memcpy(h_walked, h, (size_t)state_floats * sizeof(float));
        walk_forward({count, shape.state_row, block_A2, delta, input, B, C, h_walked, y});
        for (int64_t t = 0; t < count; ++t) {
            const vfloat gate = load(z + t * lanes), dout = load(dy + t * lanes);
            store(gated + t * lanes, dout * silu(gate));
            store(y + t * lanes, dout * load(y + t * lanes) * silu_slope(gate));
        }
        store_columns(y, lanes, block.part.count, count, p.dz + corner, shape.length);
    }

    void leave_block(const SelectiveBlock& block, int64_t corner, int64_t count, const BlockGradients& gradient) {
        const float* dout_rows = p.z ? gated : dy;
        vfloat dD = load(gradient.D), dbias = load(gradient.delta_bias);
        for (int64_t t = 0; t < count; ++t) {
            const vfloat x = load(u + t * lanes), dout = load(dout_rows + t * lanes);
            const vfloat through_input = load(dinput + t * lanes);
            const vfloat dpre = (through_input * x + load(ddelta + t * lanes) * ln2) * load(slope + t * lanes);
            dD += dout * x;
            dbias += dpre;
            store(ddelta + t * lanes, dpre);
            store(dinput + t * lanes, through_input * load(delta + t * lanes) + block.D * dout);
        }
        store(gradient.D, dD);
        store(gradient.delta_bias, dbias);
        store_columns(dinput, lanes, block.part.count, count, p.du + corner, shape.length);
        store_columns(ddelta, lanes, block.part.count, count, p.ddelta + corner, shape.length);
    }
};

// Adds the runs' gradients of one block in order and puts them where the parameters are.
void finish_parameters(const mm_selective_scan_backward_params& p, const SelectiveShape& shape, int64_t runs,
                       int64_t block, float* gradients) {
    const int64_t floats = BlockGradients::floats(shape), channel = shape.first_channel(block);
    const Lanes part = shape.block_lanes(block);
    float* total = gradients + block * floats;
    for (int64_t run = 1; run < runs; ++run)
        for (int64_t i = 0; i < floats; i += lanes)
            store(total + i, load(total + i) + load(total + run * shape.blocks * floats + i));
    const BlockGradients sum(shape, total);
    store_columns(sum.A, lanes, part.count, shape.states, p.dA + channel * shape.states, shape.states);
    if (p.dD) part.store(p.dD + channel, load(sum.D));
    if (p.ddelta_bias) part.store(p.ddelta_bias + channel, load(sum.delta_bias));
}

}  // namespace

mm_status selective_scan_backward(mm_stream* stream, const mm_selective_scan_backward_params* params) {
    const mm_selective_scan_backward_params& p = *params;
    const SelectiveShape shape(p);
    const int64_t runs = std::min(shape.batch, most_runs), halves = std::min<int64_t>(shape.group_blocks, 2);
    const int64_t shared_floats = shape.batch * shape.groups * shape.states * shape.length;
    float* dB_copy = stream->scratch.take(halves > 1 ? shared_floats : 0);
    float* dC_copy = stream->scratch.take(halves > 1 ? shared_floats : 0);
    const int64_t gradient_floats = shape.blocks * BlockGradients::floats(shape);
    float* gradients = stream->scratch.take(std::max<int64_t>(runs, 1) * gradient_floats);
    set_zero(gradients, std::max<int64_t>(runs, 1) * gradient_floats);

    stream->pool.run(runs * shape.groups * halves, [&](int64_t index, int worker) {
        Scratch& scratch = stream->worker_scratch[worker];
        Scratch::Scope scope(scratch);
        const int64_t half = index % halves, group = index / halves % shape.groups, run = index / halves / shape.groups;
        const int64_t group_block = group * shape.group_blocks;
        BackwardTask task{p, shape, half == 0 ? p.dB : dB_copy, half == 0 ? p.dC : dC_copy,
                          gradients + run * gradient_floats, group, group_block + half * shape.group_blocks / halves,
                          group_block + (half + 1) * shape.group_blocks / halves, scratch};
        task.prepare();
        for (int64_t image = run * shape.batch / runs; image < (run + 1) * shape.batch / runs; ++image) task.run(image);
    });

    if (halves > 1) {
        add_copy(stream, p.dB, dB_copy, shared_floats);
        add_copy(stream, p.dC, dC_copy, shared_floats);
    }
    stream->pool.run(shape.blocks, [&](int64_t block, int) { finish_parameters(p, shape, runs, block, gradients); });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
