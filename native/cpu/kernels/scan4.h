// What forward and backward of the four-direction scan share: parameters in the order of lanes, the pixels that
// a direction visits, the rows of a chunk, and where its checkpoint lies.
#pragma once

#include "scan.h"
#include "scan_steps.h"

namespace medmamba::cpu::MM_SIMD {

constexpr int directions = 4;

struct Scan4Shape {
    int64_t batch, height, width, channels, states, rank;
    int64_t pixels, chunks, blocks, columns;  // blocks of channels; columns: rank + 2 states
    int64_t state_row, rank_row;              // states and rank padded to whole registers

    template <class Params>
    explicit Scan4Shape(const Params& p)
        : batch(p.batch), height(p.height), width(p.width), channels(p.channels), states(p.states), rank(p.rank),
          pixels(height * width), chunks(ceil_div(pixels, chunk_steps)), blocks(ceil_div(channels, lanes)),
          columns(rank + 2 * states), state_row(padded(states)), rank_row(padded(rank)) {}

    Lanes block_lanes(int64_t block) const { return {std::min<int64_t>(lanes, channels - block * lanes)}; }

    // Floats from the start of the checkpoints to the state (states, lanes) before a chunk of a block.
    int64_t checkpoint(int64_t image, int direction, int64_t chunk, int64_t block) const {
        return (((image * directions + direction) * chunks + chunk) * blocks + block) * states * lanes;
    }
};

// One block of channels of one direction; lanes past the last channel are zero.
struct Scan4Parameters {
    float* A2;           // (state_row, lanes)      -exp(A_log) log2(e), zero for padding states
    float* dt_weight;    // (rank, lanes)
    float *dt_bias, *skip;  // (lanes)
    float* dt_by_lane;   // (lanes, rank_row)       dt_weight as it was, in padded rows; for backward only
};

// Parameters of all blocks and directions, rearranged once per operation.
class Scan4Arrangement {
public:
    enum Use { for_forward, for_backward };

    template <class Params>
    Scan4Arrangement(mm_stream* stream, const Scan4Shape& shape, const Params& p, Use use)
        : shape_(shape), use_(use),
          block_floats_((shape.state_row + shape.rank + 2 + (use == for_backward ? shape.rank_row : 0)) * lanes),
          floats_(stream->scratch.take(directions * shape.blocks * block_floats_)) {
        stream->pool.run(directions * shape.blocks, [&](int64_t index, int) {
            arrange((int)(index / shape.blocks), index % shape.blocks, p.A_log, p.dt_weight, p.dt_bias, p.skip);
        });
    }

    Scan4Parameters at(int direction, int64_t block) const {
        float* p = floats_ + (direction * shape_.blocks + block) * block_floats_;
        float* dt_weight = p + shape_.state_row * lanes;
        float* dt_bias = dt_weight + shape_.rank * lanes;
        return {p, dt_weight, dt_bias, dt_bias + lanes, dt_bias + 2 * lanes};
    }

private:
    void arrange(int direction, int64_t block, const float* A_log, const float* dt_weight, const float* dt_bias,
                 const float* skip);

    const Scan4Shape& shape_;
    Use use_;
    int64_t block_floats_;
    float* floats_;
};

// The pixels in the order in which a direction visits them, from a step on. A line is what is walked along, a row or a
// column.
class Scan4Walk {
public:
    Scan4Walk(const Scan4Shape& shape, int direction, int64_t step);

    int64_t next() {
        const int64_t pixel = pixel_;
        pixel_ += --left_ > 0 ? step_ : turn_;
        if (left_ == 0) left_ = length_;
        return pixel;
    }

private:
    int64_t pixel_, step_, turn_;  // from a pixel to the next, from the end of a line to the start of the next
    int64_t length_, left_;        // pixels of a line, and of this one
};

// A chunk of a direction through one image: which pixels, and their projections in padded rows.
struct Scan4Chunk {
    int64_t count, pixel[chunk_steps];
    float* dt;      // (chunk_steps, rank_row)
    float *B, *C;   // (chunk_steps, state_row)

    Scan4Chunk(Scratch& scratch, const Scan4Shape& shape)
        : dt(scratch.take(chunk_steps * shape.rank_row)), B(scratch.take(chunk_steps * shape.state_row)),
          C(scratch.take(chunk_steps * shape.state_row)) {
        set_zero(dt, chunk_steps * shape.rank_row);
    }

    // Rows from `count` up to the end are left as they were. `projected` is the image's (pixels, 4, columns).
    void gather(const Scan4Shape& shape, const float* projected, int direction, int64_t chunk);
};

// y (rows, lanes) += a (rows, depth) w (depth, lanes), where a[i, k] lies at a + i * a_row + k * a_column.
void multiply_rows(int64_t rows, int64_t depth, const float* a, int64_t a_row, int64_t a_column, const float* w,
                   int64_t w_row, float* y, int64_t y_row);

// project_delta for `together` steps from `first` on.
template <int together, class Each>
inline void project_steps(const Scan4Shape& shape, const Scan4Chunk& chunk, const Scan4Parameters& parameters,
                          int64_t first, Each&& each) {
    const vfloat bias = load(parameters.dt_bias);
    const float* dt = chunk.dt + first * shape.rank_row;
    vfloat pre[together];
#pragma GCC unroll 8
    for (int i = 0; i < together; ++i) pre[i] = bias;
    for (int64_t r = 0; r < shape.rank; ++r) {
        const vfloat weight = load(parameters.dt_weight + r * lanes);
#pragma GCC unroll 8
        for (int i = 0; i < together; ++i) pre[i] += weight * dt[i * shape.rank_row + r];
    }
#pragma GCC unroll 8
    for (int i = 0; i < together; ++i) each(first + i, pre[i]);
}

// Calls each(t, pre) for every step of the chunk, where pre = dt dt_weight + dt_bias is what goes into softplus.
template <class Each>
inline void project_delta(const Scan4Shape& shape, const Scan4Chunk& chunk, const Scan4Parameters& parameters,
                          Each&& each) {
    int64_t t = 0;
    for (; t + 8 <= chunk.count; t += 8)  // enough sums to hide the latency of a multiply-add
        project_steps<8>(shape, chunk, parameters, t, each);
    for (; t < chunk.count; ++t) project_steps<1>(shape, chunk, parameters, t, each);
}

}  // namespace medmamba::cpu::MM_SIMD
