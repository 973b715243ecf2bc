// A run of floats as vectors of four and single floats, with one loop body for both.
//
// Threads of the whole grid take the vectors in turn: 16 bytes a thread, neighbours side by side. What is left over,
// or all, where an address is not a multiple of 16, is taken float by float.
#pragma once

#include <algorithm>

#include "stream.cuh"

namespace medmamba::cuda {

template <int width>
struct Floats {
    float lane[width];
};

template <int count>
struct Width {
    static constexpr int value = count;
};

template <int width>
__device__ __forceinline__ Floats<width> load(const float* p, Width<width>) {
    if constexpr (width == 4) {
        const float4 v = *reinterpret_cast<const float4*>(p);
        return {{v.x, v.y, v.z, v.w}};
    } else {
        return {{*p}};
    }
}

template <int width>
__device__ __forceinline__ void store(float* p, const Floats<width>& v) {
    if constexpr (width == 4) {
        *reinterpret_cast<float4*>(p) = make_float4(v.lane[0], v.lane[1], v.lane[2], v.lane[3]);
    } else {
        *p = v.lane[0];
    }
}

template <int width>
__device__ __forceinline__ Floats<width> broadcast(float value, Width<width>) {
    Floats<width> v;
    for (int i = 0; i < width; ++i) v.lane[i] = value;
    return v;
}

// Whether every address is a multiple of 16, as vectors of four floats have to be. NULL is.
template <class... Pointers>
__host__ __device__ __forceinline__ bool aligned_for_vectors(Pointers... pointers) {
    return ((reinterpret_cast<uintptr_t>(pointers) | ... | 0) & 15) == 0;
}

__device__ __forceinline__ int64_t thread_of_grid() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int64_t threads_of_grid() { return (int64_t)gridDim.x * blockDim.x; }

// Calls body(i, Width<4>) for vectors that start at element i of `count`, then body(i, Width<1>) for the rest.
template <class Body>
__device__ __forceinline__ void each_vector(int64_t count, bool aligned, Body&& body) {
    const int64_t vectors = aligned ? count / 4 : 0, threads = threads_of_grid();
    for (int64_t i = thread_of_grid(); i < vectors; i += threads) body(4 * i, Width<4>{});
    for (int64_t i = 4 * vectors + thread_of_grid(); i < count; i += threads) body(i, Width<1>{});
}

// Blocks for a pass over memory by `threads` of them. Eight blocks of 256 threads fill a multiprocessor, each thread
// with 16 bytes under way, which is what it takes to keep memory busy; where there is more work, threads come round
// again. The result of such a pass must not depend on the number of blocks.
constexpr int threads_per_block = 256;

inline dim3 blocks_for_pass(const mm_stream* stream, int64_t threads) {
    const int64_t fill = (int64_t)std::max(1, stream->multiprocessors) * 8;
    return dim3((unsigned)std::min(fill, ceil_div(threads, threads_per_block)));
}
inline dim3 blocks_for_elements(const mm_stream* stream, int64_t count, bool aligned) {
    return blocks_for_pass(stream, aligned ? ceil_div(count, 4) : count);
}

}  // namespace medmamba::cuda
