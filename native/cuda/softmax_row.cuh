// softmax of one row: p[c] = exp(x[c] - m) / s,  m = max x,  s = sum exp(x[c] - m).
//
// Taking the maximum away first keeps every exponential in 0..1, whatever the logits. A NaN in the row, a row
// of -infinity alone, or a +infinity makes s NaN, and so the whole row, as in PyTorch.
//
// A warp has a row: classes are a few to some thousands. The row is read again for each pass over it, from L1.
#pragma once

#include <cmath>

#include "block_reduce.cuh"
#include "each_vector.cuh"

namespace medmamba::cuda {

constexpr int warps_per_block = threads_per_block / 32;

// The warp's first row; further ones are `rows_at_once` apart.
__device__ __forceinline__ int64_t row_of_warp() { return thread_of_grid() / 32; }
__device__ __forceinline__ int64_t rows_at_once() { return threads_of_grid() / 32; }

// Calls each(c) for the channels of the row that are this lane's.
template <class Each>
__device__ __forceinline__ void lane_channels(int64_t channels, Each&& each) {
    for (int64_t c = threadIdx.x % 32; c < channels; c += 32) each(c);
}

struct RowSum {
    float maximum, sum;
    __device__ double log_sum_exp() const { return (double)maximum + log((double)sum); }
};

// In all lanes.
__device__ __forceinline__ RowSum exponential_sum(const float* x, int64_t channels) {
    float maximum = -INFINITY, sum = 0.0f;
    lane_channels(channels, [&](int64_t c) { maximum = fmaxf(maximum, x[c]); });
    maximum = warp_max(maximum);
    lane_channels(channels, [&](int64_t c) { sum += expf(x[c] - maximum); });
    return {maximum, warp_sum(sum)};
}

__device__ __forceinline__ RowSum softmax_row(const float* x, int64_t channels, float* probabilities) {
    const RowSum row = exponential_sum(x, channels);
    const float inverse = 1.0f / row.sum;
    lane_channels(channels, [&](int64_t c) { probabilities[c] = expf(x[c] - row.maximum) * inverse; });
    return row;
}

}  // namespace medmamba::cuda
