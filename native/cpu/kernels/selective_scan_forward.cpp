// The selective scan as mamba_ssm defines it, forward. A task owns one block of channels of one image; chunks of
// the channels-first inputs are transposed into rows of lanes in L1, walked (scan_steps.cpp), and y transposed
// back.
#include "selective_scan.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

void forward_block(const mm_selective_scan_forward_params& p, const SelectiveShape& shape, int64_t image,
                   int64_t index, Scratch& scratch) {
    const auto take_rows = [&](int64_t width) { return scratch.take(chunk_steps * width); };
    const SelectiveBlock block(shape, p, image, index);
    float* A2 = scratch.take(shape.state_row * lanes);
    arrange_A2(shape, p.A, index, A2);
    float *u = take_rows(lanes), *delta = take_rows(lanes), *input = take_rows(lanes), *y = take_rows(lanes);
    float *z = take_rows(lanes), *B = take_rows(shape.state_row), *C = take_rows(shape.state_row);
    float* h = scratch.take(shape.state_row * lanes);
    set_zero(h, shape.state_row * lanes);
    for (int64_t chunk = 0; chunk < shape.chunks; ++chunk) {
        const int64_t count = shape.steps(chunk), first = chunk * chunk_steps;
        const int64_t corner = block.channel_row * shape.length + first;
        const int64_t group_corner = block.group_row * shape.length + first;
        if (p.checkpoints)
            store_columns(h, lanes, block.part.count, shape.states,
                          p.checkpoints + (block.channel_row * shape.chunks + chunk) * shape.states,
                          shape.chunks * shape.states);
        load_columns(p.u + corner, shape.length, block.part.count, count, u, lanes);
        load_columns(p.delta + corner, shape.length, block.part.count, count, delta, lanes);
        load_columns(p.B + group_corner, shape.length, shape.states, count, B, shape.state_row);
        load_columns(p.C + group_corner, shape.length, shape.states, count, C, shape.state_row);
        for (int64_t t = 0; t < count; ++t) {
            const vfloat x = load(u + t * lanes), pre = load(delta + t * lanes) + block.delta_bias;
            const vfloat step = p.delta_softplus ? Softplus(pre).value : pre;
            store(delta + t * lanes, step);
            store(input + t * lanes, step * x);
            store(y + t * lanes, block.D * x);
        }
        walk_forward({count, shape.state_row, A2, delta, input, B, C, h, y});
        if (p.z) {
            load_columns(p.z + corner, shape.length, block.part.count, count, z, lanes);
            for (int64_t t = 0; t < count; ++t) store(y + t * lanes, load(y + t * lanes) * silu(load(z + t * lanes)));
        }
        store_columns(y, lanes, block.part.count, count, p.y + corner, shape.length);
    }
    if (p.last_state)
        store_columns(h, lanes, block.part.count, shape.states, p.last_state + block.channel_row * shape.states,
                      shape.states);
}

}  // namespace

mm_status selective_scan_forward(mm_stream* stream, const mm_selective_scan_forward_params* params) {
    const SelectiveShape shape(*params);
    stream->pool.run(shape.batch * shape.blocks, [&](int64_t index, int worker) {
        Scratch& scratch = stream->worker_scratch[worker];
        Scratch::Scope scope(scratch);
        forward_block(*params, shape, index / shape.blocks, index % shape.blocks, scratch);
    });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
