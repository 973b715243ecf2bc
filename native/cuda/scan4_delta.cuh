// delta = softplus(dt_weight dt + dt_bias) of the four-direction scan, and its slope in backward.
//
// The bias is one more column of dt_weight, and dt is one there. In bfloat16 tensor cores make the sums: dt has so few
// bits that one product takes it whole, and the weights are split in two, so that nothing is lost.
#pragma once

#include "scan4_problem.cuh"
#include "scan4_products.cuh"

namespace medmamba::cuda {

// Delta's row in shared memory. In bfloat16, where a warp writes pairs of channels of eight steps at once, of such a
// length that they lie in different banks; otherwise, that steps as well as channels can be lanes, which read a
// thread's channels at once.
template <class T, int channels, int thread_channels>
constexpr int scan4_delta_row = channels + (is_exact<T> ? thread_channels : 8);

template <class T, class Tile>
class Scan4Delta {
public:
    // Of dt_weight in shared memory; read by lanes of four rows or columns and eight of the other.
    static constexpr int weight_row = Tile::channels + (is_exact<T> ? 0 : 8);

    // Behind the passes' memory: dt_weight | dt_bias, (dt_row, weight_row).
    static __host__ __device__ __forceinline__ int extra_floats(const Scan4<T>& problem) {
        return problem.dt_row * weight_row;
    }

    __device__ __forceinline__ Scan4Delta(const Scan4Block<T>& block, float* extra)
        : dt_row_(block.problem.dt_row), weight_(extra) {
        const Scan4<T>& problem = block.problem;
        // Rows of the channels as they come, so that reading is coalesced.
        for (int i = threadIdx.x; i < Tile::channels * dt_row_; i += Tile::threads) {
            const int c = i / dt_row_, r = i % dt_row_;
            const int64_t channel = block.parameter() + c;
            float weight = 0.0f;
            if (block.live(c) && r < problem.rank) weight = problem.dt_weight[channel * problem.rank + r];
            if (block.live(c) && r == problem.rank) weight = problem.dt_bias[channel];
            weight_[r * weight_row + c] = weight;
        }
    }

    // (dt_row, weight_row), zero behind the bias and where there is no channel.
    __device__ __forceinline__ const float* weight() const { return weight_; }

    // Delta of every step and channel, and its slope if asked for. Steps past `count` have delta zero.
    template <bool with_slope>
    __device__ __forceinline__ void enter(int count, const float* all_dt, float* delta, float* slope) const {
        if constexpr (is_exact<T>)
            enter_by_channels<with_slope>(count, all_dt, delta, slope);
        else
            enter_by_tiles<with_slope>(count, all_dt, delta, slope);
    }

private:
    // A thread has one channel and every step of one, two or four, four of its steps at a time.
    template <bool with_slope>
    __device__ __forceinline__ void enter_by_channels(int count, const float* all_dt, float* delta,
                                                      float* slope) const {
        const int thread = thread_anew(), channel = thread % Tile::channels, own_step = thread / Tile::channels;
#pragma unroll 1
        for (int first = own_step; first < chunk_steps; first += together * apart) {
            const float* dt = all_dt + first * dt_row_;
            const float* weight = weight_ + channel;
            float pre[together] = {};
#pragma unroll 1
            for (int r = 0; r < dt_row_; r += 4, weight += 4 * weight_row) {
                const float w[4] = {weight[0], weight[weight_row], weight[2 * weight_row], weight[3 * weight_row]};
#pragma unroll
                for (int k = 0; k < together; ++k) {
                    const float4 x = *reinterpret_cast<const float4*>(dt + apart * k * dt_row_ + r);
                    pre[k] = fmaf(w[3], x.w, fmaf(w[2], x.z, fmaf(w[1], x.y, fmaf(w[0], x.x, pre[k]))));
                }
            }
#pragma unroll
            for (int k = 0; k < together; ++k) {
                const int place = (first + apart * k) * Tile::delta_row + channel;
                const Softplus<true> softplus(pre[k]);
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

    // A warp has all steps of some channels: two tiles of 16 steps for every 8 channels.
    template <bool with_slope>
    __device__ __forceinline__ void enter_by_tiles(int count, const float* dt, float* delta, float* slope) const {
        constexpr int step_tiles = chunk_steps / 16, tiles = Tile::channels / 8 / Tile::warps;
        static_assert(tiles * 8 * Tile::warps == Tile::channels, "whole tiles a warp");
        const int thread = thread_anew(), first = thread / warp_lanes * tiles * 8;
        const TileLane lane(thread);
        float pre[step_tiles][tiles][4] = {};
#pragma unroll 1
        for (int r = 0; r < dt_row_; r += dt_step<T>) {
            uint32_t a[step_tiles][4];
#pragma unroll
            for (int m = 0; m < step_tiles; ++m)
                lane.load_a(a[m], [&](int row, int k) { return dt[(16 * m + row) * dt_row_ + r + k]; });
#pragma unroll
            for (int tile = 0; tile < tiles; ++tile) {
                uint32_t leading[2], rest[2];
                lane.load_b(leading, [&](int k, int column) {
                    return weight_[(r + k) * weight_row + first + 8 * tile + column];
                });
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const TwoTf32 two(__uint_as_float(leading[i]));
                    leading[i] = two.leading, rest[i] = two.rest;
                }
#pragma unroll
                for (int m = 0; m < step_tiles; ++m) {
                    mma_tf32_16x8x8(pre[m][tile], a[m], leading);
                    mma_tf32_16x8x8(pre[m][tile], a[m], rest);
                }
            }
        }
        const int place = lane.group * Tile::delta_row + first + 2 * lane.index;
#pragma unroll
        for (int row = 0; row < 2 * step_tiles; ++row)  // of every eight
#pragma unroll
            for (int tile = 0; tile < tiles; ++tile) {
                const int at = place + 8 * row * Tile::delta_row + 8 * tile;
                Floats<2> value, of_slope;
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const float x = pre[row / 2][tile][row % 2 * 2 + i];
                    const Softplus<false> softplus(x);
                    value.lane[i] = softplus.value;
                    if constexpr (with_slope) of_slope.lane[i] = softplus.slope(x);
                }
                store(delta + at, value);
                if constexpr (with_slope) store(slope + at, of_slope);
            }
        if (count == chunk_steps) return;
        // The same threads' places: no barrier in between.
#pragma unroll 1
        for (int t = lane.group; t < chunk_steps; t += 8)
#pragma unroll
            for (int tile = 0; tile < tiles; ++tile)
                if (t >= count)
                    store(delta + t * Tile::delta_row + first + 8 * tile + 2 * lane.index, Floats<2>{});
    }

    static constexpr int apart = Tile::threads / Tile::channels;  // steps of a thread
    static constexpr int together = 4;

    const int dt_row_;
    float* weight_;
};

}  // namespace medmamba::cuda
