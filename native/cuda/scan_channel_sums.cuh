// Sums over channels of the backward walk, by tensor cores.
//
// dB and dC of a step are sums over channels, which are lanes. With lane = 4 group + index, d += a b adds what the
// four lanes of a group hold: a is what they hold, b has ones. a[0] and a[1] are columns 0 to 3 of a, one for each
// lane of the group, in rows `group` and `group + 8`; a[2] and a[3] are columns 4 to 7. Step i has columns 2 i and
// 2 i + 1 of the result to itself: b's column 2 i has ones in rows 0 to 3, its column 2 i + 1 in rows 4 to 7. So one
// instruction adds four values of every group, and four steps fill the accumulator, of which lane `index` ends with
// those of step `index`.
//
// Zero times what is no finite number is none either: a term that is not finite spoils these sums of all steps of its
// run. Most of them it would spoil anyway, as the recurrence takes it on to every step behind or before; and the
// gradients of its channel's parameters have it, so training notices.
#pragma once

#include "scan_steps.cuh"

namespace medmamba::cuda {

constexpr int run_steps = 4;

// b of every step and group; in shared memory, because registers are what the walk has fewest of.
struct ChannelSumsMemory {
    uint32_t b[run_steps][8][2];

    // By all threads; a barrier comes before it is read.
    __device__ __forceinline__ void fill() {
        if (threadIdx.x >= 8) return;
#pragma unroll
        for (int i = 0; i < 2 * run_steps; ++i)
            b[i / 2][threadIdx.x][i % 2] = (int)threadIdx.x == i ? __float_as_uint(1.0f) : 0;
    }
};

// Sums over the 8 channel lanes of a warp, lanes 8 s to 8 s + 7 for states s of all four: exact to float32, or with
// terms cut to the 11 leading bits that tensor cores take, for what is rounded to 8 in the end.
template <bool exact>
class ChannelSums {
public:
    __device__ __forceinline__ explicit ChannelSums(const ChannelSumsMemory& memory)
        : b_(memory.b[0][threadIdx.x % warp_lanes / 4]) {}
    // No step added.
    __device__ __forceinline__ void clear() { set_zero(dB_), set_zero(dC_); }

    // The thread's terms of step i of the run.
    __device__ __forceinline__ void add(int i, const float (&dB)[4], const float (&dC)[4]) {
        const uint2 pair = *reinterpret_cast<const uint2*>(b_ + 16 * i);
        const uint32_t b[2] = {pair.x, pair.y};
        add_states(i, b, dB, dB_);
        add_states(i, b, dC, dC_);
    }

    // Writes to[step][dB of 16 states | dC of 16 states].
    __device__ __forceinline__ void store(float* to) {
        const int lane = threadIdx.x % warp_lanes;
        const bool upper = lane & 4;  // of the two halves of the channels: has dC in the end, the other dB
        float sum[4];
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            const float kept = upper ? dC_[n] : dB_[n], sent = upper ? dB_[n] : dC_[n];
            sum[n] = kept + __shfl_xor_sync(whole_warp, sent, 4);
        }
        store_states(to + lane % 4 * warp_lanes + upper * group_states + lane / 8 * 4, sum);
    }

private:
    __device__ __forceinline__ void add_states(int i, const uint32_t (&b)[2], const float (&term)[4],
                                               float (&sum)[4]) const {
        if (has_tensor_cores())
            add_by_tensor_cores(b, term, sum);
        else
            add_by_shuffles(i, term, sum);
    }
    __device__ __forceinline__ void add_by_shuffles(int i, const float (&term)[4], float (&sum)[4]) const {
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            float x = term[n];
            x += __shfl_xor_sync(whole_warp, x, 1);
            x += __shfl_xor_sync(whole_warp, x, 2);
            if ((int)threadIdx.x % 4 == i) sum[n] = x;
        }
    }
    __device__ __forceinline__ void add_by_tensor_cores(const uint32_t (&b)[2], const float (&term)[4],
                                                        float (&sum)[4]) const {
        uint32_t a[4];
#pragma unroll
        for (int n = 0; n < 4; ++n) a[n / 2 + n % 2 * 2] = __float_as_uint(term[n]);
        if constexpr (exact) {
            // The leading bits, then what they leave.
            uint32_t leading[4];
#pragma unroll
            for (int n = 0; n < 4; ++n) leading[n] = a[n] & 0xffffe000u;
            mma_tf32_16x8x8(sum, leading, b);
#pragma unroll
            for (int n = 0; n < 4; ++n) a[n] = __float_as_uint(__uint_as_float(a[n]) - __uint_as_float(leading[n]));
        }
        mma_tf32_16x8x8(sum, a, b);
    }

    const uint32_t* b_;
    float dB_[4], dC_[4];
};

}  // namespace medmamba::cuda
