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
    float* dt_by_lane;   // (lanes, rank_row)       the same, transposed; for backward
    float *dt_bias, *skip;  // (lanes)
};

// Parameters of all blocks and directions, rearranged once an operation.
class Scan4Arrangement {
public:
    template <class Params>
    Scan4Arrangement(mm_stream* stream, const Scan4Shape& shape, const Params& p)
        : shape_(shape), block_floats_((shape.state_row + shape.rank + shape.rank_row + 2) * lanes),
          floats_(stream->scratch.take(directions * shape.blocks * block_floats_)) {
        stream->pool.run(directions * shape.blocks, [&](int64_t index, int) {
            arrange((int)(index / shape.blocks), index % shape.blocks, p.A_log, p.dt_weight, p.dt_bias, p.skip);
        });
    }

    Scan4Parameters at(int direction, int64_t block) const {
        float* p = floats_ + (direction * shape_.blocks + block) * block_floats_;
        float* dt_weight = p + shape_.state_row * lanes;
        float* dt_by_lane = dt_weight + shape_.rank * lanes;
        float* dt_bias = dt_by_lane + shape_.rank_row * lanes;
        return {p, dt_weight, dt_by_lane, dt_bias, dt_bias + lanes};
    }

private:
    void arrange(int direction, int64_t block, const float* A_log, const float* dt_weight, const float* dt_bias,
                 const float* skip);

    const Scan4Shape& shape_;
    int64_t block_floats_;
    float* floats_;
};

// A chunk of a direction through one image: which pixels, and their projections in padded rows.
struct Scan4Chunk {
    int64_t count, pixel[chunk_steps];
    float* dt;      // (chunk_steps, rank_row)
    float *B, *C;   // (chunk_steps, state_row)

    Scan4Chunk(Scratch& scratch, const Scan4Shape& shape)
        : dt(scratch.take(chunk_steps * shape.rank_row)), B(scratch.take(chunk_steps * shape.state_row)),
          C(scratch.take(chunk_steps * shape.state_row)) {}

    // `projected` is the image's (pixels, 4, columns).
    void gather(const Scan4Shape& shape, const float* projected, int direction, int64_t chunk);
};

// y (rows, lanes) += a (rows, depth) w (depth, lanes), where a[i, k] lies at a + i * a_row + k * a_column.
void multiply_rows(int64_t rows, int64_t depth, const float* a, int64_t a_row, int64_t a_column, const float* w,
                   int64_t w_row, float* y, int64_t y_row);

// What goes into softplus: pre (count, lanes) = dt dt_weight + dt_bias.
void project_delta(const Scan4Shape& shape, const Scan4Chunk& chunk, const Scan4Parameters& parameters, float* pre);

}  // namespace medmamba::cpu::MM_SIMD
