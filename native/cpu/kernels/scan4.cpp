#include "scan4.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

template <int rows>
inline void multiply_some_rows(int64_t depth, const float* a, int64_t a_row, int64_t a_column, const float* w,
                               int64_t w_row, float* y, int64_t y_row) {
    vfloat sum[rows];
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) sum[i] = load(y + i * y_row);
    for (int64_t k = 0; k < depth; ++k) {
        const vfloat weight = load(w + k * w_row);
#pragma GCC unroll 8
        for (int i = 0; i < rows; ++i) sum[i] += weight * a[i * a_row + k * a_column];
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; ++i) store(y + i * y_row, sum[i]);
}

}  // namespace

void Scan4Arrangement::arrange(int direction, int64_t block, const float* A_log, const float* dt_weight,
                               const float* dt_bias, const float* skip) {
    const Scan4Parameters p = at(direction, block);
    const int64_t first = direction * shape_.channels + block * lanes, states = shape_.states, rank = shape_.rank;
    const Lanes part = shape_.block_lanes(block);
    set_zero(p.A2, block_floats_);
    load_columns(A_log + first * states, states, part.count, states, p.A2, lanes);
    load_columns(dt_weight + first * rank, rank, part.count, rank, p.dt_weight, lanes);
    store(p.dt_bias, part.load(dt_bias + first));
    store(p.skip, part.load(skip + first));
    if (use_ == for_backward)
        for (int64_t lane = 0; lane < part.count; ++lane)
            copy_padded(p.dt_by_lane + lane * shape_.rank_row, dt_weight + (first + lane) * rank, rank);
    for (int64_t n = 0; n < states; ++n) store(p.A2 + n * lanes, exp(load(p.A2 + n * lanes)) * -log2e);
}

// Direction 0 takes the pixels row by row, 1 column by column; 2 and 3 are the same two from the end.
Scan4Walk::Scan4Walk(const Scan4Shape& shape, int direction, int64_t step) {
    const bool by_column = direction % 2 == 1, from_end = direction >= 2;
    length_ = by_column ? shape.height : shape.width;
    const int64_t along_stride = by_column ? shape.width : 1, line_stride = by_column ? 1 : shape.width;
    const int64_t start = from_end ? shape.pixels - 1 - step : step;
    const int64_t line = start / length_, along = start % length_;
    pixel_ = line * line_stride + along * along_stride;
    left_ = from_end ? along + 1 : length_ - along;
    step_ = from_end ? -along_stride : along_stride;
    turn_ = (from_end ? -line_stride : line_stride) - (length_ - 1) * step_;
}

void Scan4Chunk::gather(const Scan4Shape& shape, const float* projected, int direction, int64_t chunk) {
    const int64_t first = chunk * chunk_steps;
    count = std::min(chunk_steps, shape.pixels - first);
    Scan4Walk walk(shape, direction, first);
    for (int64_t t = 0; t < count; ++t) {
        pixel[t] = walk.next();
        const float* row = projected + (pixel[t] * directions + direction) * shape.columns;
        copy_padded(dt + t * shape.rank_row, row, shape.rank);
        copy_padded(B + t * shape.state_row, row + shape.rank, shape.states);
        copy_padded(C + t * shape.state_row, row + shape.rank + shape.states, shape.states);
    }
}

void multiply_rows(int64_t rows, int64_t depth, const float* a, int64_t a_row, int64_t a_column, const float* w,
                   int64_t w_row, float* y, int64_t y_row) {
    int64_t i = 0;
    for (; i + 8 <= rows; i += 8)
        multiply_some_rows<8>(depth, a + i * a_row, a_row, a_column, w, w_row, y + i * y_row, y_row);
    for (; i < rows; ++i)
        multiply_some_rows<1>(depth, a + i * a_row, a_row, a_column, w, w_row, y + i * y_row, y_row);
}

}  // namespace medmamba::cpu::MM_SIMD
