// Bringing factors into the order in which the microkernel reads them.
#pragma once

#include <utility>

#include "each_vector.h"
#include "microkernel.h"

namespace medmamba::cpu::MM_SIMD {

// Copies (rows, columns) floats between matrices with different distances between rows.
inline void copy_rows(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to, int64_t to_row) {
    for (int64_t r = 0; r < rows; ++r, from += from_row, to += to_row)
        each_vector(columns, [&](int64_t i, auto count) { store(to + i, load(from + i, count), count); });
}

// A panel of B from B as it is, (k, columns).
inline void pack_panel(const float* b, int64_t b_row, int64_t k, int64_t columns, float* panel) {
    const int64_t width = packed_width(columns);
    for (int64_t i = 0; i < k; ++i, b += b_row, panel += width)
        each_vector(columns, [&](int64_t j, auto count) { store(panel + j, load(b + j, count)); });
}

// In every 2 x 2 arrangement of blocks of `size` x `size` in the pair of registers (a, b), swaps the two off
// the diagonal.
template <int size, int... lane>
void swap_off_diagonal(vfloat& a, vfloat& b, std::integer_sequence<int, lane...>) {
    const vfloat first = __builtin_shufflevector(a, b, (lane & size ? lanes + lane - size : lane)...);
    b = __builtin_shufflevector(a, b, (lane & size ? lanes + lane : lane + size)...);
    a = first;
}

// A square of registers becomes its transpose: blocks of half its size change places, then quarters, ...
template <int size = lanes / 2>
inline void transpose_square(vfloat (&rows)[lanes]) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i)
        if (!(i & size)) swap_off_diagonal<size>(rows[i], rows[i + size], std::make_integer_sequence<int, lanes>());
    if constexpr (size > 1) transpose_square<size / 2>(rows);
}

// A panel of B from B transposed, (columns, k).
inline void pack_panel_transposed(const float* b, int64_t b_row, int64_t k, int64_t columns, float* panel) {
    const int64_t width = packed_width(columns);
    for (int64_t j = 0; j < columns; j += lanes) {
        for (int64_t i = 0; i < k; i += lanes) {
            const int64_t steps = std::min<int64_t>(lanes, k - i);
            vfloat square[lanes];
#pragma GCC unroll 16
            for (int row = 0; row < lanes; ++row) {
                const float* from = b + (j + row) * b_row + i;
                square[row] = j + row >= columns ? vfloat{} : steps == lanes ? load(from) : load_partial(from, steps);
            }
            transpose_square(square);
            float* to = panel + i * width + j;
            if (steps == lanes) {
#pragma GCC unroll 16
                for (int step = 0; step < lanes; ++step) store(to + step * width, square[step]);
            } else {
                for (int step = 0; step < steps; ++step) store(to + step * width, square[step]);
            }
        }
    }
}

}  // namespace medmamba::cpu::MM_SIMD
