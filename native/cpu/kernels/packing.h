// Bringing factors into the order in which the microkernel reads them.
#pragma once

#include <utility>

#include "microkernel.h"

namespace medmamba::cpu::MM_SIMD {

// Rows of words from rows of elements: k runs along a row, `to` (rows, words of k) up to whole registers.
template <class Factor>
void pack_along(const float* from, int64_t from_row, int64_t rows, int64_t k, float* to, int64_t to_row) {
    for (int64_t r = 0; r < rows; ++r, from += from_row, to += to_row)
        for (int64_t i = 0; i < words<Factor>(k); i += lanes) store(to + i, load_words<Factor>(from, k, i));
}

// One word of each column, where k runs down rows of elements: row(i) is where row i lies, or NULL for one of zeros.
template <class Factor>
class WordRow {
public:
    template <class Row>
    WordRow(int64_t word, Row&& row) {
        for (int64_t i = 0; i < Factor::depth; ++i) rows_[i] = row(word * Factor::depth + i);
    }
    template <class Part>
    vfloat at(int64_t column, Part part) const {
        const auto element = [&](int64_t i) { return rows_[i] ? load(rows_[i] + column, part) : vfloat{}; };
        if constexpr (Factor::depth == 1)
            return element(0);
        else
            return Factor::pair_across(element(0), element(1));
    }

private:
    const float* rows_[Factor::depth];
};

// Words [0, count) of them as rows: `to` is (words of k, columns) up to whole registers.
template <class Factor, class Row>
void pack_across(Row&& row, int64_t count, int64_t columns, float* to, int64_t to_row) {
    for (int64_t i = 0; i < count; ++i, to += to_row) {
        const WordRow<Factor> word(i, row);
        each_vector(columns, [&](int64_t j, auto part) { store(to + j, word.at(j, part)); });
    }
}

// The same of a matrix of elements, (k, columns).
template <class Factor>
void pack_down(const float* from, int64_t from_row, int64_t k, int64_t columns, float* to, int64_t to_row) {
    const auto row = [&](int64_t i) { return i < k ? from + i * from_row : nullptr; };
    pack_across<Factor>(row, words<Factor>(k), columns, to, to_row);
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

// The transpose of pack_down: k runs down the rows of (k, columns) and along those of `to`, (columns, words of k) up to
// whole registers.
template <class Factor>
void pack_columns(const float* from, int64_t from_row, int64_t k, int64_t columns, float* to, int64_t to_row) {
    const auto row = [&](int64_t i) { return i < k ? from + i * from_row : nullptr; };
    each_vector(columns, [&](int64_t j, auto part) {
        for (int64_t i = 0; i < words<Factor>(k); i += lanes) {
            vfloat square[lanes];
#pragma GCC unroll 16
            for (int step = 0; step < lanes; ++step) square[step] = WordRow<Factor>(i + step, row).at(j, part);
            transpose_square(square);
            const int64_t count = std::min<int64_t>(lanes, columns - j);
#pragma GCC unroll 16
            for (int column = 0; column < lanes; ++column)
                if (column < count) store(to + (j + column) * to_row + i, square[column]);
        }
    });
}

// A panel of B from B transposed, (columns, k).
template <class Factor>
void pack_panel_transposed(const float* b, int64_t b_row, int64_t k, int64_t columns, float* panel) {
    const int64_t width = packed_width(columns);
    for (int64_t j = 0; j < columns; j += lanes) {
        for (int64_t i = 0; i < words<Factor>(k); i += lanes) {
            vfloat square[lanes];
#pragma GCC unroll 16
            for (int row = 0; row < lanes; ++row)
                square[row] = j + row < columns ? load_words<Factor>(b + (j + row) * b_row, k, i) : vfloat{};
            transpose_square(square);
            float* to = panel + i * width + j;
            const int64_t steps = std::min<int64_t>(lanes, words<Factor>(k) - i);
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
