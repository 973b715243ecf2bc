// One thread an element of the output, neighbours beside each other: every range is read once, whole lines at a time.
#include "partial_sums.cuh"

namespace medmamba::cuda {

namespace {

constexpr int threads = 256;

__global__ void __launch_bounds__(threads) add_ranges_kernel(const float* sums, int64_t ranges, int64_t count,
                                                             Epilogue epilogue) {
    const int64_t index = (int64_t)blockIdx.x * threads + threadIdx.x;
    if (index >= count) return;
    float sum = sums[index];
#pragma unroll 8
    for (int64_t range = 1; range < ranges; ++range) sum += sums[range * count + index];
    const int64_t column = index % epilogue.columns, row = index / epilogue.columns;
    const int64_t place = row / epilogue.rows * epilogue.batch + row % epilogue.rows * epilogue.row + column;
    epilogue.as_stored([&](auto* c) {
        constexpr Width<1> one{};
        const Floats<1> before = epilogue.accumulate ? load(c + place, one) : broadcast(0.0f, one);
        store(c + place, epilogue.finished(Floats<1>{{sum}}, before, epilogue.columns_at(column, one)));
    });
}

}  // namespace

mm_status add_ranges(mm_stream* stream, const char* what, const float* sums, int64_t ranges, int64_t matrices,
                     const Epilogue& epilogue) {
    const int64_t count = matrices * epilogue.rows * epilogue.columns;
    return launch(stream, what, add_ranges_kernel, dim3((unsigned)ceil_div(count, threads)), dim3(threads), 0, sums,
                  ranges, count, epilogue);
}

}  // namespace medmamba::cuda
