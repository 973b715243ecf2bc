// Moments of what lies in memory: for products whose k was cut into ranges, and rows that no vectors are read of. Those
// are small, or rare. A block has a part's rows of 32 columns, a warp every fourth of them.
#include "column_moments.cuh"

namespace medmamba::cuda {

namespace {

constexpr int warps = 4;

struct PartSums {
    float of_warp[2][warps][32];
};

template <class C, class X>
__global__ void __launch_bounds__(warps * 32) moments_kernel(const C* c, int64_t row, int64_t rows, int64_t columns,
                                                             Moments moments) {
    auto& shared = shared_memory<PartSums>();
    constexpr Width<1> one{};
    const int64_t tiles = (columns + 31) / 32, part = blockIdx.x / tiles, row0 = part * part_rows;
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, kinds = moments.kinds();
    const int64_t column = blockIdx.x % tiles * 32 + lane, left = rows - row0;
    const bool exists = column < columns;
    float* const sums = moments.sums + part * kinds * columns + column;
    const auto add_rows = [&](auto of_rows) {
        for (int i = warp; i < part_rows && i < left; i += warps)
            of_rows.add(row0 + i, load(c + (row0 + i) * row + column, one));
        for (int s = 0; s < 2; ++s) shared.of_warp[s][warp][lane] = of_rows.sums[s].lane[0];
    };
    if (exists && moments.x) {
        add_rows(GradientMoments<1, X>(moments, column));
    } else if (exists) {
        const Floats<1> pivot = load(c + row0 * row + column, one);
        if (warp == 0) store(sums, pivot);
        add_rows(ValueMoments<1>{pivot});
    }
    __syncthreads();
    if (warp >= 2 || !exists) return;
    float total = 0.0f;
    for (int other = 0; other < warps; ++other) total += shared.of_warp[warp][other][lane];
    sums[(kinds - 2 + warp) * columns] = total;
}

}  // namespace

int64_t moment_count(int64_t rows, int64_t channels) { return ceil_div(rows, part_rows) * 3 * channels; }

mm_status leave_moments(mm_stream* stream, const char* what, const Epilogue& epilogue) {
    const Moments& moments = epilogue.moments;
    const dim3 blocks((unsigned)(ceil_div(epilogue.rows, part_rows) * ceil_div(epilogue.columns, 32)));
    return with_storages(stream, what, epilogue.dtype, moments.x_dtype, [&](auto c, auto x) {
        using C = decltype(c);
        return launch(stream, what, moments_kernel<C, decltype(x)>, blocks, dim3(warps * 32), sizeof(PartSums),
                      (const C*)stored<C>(epilogue.c), epilogue.row, epilogue.rows, epilogue.columns, moments);
    });
}

}  // namespace medmamba::cuda
