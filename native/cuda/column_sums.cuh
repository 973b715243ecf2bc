// Sums of each column over many rows: of a reduction, of batch normalisation's statistics, of the gradients of weights
// and biases.
//
// A block owns a tile of neighbouring columns and a range of rows. Its threads stand in rows as wide as the tile, each
// with a vector of neighbouring columns, and walk down the rows; the threads of a column are added by shuffles, the
// warps in order through shared memory. A thread's and a warp's sums are of the type that the caller takes, those of a
// block are doubles. Ranges leave their sums apart, and a second launch adds those the same way. Tiles and ranges
// depend on the shape and the vectors alone.
#pragma once

#include <algorithm>

#include "storage.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

constexpr int column_threads = 256;

struct ColumnTiles {
    int64_t rows, columns, rows_each, ranges;
    int width;  // columns of a tile
    int64_t tiles;

    // `least_rows`: what is worth a range of its own. `vector`: columns that a thread reads at once. `least_turns`: rows
    // of a thread, for the sum over threads to be small beside its own.
    ColumnTiles(int64_t rows, int64_t columns, int64_t least_rows, int vector, int64_t least_turns = 16)
        : rows(rows), columns(columns), width(vector > 1 ? 8 * vector : 32) {
        // A narrower tile where it leaves fewer threads without a column; 32 bytes are what memory reads at least.
        const int narrowest = std::max(8, 2 * vector);
        while (width > narrowest && ceil_div(columns, width / 2) < 2 * ceil_div(columns, width)) width /= 2;
        tiles = ceil_div(columns, width);
        const int64_t at_once = column_threads * vector / width;  // rows
        rows_each = std::max({least_rows, least_turns * at_once, ceil_div(rows, most_ranges)});
        ranges = std::max<int64_t>(1, ceil_div(rows, rows_each));
    }

private:
    static constexpr int64_t most_ranges = 512;
};

// What the calling thread's block adds up: of tile and range number `index`.
struct ColumnRange {
    int64_t first_column, range, first, last;  // rows [first, last)

    __device__ __forceinline__ ColumnRange(const ColumnTiles& tiles, int64_t index)
        : first_column(index % tiles.tiles * tiles.width), range(index / tiles.tiles), first(range * tiles.rows_each),
          last(first + tiles.rows_each < tiles.rows ? first + tiles.rows_each : tiles.rows) {}
};

template <int sums>
struct ColumnSums {
    static constexpr int warps = column_threads / 32, widest = 64;
    double of_warp[warps][sums][widest];
};

// The sums of a tile's columns over rows [first, last). term(row, sums) adds a row's to sums[s][i], for column i of the
// thread's vector, which is number threadIdx.x % (width / vector) of the tile. Afterwards thread i has the totals of the
// tile's column i; the answer is true where the tile is as wide.
template <int sums, int vector, class Sum, class Term>
__device__ __forceinline__ bool sum_columns(ColumnSums<sums>& shared, int width, bool exists, int64_t first,
                                            int64_t last, Term&& term, double (&total)[sums]) {
    const int across = width / vector, thread = (int)threadIdx.x, warp = thread / 32, lane = thread % 32;
    Sum of_thread[sums][vector] = {};
    if (exists) {
        for (int64_t row = first + thread / across; row < last; row += column_threads / across) term(row, of_thread);
    }
    for (int s = 0; s < sums; ++s) {
        for (int i = 0; i < vector; ++i) {
            Sum& sum = of_thread[s][i];
            for (int distance = across; distance < 32; distance *= 2)
                sum += __shfl_xor_sync(whole_warp, sum, distance);
            if (lane < across) shared.of_warp[warp][s][lane * vector + i] = (double)sum;
        }
    }
    __syncthreads();
    if (thread >= width) return false;
    for (int s = 0; s < sums; ++s) {
        total[s] = shared.of_warp[0][s][thread];
        for (int other = 1; other < ColumnSums<sums>::warps; ++other) total[s] += shared.of_warp[other][s][thread];
    }
    return true;
}

// `partial` is (ranges, sums, columns). Calls finish(column, totals) with the `sums` totals of each column.
template <int sums, class Partial, class Finish>
__global__ void __launch_bounds__(column_threads)
add_partial_sums_kernel(const Partial* partial, int64_t ranges, int64_t columns, int width, Finish finish) {
    const int64_t first_column = (int64_t)blockIdx.x * width, column = first_column + threadIdx.x % width;
    double totals[sums];
    const auto add = [&](int64_t range, double(&total)[sums][1]) {
        for (int s = 0; s < sums; ++s) total[s][0] += (double)partial[(range * sums + s) * columns + column];
    };
    if (sum_columns<sums, 1, double>(shared_memory<ColumnSums<sums>>(), width, column < columns, 0, ranges, add,
                                     totals) &&
        first_column + threadIdx.x < columns) {
        finish(first_column + threadIdx.x, totals);
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
