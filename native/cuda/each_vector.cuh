// A run of elements as vectors of four and single ones, with one loop body for both.
//
// Threads of the whole grid take the vectors in turn: 16 bytes of float32 a thread, neighbours side by side. What is
// left over, or all, where four may not be read at once (vector_width), is taken element by element.
#pragma once

#include <algorithm>

#include "storage.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

__device__ __forceinline__ int64_t thread_of_grid() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int64_t threads_of_grid() { return (int64_t)gridDim.x * blockDim.x; }

// Calls body(i, Width<4>) for vectors that start at element i of `count`, then body(i, Width<1>) for the rest.
template <class Body>
__device__ __forceinline__ void each_vector(int64_t count, bool vectorized, Body&& body) {
    const int64_t vectors = vectorized ? count / 4 : 0, threads = threads_of_grid();
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
inline dim3 blocks_for_elements(const mm_stream* stream, int64_t count, bool vectorized) {
    return blocks_for_pass(stream, vectorized ? ceil_div(count, 4) : count);
}

}  // namespace medmamba::cuda
