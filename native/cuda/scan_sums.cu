// Bound: memory, one reading of every copy and one writing of the sum, four elements a thread at a time where they
// align.
#include "scan_sums.cuh"

namespace medmamba::cuda {

namespace {

constexpr int sum_threads = 256;

template <int width, class T>
__global__ void __launch_bounds__(sum_threads) add_copies_kernel(int64_t copies, int64_t count, const T* x, T* y) {
    const int64_t i = ((int64_t)blockIdx.x * sum_threads + threadIdx.x) * width;
    if (i >= count) return;
    Floats<width> sum = load(x + i, Width<width>{});
#pragma unroll 4
    for (int64_t copy = 1; copy < copies; ++copy) {
        const Floats<width> term = load(x + copy * count + i, Width<width>{});
#pragma unroll
        for (int j = 0; j < width; ++j) sum.lane[j] += term.lane[j];
    }
    store(y + i, sum);
}

template <class T>
mm_status add_copies_of(mm_stream* stream, const char* what, int64_t copies, int64_t count, const T* x, T* y) {
    const auto queue = [&](auto kernel, int width) {
        const dim3 grid((unsigned)ceil_div(count, width * sum_threads));
        return launch(stream, what, kernel, grid, dim3(sum_threads), 0, copies, count, x, y);
    };
    const bool aligned = ((uintptr_t)x | (uintptr_t)y) % (4 * sizeof(T)) == 0 && count % 4 == 0;
    return aligned ? queue(add_copies_kernel<4, T>, 4) : queue(add_copies_kernel<1, T>, 1);
}

}  // namespace

mm_status add_copies(mm_stream* stream, const char* what, int64_t copies, int64_t count, const float* x, float* y) {
    return add_copies_of(stream, what, copies, count, x, y);
}
mm_status add_copies(mm_stream* stream, const char* what, int64_t copies, int64_t count, const BFloat16* x,
                     BFloat16* y) {
    return add_copies_of(stream, what, copies, count, x, y);
}

}  // namespace medmamba::cuda
