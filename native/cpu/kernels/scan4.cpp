#include "scan4.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Copies a row and fills it with zeros up to a whole number of registers.
void copy_padded(float* to, const float* from, int64_t count) {
    for (; count >= lanes; count -= lanes, from += lanes, to += lanes) store(to, load(from));
    if (count > 0) store(to, load_partial(from, count));
}

// Direction 0 takes the pixels row by row, 1 column by column; 2 and 3 are the same two from the end.
int64_t visited_pixel(const Scan4Shape& shape, int direction, int64_t step) {
    if (direction >= 2) step = shape.pixels - 1 - step;
    return direction % 2 == 0 ? step : step % shape.height * shape.width + step / shape.height;
}

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
    set_zero(p.A2, block_floats_);
    const int64_t first = direction * shape_.channels + block * lanes, count = shape_.block_lanes(block).count;
    const int64_t states = shape_.states, rank = shape_.rank;
    for (int64_t lane = 0; lane < count; ++lane) {
        const int64_t channel = first + lane;
        for (int64_t n = 0; n < states; ++n) p.A2[n * lanes + lane] = A_log[channel * states + n];
        for (int64_t r = 0; r < rank; ++r) {
            p.dt_weight[r * lanes + lane] = dt_weight[channel * rank + r];
            p.dt_by_lane[lane * shape_.rank_row + r] = dt_weight[channel * rank + r];
        }
        p.dt_bias[lane] = dt_bias[channel];
        p.skip[lane] = skip[channel];
    }
    for (int64_t n = 0; n < states; ++n) store(p.A2 + n * lanes, exp(load(p.A2 + n * lanes)) * -log2e);
}

void Scan4Chunk::gather(const Scan4Shape& shape, const float* projected, int direction, int64_t chunk) {
    const int64_t first = chunk * chunk_steps;
    count = std::min(chunk_steps, shape.pixels - first);
    for (int64_t t = 0; t < count; ++t) {
        pixel[t] = visited_pixel(shape, direction, first + t);
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

void project_delta(const Scan4Shape& shape, const Scan4Chunk& chunk, const Scan4Parameters& parameters, float* pre) {
    const vfloat bias = load(parameters.dt_bias);
    for (int64_t t = 0; t < chunk.count; ++t) store(pre + t * lanes, bias);
    multiply_rows(chunk.count, shape.rank, chunk.dt, shape.rank_row, 1, parameters.dt_weight, lanes, pre, lanes);
}

}  // namespace medmamba::cpu::MM_SIMD
