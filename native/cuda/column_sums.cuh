// Sums of each column over many rows, in double: of a reduction, of batch normalisation's statistics, of the
// gradients of weights and biases.
//
// A block owns a tile of neighbouring columns and a range of rows. Its threads stand in rows as wide as the tile, so
// that each reads 32 to 128 bytes side by side; a thread walks down one column in steps of the block's rows, and the
// threads of a column are added in order through shared memory. Ranges leave their sums apart, and a second launch
// adds those the same way. Tiles and ranges depend on the shape alone.
#pragma once

#include <algorithm>

#include "stream.cuh"

namespace medmamba::cuda {

constexpr int column_threads = 256;

struct ColumnTiles {
    int64_t rows, columns, rows_each, ranges;
    int width;  // columns of a tile
    int64_t tiles;

    // `least_rows`: what is worth a range of its own.
    ColumnTiles(int64_t rows, int64_t columns, int64_t least_rows)
        : rows(rows), columns(columns), rows_each(std::max(least_rows, ceil_div(rows, most_ranges))),
          ranges(std::max<int64_t>(1, ceil_div(rows, rows_each))), width(32) {
        // A narrower tile where it leaves fewer threads without a column; 8 floats are what memory reads at least.
        while (width > 8 && ceil_div(columns, width / 2) < 2 * ceil_div(columns, width)) width /= 2;
        tiles = ceil_div(columns, width);
    }

private:
    static constexpr int64_t most_ranges = 512;
};

template <int sums>
struct ColumnSums {
    double of_thread[sums][column_threads];
};

// The sums of `column` over rows [first, last); the block's threads call it with columns of one tile, in order, and
// the first of each column has the result and the answer true. term(row, sums) adds a row's.
template <int sums, class Term>
__device__ __forceinline__ bool sum_column(ColumnSums<sums>& shared, int width, bool exists, int64_t first,
                                           int64_t last, Term&& term, double (&total)[sums]) {
    const int of_column = (int)threadIdx.x / width, step = column_threads / width;
    for (int s = 0; s < sums; ++s) total[s] = 0.0;
    if (exists) {
        for (int64_t row = first + of_column; row < last; row += step) term(row, total);
    }
    for (int s = 0; s < sums; ++s) shared.of_thread[s][threadIdx.x] = total[s];
    __syncthreads();
    if (of_column != 0 || !exists) return false;
    for (int other = 1; other < step; ++other) {
        for (int s = 0; s < sums; ++s) total[s] += shared.of_thread[s][other * width + threadIdx.x];
    }
    return true;
}

// `partial` is (ranges, sums, columns). Calls finish(column, totals) with the `sums` totals of each column.
template <int sums, class Partial, class Finish>
__global__ void __launch_bounds__(column_threads)
add_partial_sums_kernel(const Partial* partial, int64_t ranges, int64_t columns, int width, Finish finish) {
    const int64_t column = (int64_t)blockIdx.x * width + threadIdx.x % width;
    double totals[sums];
    const auto add = [&](int64_t range, double(&total)[sums]) {
        for (int s = 0; s < sums; ++s) total[s] += (double)partial[(range * sums + s) * columns + column];
    };
    if (sum_column<sums>(shared_memory<ColumnSums<sums>>(), width, column < columns, 0, ranges, add, totals)) {
        finish(column, totals);
    }
}

template <int sums, class Partial, class Finish>
mm_status add_partial_sums(mm_stream* stream, const char* what, const Partial* partial, int64_t ranges,
                           int64_t columns, Finish finish) {
    // The narrowest tile has the most threads to a column: these sums are few and far from each other.
    constexpr int width = 8;
    return launch(stream, what, add_partial_sums_kernel<sums, Partial, Finish>,
                  dim3((unsigned)ceil_div(columns, width)), column_threads, sizeof(ColumnSums<sums>), partial, ranges,
                  columns, width, finish);
}

}  // namespace medmamba::cuda
