// Sums over a warp, a block and a grid, in an order that the shape alone decides: the same bits on every run.
#pragma once

#include "device.cuh"

namespace medmamba::cuda {

// The sum over the warp's lanes, in all of them: both sides of each exchange add the same two numbers.
template <class Value>
__device__ __forceinline__ Value warp_sum(Value x) {
    for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(whole_warp, x, distance);
    return x;
}

// The largest of the lanes; a NaN is passed over.
__device__ __forceinline__ float warp_max(float x) {
    for (int distance = 16; distance > 0; distance /= 2) x = fmaxf(x, __shfl_xor_sync(whole_warp, x, distance));
    return x;
}

// What a block needs in shared memory for one sum over its threads.
template <class Value, int threads>
struct BlockSum {
    Value of_warp[threads / 32];
};

// The sum over a block, in all its threads. All of them come here; `shared` may still be read from an earlier sum.
template <class Value, int threads>
__device__ __forceinline__ Value block_sum(Value x, BlockSum<Value, threads>& shared) {
    x = warp_sum(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) shared.of_warp[threadIdx.x / 32] = x;
    __syncthreads();
    Value total = shared.of_warp[0];
    for (int warp = 1; warp < threads / 32; ++warp) total += shared.of_warp[warp];
    return total;
}

// A sum over the grid: every block has left its own, and one block that runs afterwards adds them.
template <int threads>
__device__ __forceinline__ double finish_partials(const double* partial, int64_t count,
                                                  BlockSum<double, threads>& shared) {
    double total = 0.0;
    for (int64_t i = threadIdx.x; i < count; i += threads) total += partial[i];
    return block_sum(total, shared);
}

}  // namespace medmamba::cuda
