// Moments of what lies in memory, for products whose epilogue leaves none: those whose k was cut into ranges, and those
// that write rows of which no vectors are read. 128 threads have 64 rows of 64 columns, as in an epilogue.
//
// Bound: memory, c read once, and x for those of a gradient.
#include "column_moments.cuh"

namespace medmamba::cuda {

namespace {

constexpr int tile_columns = 64;

struct ThreadSums {
    alignas(16) float of_threads[2 * 8 * part_threads];
};

template <int width, class C>
__global__ void __launch_bounds__(part_threads) moments_kernel(const C* c, Epilogue epilogue) {
    using Own = PartThread<tile_columns, width>;
    auto& shared = shared_memory<ThreadSums>();
    constexpr Width<width> vector{};
    const Moments& moments = epilogue.moments;
    const int64_t columns = epilogue.columns, tiles = (columns + tile_columns - 1) / tile_columns;
    const int64_t part = blockIdx.x / tiles, column0 = blockIdx.x % tiles * tile_columns, row0 = part * part_rows;
    const Own own((int)threadIdx.x);
    const int64_t column = column0 + own.column, rows = epilogue.rows - row0;
    const int kinds = moments.kinds();
    float* const of_part = moments.sums + part * kinds * columns;
    const C* from = c + row0 * epilogue.row + column;

    Floats<width> sums[2] = {};
    if (own.exists() && column < columns) {
        const auto first = [&] { return load(from, vector); };
        sum_moments(moments, column, of_part, own.first_row == 0, vector, first, [&](auto of_rows) {
#pragma unroll 4
            for (int i = own.first_row; i < part_rows; i += Own::threads_down) {
                if (i >= rows) break;
                of_rows.add(row0 + i, load(from + i * epilogue.row, vector));
            }
            sums[0] = of_rows.sums[0], sums[1] = of_rows.sums[1];
        });
    }
    const auto meet = [] { __syncthreads(); };
    add_threads<tile_columns>(shared.of_threads, own, sums, meet, [&](int s, int of_column, float total) {
        if (column0 + of_column < columns) of_part[(kinds - 2 + s) * columns + column0 + of_column] = total;
    });
}

}  // namespace

int64_t moment_count(int64_t rows, int64_t channels) { return ceil_div(rows, part_rows) * 3 * channels; }

mm_status leave_moments(mm_stream* stream, const char* what, const Epilogue& epilogue) {
    const dim3 blocks((unsigned)(ceil_div(epilogue.rows, part_rows) * ceil_div(epilogue.columns, tile_columns)));
    return with_storage(stream, what, epilogue.dtype, [&](auto element) {
        using C = decltype(element);
        constexpr int widest = 16 / (int)sizeof(C);
        return with_width<widest, 1>(epilogue.adds_moments() ? widest : 1, [&](auto width) {
            return launch(stream, what, moments_kernel<decltype(width)::value, C>, blocks, dim3(part_threads),
                          sizeof(ThreadSums), (const C*)stored<C>(epilogue.c), epilogue);
        });
    });
}

}  // namespace medmamba::cuda
