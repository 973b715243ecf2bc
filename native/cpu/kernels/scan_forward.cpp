// The selective scan of an image in four directions.
//
//   y[p] = sum over directions of C[p].h[p] + skip u[p],   h[p] = exp(delta[p] A) h[before p] + delta[p] B[p] u[p]
//
// A direction is only an order of visiting pixels: nothing is reordered in memory. One task owns a few blocks of
// channels (a register each) of one image and visits all four directions, so that their sum needs no lock. It
// goes chunk by chunk: the chunk's dt, B and C are gathered once for all its blocks; for each block
// delta = softplus(dt_weight dt + dt_bias) is taken for the whole chunk in L1, then the recurrence walks it
// (scan_steps.cpp).
#include "scan4.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Blocks of a task, as many as share the cost of gathering while every thread has work. No sum crosses channels,
// so how blocks are grouped does not show in the result, and may depend on the number of threads.
int64_t blocks_together(const Scan4Shape& shape, int64_t threads) {
    constexpr int64_t most = 6;
    if (shape.batch >= 2 * threads) return std::min(shape.blocks, most);
    // A few images: cut each so that the parts of all images are a multiple of the threads.
    int64_t parts = 1;
    while (shape.batch * parts % threads != 0) ++parts;
    return std::clamp<int64_t>(shape.blocks / parts, 1, most);
}

struct ForwardTask {
    const mm_scan4_forward_params& p;
    const Scan4Shape& shape;
    const Scan4Arrangement& arrangement;

    void run(int64_t image, int64_t first_block, int64_t last_block, Scratch& scratch) const {
        Scan4Chunk chunk(scratch, shape);
        float* delta = scratch.take(chunk_steps * lanes);
        float* input = scratch.take(chunk_steps * lanes);
        float* y = scratch.take(chunk_steps * lanes);
        const int64_t h_floats = shape.state_row * lanes;
        float* h = scratch.take((last_block - first_block) * h_floats);
        for (int direction = 0; direction < directions; ++direction) {
            set_zero(h, (last_block - first_block) * h_floats);
            for (int64_t c = 0; c < shape.chunks; ++c) {
                chunk.gather(shape, p.projected + image * shape.pixels * directions * shape.columns, direction, c);
                for (int64_t block = first_block; block < last_block; ++block) {
                    float* state = h + (block - first_block) * h_floats;
                    if (p.checkpoints)
                        std::memcpy(p.checkpoints + shape.checkpoint(image, direction, c, block), state,
                                    (size_t)(shape.states * lanes) * sizeof(float));
                    const Scan4Parameters parameters = arrangement.at(direction, block);
                    enter_block(image, block, chunk, parameters, delta, input, y);
                    walk_forward({chunk.count, shape.state_row, parameters.A2, delta, input, chunk.B, chunk.C, state,
                                  y});
                    leave_block(image, block, chunk, direction == 0, y);
                }
            }
        }
    }

    void enter_block(int64_t image, int64_t block, const Scan4Chunk& chunk, const Scan4Parameters& parameters,
                     float* delta, float* input, float* y) const {
        const Lanes part = shape.block_lanes(block);
        const float* u = p.u + image * shape.pixels * shape.channels + block * lanes;
        const vfloat skip = load(parameters.skip);
        project_delta(shape, chunk, parameters, [&](int64_t t, vfloat pre) {
            const vfloat step = Softplus(pre).value, x = part.load(u + chunk.pixel[t] * shape.channels);
            store(delta + t * lanes, step);
            store(input + t * lanes, step * x);
            store(y + t * lanes, skip * x);
        });
    }

    void leave_block(int64_t image, int64_t block, const Scan4Chunk& chunk, bool first, const float* y) const {
        const Lanes part = shape.block_lanes(block);
        float* out = p.y + image * shape.pixels * shape.channels + block * lanes;
        for (int64_t t = 0; t < chunk.count; ++t) {
            float* row = out + chunk.pixel[t] * shape.channels;
            const vfloat value = load(y + t * lanes);
            part.store(row, first ? value : part.load(row) + value);
        }
    }
};

}  // namespace

mm_status scan4_forward(mm_stream* stream, const mm_scan4_forward_params* params) {
    const Scan4Shape shape(*params);
    const Scan4Arrangement arrangement(stream, shape, *params, Scan4Arrangement::for_forward);
    const ForwardTask task{*params, shape, arrangement};
    const int64_t grain = blocks_together(shape, stream->pool.threads());
    const int64_t tasks = ceil_div(shape.blocks, grain);
    stream->pool.run(shape.batch * tasks, [&](int64_t index, int worker) {
        Scratch& scratch = stream->worker_scratch[worker];
        Scratch::Scope scope(scratch);
        const int64_t first = index % tasks * grain;
        task.run(index / tasks, first, std::min(first + grain, shape.blocks), scratch);
    });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
