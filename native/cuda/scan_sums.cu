// Bound: memory, one reading of every copy and one writing of the sum, 16 bytes a thread at a time where they align.
#include "scan_sums.cuh"

namespace medmamba::cuda {

namespace {

constexpr int sum_threads = 256;

__device__ __forceinline__ void add(float& sum, float x) { sum += x; }
__device__ __forceinline__ void add(float4& sum, float4 x) {
    sum.x += x.x, sum.y += x.y, sum.z += x.z, sum.w += x.w;
}

template <class Element>
__global__ void __launch_bounds__(sum_threads) add_copies_kernel(int64_t copies, int64_t count, const Element* x,
                                                                 Element* y) {
    const int64_t i = (int64_t)blockIdx.x * sum_threads + threadIdx.x;
    if (i >= count) return;
    Element sum = x[i];
#pragma unroll 4
    for (int64_t copy = 1; copy < copies; ++copy) add(sum, x[copy * count + i]);
    y[i] = sum;
}

template <class Element>
mm_status launch_copies(mm_stream* stream, const char* what, int64_t copies, int64_t count, const float* x,
                        float* y) {
    const dim3 grid((unsigned)ceil_div(count, sum_threads));
    return launch(stream, what, add_copies_kernel<Element>, grid, dim3(sum_threads), 0, copies, count,
                  reinterpret_cast<const Element*>(x), reinterpret_cast<Element*>(y));
}

}  // namespace

mm_status add_copies(mm_stream* stream, const char* what, int64_t copies, int64_t count, const float* x, float* y) {
    const bool aligned = ((uintptr_t)x | (uintptr_t)y) % sizeof(float4) == 0 && count % 4 == 0;
    return aligned ? launch_copies<float4>(stream, what, copies, count / 4, x, y)
                   : launch_copies<float>(stream, what, copies, count, x, y);
}

}  // namespace medmamba::cuda
