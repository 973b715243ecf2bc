// y[o, i] = scale * sum over r of x[o, r, i].
//
// The sums are cut into pieces by shape alone; they are taken in double, and the pieces are added in order, so the
// result is that of a double sum to rounding, whatever the length. Bound by memory: a multiprocessor adds doubles
// several times as fast as floats arrive.
#include <type_traits>

#include "block_reduce.cuh"
#include "column_sums.cuh"
#include "each_vector.cuh"

namespace medmamba::cuda {

namespace {

constexpr int warps_per_block = threads_per_block / 32;

// Sums along the last axis, of rows short enough for one warp each.
template <class X>
__global__ void __launch_bounds__(threads_per_block) sum_rows_kernel(mm_reduce_params p) {
    const int64_t o = thread_of_grid() / 32;
    if (o >= p.outer) return;
    const X* x = stored<X>(p.x) + o * p.reduced;
    double total = 0.0;
    for (int64_t r = threadIdx.x % 32; r < p.reduced; r += 32) total += (double)to_float(x[r]);
    total = warp_sum(total);
    if (threadIdx.x % 32 == 0) p.y[o] = (float)(p.scale * total);
}

// Sums of pieces of longer rows: a block has one piece of one row.
constexpr int64_t piece_length = 16384;

using BlockTotal = BlockSum<double, threads_per_block>;

template <class X>
__global__ void __launch_bounds__(threads_per_block)
sum_pieces_kernel(mm_reduce_params p, int64_t pieces, double* partial) {
    const int64_t o = blockIdx.x / pieces, first = blockIdx.x % pieces * piece_length;
    const int64_t last = first + piece_length < p.reduced ? first + piece_length : p.reduced;
    const X* x = stored<X>(p.x) + o * p.reduced;
    double total = 0.0;
    for (int64_t r = first + threadIdx.x; r < last; r += threads_per_block) total += (double)to_float(x[r]);
    total = block_sum(total, shared_memory<BlockTotal>());
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

__global__ void __launch_bounds__(threads_per_block)
add_pieces_kernel(mm_reduce_params p, int64_t pieces, const double* partial) {
    const double total = finish_partials(partial + blockIdx.x * pieces, pieces, shared_memory<BlockTotal>());
    if (threadIdx.x == 0) p.y[blockIdx.x] = (float)(p.scale * total);
}

template <class X>
mm_status reduce_rows(mm_stream* stream, const mm_reduce_params* params) {
    if (params->reduced <= 1024) {
        return launch(stream, "reduce", sum_rows_kernel<X>, dim3((unsigned)ceil_div(params->outer, warps_per_block)),
                      threads_per_block, 0, *params);
    }
    const int64_t pieces = ceil_div(params->reduced, piece_length);
    Workspace partial(stream, params->outer * pieces * 2);
    if (partial.status() != MM_OK) return partial.status();
    double* sums = reinterpret_cast<double*>(partial.data());
    const mm_status status = launch(stream, "reduce", sum_pieces_kernel<X>,
                                    dim3((unsigned)(params->outer * pieces)), threads_per_block,
                                    sizeof(BlockTotal), *params, pieces, sums);
    if (status != MM_OK) return status;
    return launch(stream, "reduce", add_pieces_kernel, dim3((unsigned)params->outer), threads_per_block,
                  sizeof(BlockTotal), *params, pieces, sums);
}

// Sums along an axis before the last. A block has a tile of columns and a range of rows of one `outer`. A single
// range needs no second launch. A thread's few bfloat16, of 8 bits each, are added as floats.
template <int vector, class X>
__global__ void __launch_bounds__(column_threads)
sum_columns_kernel(mm_reduce_params p, ColumnTiles tiles, double* partial) {
    using Sum = std::conditional_t<sizeof(X) == 2, float, double>;
    const int64_t blocks = tiles.tiles * tiles.ranges, o = blockIdx.x / blocks;
    const ColumnRange range(tiles, blockIdx.x % blocks);
    const int64_t column = range.first_column + (int)threadIdx.x % (tiles.width / vector) * vector;
    const X* x = stored<X>(p.x) + o * tiles.rows * tiles.columns + column;
    const auto add = [&](int64_t row, Sum(&total)[1][vector]) {
        const Floats<vector> v = load(x + row * tiles.columns, Width<vector>{});
        for (int i = 0; i < vector; ++i) total[0][i] += (Sum)v.lane[i];
    };
    double total[1];
    const bool is_column = sum_columns<1, vector, Sum>(shared_memory<ColumnSums<1>>(), tiles.width,
                                                       column < tiles.columns, range.first, range.last, add, total);
    const int64_t finished = range.first_column + threadIdx.x;
    if (!is_column || finished >= tiles.columns) return;
    if (tiles.ranges == 1) {
        p.y[o * tiles.columns + finished] = (float)(p.scale * total[0]);
    } else {
        partial[(range.range * p.outer + o) * tiles.columns + finished] = total[0];
    }
}

struct ScaledSum {
    float scale;
    float* y;
    __device__ void operator()(int64_t column, const double (&totals)[1]) const {
        y[column] = (float)(scale * totals[0]);
    }
};

template <class X>
mm_status reduce_columns(mm_stream* stream, const mm_reduce_params* params) {
    const int64_t columns = params->outer * params->inner;
    return with_width<sizeof(X) == 2 ? 8 : 4, 1>(vector_width(params->inner, stored<X>(params->x)), [&](auto width) {
        const ColumnTiles tiles(params->reduced, params->inner, 512, width.value);
        const Workspace partial(stream, tiles.ranges == 1 ? 0 : tiles.ranges * columns * 2);
        if (partial.status() != MM_OK) return partial.status();
        double* sums = reinterpret_cast<double*>(partial.data());
        const mm_status status =
            launch(stream, "reduce", sum_columns_kernel<decltype(width)::value, X>,
                   dim3((unsigned)(params->outer * tiles.ranges * tiles.tiles)), column_threads,
                   sizeof(ColumnSums<1>), *params, tiles, sums);
        if (status != MM_OK || tiles.ranges == 1) return status;
        return add_partial_sums<1>(stream, "reduce", (const double*)sums, tiles.ranges, columns,
                                   ScaledSum{params->scale, params->y});
    });
}

}  // namespace

mm_status reduce(mm_stream* stream, const mm_reduce_params* params) {
    if (params->outer == 0 || params->inner == 0) return MM_OK;
    return with_storage(stream, "reduce", params->x_dtype, [&](auto x) {
        using X = decltype(x);
        return params->inner == 1 ? reduce_rows<X>(stream, params) : reduce_columns<X>(stream, params);
    });
}

}  // namespace medmamba::cuda
