// One thread an element of the output, neighbours beside each other: every range is read once, whole lines at a time.
#include "partial_sums.cuh"

#include <type_traits>

namespace medmamba::cuda {

namespace {

constexpr int threads = 256;

__global__ void __launch_bounds__(threads) add_ranges_kernel(const float* sums, int64_t ranges, int64_t count,
                                                             Output output) {
    const int64_t index = (int64_t)blockIdx.x * threads + threadIdx.x;
    if (index >= count) return;
    float sum = sums[index];
#pragma unroll 8
    for (int64_t range = 1; range < ranges; ++range) sum += sums[range * count + index];
    const int64_t column = index % output.columns, row = index / output.columns;
    const int64_t place = row / output.rows * output.batch + row % output.rows * output.row + column;
    output.as_stored([&](auto* c) {
        using C = std::remove_reference_t<decltype(*c)>;
        c[place] = rounded<C>(output.finished(sum, output.accumulate ? to_float(c[place]) : 0.0f, column));
    });
}

}  // namespace

mm_status add_ranges(mm_stream* stream, const char* what, const float* sums, int64_t ranges, int64_t matrices,
                     const Output& output) {
    const int64_t count = matrices * output.rows * output.columns;
    return launch(stream, what, add_ranges_kernel, dim3((unsigned)ceil_div(count, threads)), dim3(threads), 0, sums,
                  ranges, count, output);
}

}  // namespace medmamba::cuda
