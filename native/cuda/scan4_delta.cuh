// delta = softplus(dt_weight dt + dt_bias) of the four-direction scan, and its slope in backward.
#pragma once

#include "scan4_problem.cuh"

namespace medmamba::cuda {

template <class T, class Tile>
class Scan4Delta {
public:
    struct Memory {
        float bias[Tile::channels];
    };

    // Behind the passes' memory: dt_weight, (dt_row, channels).
    static __host__ __device__ __forceinline__ int extra_floats(const Scan4<T>& problem) {
        return problem.dt_row * Tile::channels;
    }

    __device__ __forceinline__ Scan4Delta(const Scan4Block<T>& block, Memory& memory, float* extra)
        : dt_row_(block.problem.dt_row), weight_(extra), bias_(memory.bias) {
        const Scan4<T>& problem = block.problem;
        // Rows of the channels as they come, so that reading is coalesced.
        for (int i = threadIdx.x; i < Tile::channels * dt_row_; i += Tile::threads) {
            const int c = i / dt_row_, r = i % dt_row_;
            const bool there = block.live(c) && r < problem.rank;
            weight_[r * Tile::channels + c] =
                there ? problem.dt_weight[(block.parameter() + c) * problem.rank + r] : 0.0f;
        }
        for (int c = threadIdx.x; c < Tile::channels; c += Tile::threads)
            bias_[c] = block.live(c) ? problem.dt_bias[block.parameter() + c] : 0.0f;
    }

    // (dt_row, channels), zero behind the rank and where there is no channel.
    __device__ __forceinline__ const float* weight() const { return weight_; }

    // A thread has one channel and every step of one, two or four, four of its steps at a time. Steps past `count`
    // have delta zero.
    template <bool with_slope>
    __device__ __forceinline__ void enter(int count, const float* all_dt, float* delta, float* slope) const {
        const int thread = thread_anew(), channel = thread % Tile::channels, own_step = thread / Tile::channels;
        const float bias = bias_[channel];
#pragma unroll 1
        for (int first = own_step; first < chunk_steps; first += together * apart) {
            const float* dt = all_dt + first * dt_row_;
            const float* weight = weight_ + channel;
            float pre[together];
#pragma unroll
            for (int k = 0; k < together; ++k) pre[k] = bias;
#pragma unroll 1
            for (int r = 0; r < dt_row_; r += 4, weight += 4 * Tile::channels) {
                const float w[4] = {weight[0], weight[Tile::channels], weight[2 * Tile::channels],
                                    weight[3 * Tile::channels]};
#pragma unroll
                for (int k = 0; k < together; ++k) {
                    const float4 x = *reinterpret_cast<const float4*>(dt + apart * k * dt_row_ + r);
                    pre[k] = fmaf(w[3], x.w, fmaf(w[2], x.z, fmaf(w[1], x.y, fmaf(w[0], x.x, pre[k]))));
                }
            }
#pragma unroll
            for (int k = 0; k < together; ++k) {
                const int place = (first + apart * k) * Tile::delta_row + channel;
                const Softplus softplus(pre[k]);
                delta[place] = softplus.value;
                if constexpr (with_slope) slope[place] = softplus.slope(pre[k]);
            }
        }
        if (count == chunk_steps) return;
        // The same threads' places: no barrier in between.
#pragma unroll 1
        for (int t = own_step; t < chunk_steps; t += apart)
            if (t >= count) delta[t * Tile::delta_row + channel] = 0.0f;
    }

private:
    static constexpr int apart = Tile::threads / Tile::channels;  // steps of a thread
    static constexpr int together = 4;

    const int dt_row_;
    float *weight_, *bias_;
};

}  // namespace medmamba::cuda
