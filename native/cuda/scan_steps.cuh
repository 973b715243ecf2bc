// The recurrence of the selective scan over one chunk of steps, shared by the four-direction scan and the general
// one.
//
//   h[t] = exp(delta[t] A) h[t-1] + delta[t] u[t] B[t],    y[t] = C[t].h[t]
//
// States do not meet in the recurrence, so 16 of them are a scan of their own whose y is added: a block always walks
// a group of 16, and more states are more walks. A thread keeps its states in registers from the first chunk to the
// last: all 16 of a channel, or 4 of them with 4 lanes to a channel where there are few channels, or 4 states of two
// channels (backward, whose sums over channels are then half done in registers). Delta, u, B and C of a chunk of
// MM_SCAN_CHUNK steps lie in shared memory, put there by the block (scan_passes.cuh); where they came from - a
// direction through an image, or the channels-first layout of mamba_ssm - is nothing the recurrence knows. Rows of
// steps past the end of the sequence have delta, u and dy zero: such a step leaves the states as they are.
#pragma once

#include "storage.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

constexpr int chunk_steps = MM_SCAN_CHUNK;
constexpr int group_states = 16;
constexpr int warp_lanes = 32;

constexpr float log2e = 1.44269504f, ln2 = 0.69314718f;

// A block's channels, what a thread has of them, and the elements from one step to the next of each kind of row in
// shared memory. A warp has `warp_channels` channels side by side, `thread_channels` of them a thread's; the lanes of
// a channel, which share its states, are `lanes_apart` from each other.
template <int channels_, int lane_states_, int thread_channels_, int delta_row_, int input_row_, int state_row_>
struct ScanTile {
    static constexpr int channels = channels_, lane_states = lane_states_, thread_channels = thread_channels_;
    static constexpr int state_lanes = group_states / lane_states, lanes_apart = warp_lanes / state_lanes;
    static constexpr int threads = channels / thread_channels * state_lanes, warps = threads / warp_lanes;
    static constexpr int warp_channels = lanes_apart * thread_channels;
    static constexpr int delta_row = delta_row_;  // delta, its slope, and y
    static constexpr int input_row = input_row_;  // u and dy
    static constexpr int state_row = state_row_;  // B and C
    static_assert(threads % warp_lanes == 0, "whole warps");
};

// A chunk's rows as its source has them in shared memory.
template <class Element>
struct ChunkRows {
    const Element *u, *dy;
    const float *B, *C;
};

// A chunk as one thread sees it: its first channel's column, and its states of B and C.
template <class Element>
struct ThreadRows {
    const float* delta;
    const Element *u, *dy;
    const float *B, *C;
};

template <int count>
__device__ __forceinline__ void set_zero(float (&h)[count]) {
#pragma unroll
    for (int n = 0; n < count; ++n) h[n] = 0.0f;
}

template <int count>
__device__ __forceinline__ void load_states(const float* p, float (&h)[count]) {
#pragma unroll
    for (int n = 0; n < count; n += 4) {
        const float4 v = *reinterpret_cast<const float4*>(p + n);
        h[n] = v.x, h[n + 1] = v.y, h[n + 2] = v.z, h[n + 3] = v.w;
    }
}
template <int count>
__device__ __forceinline__ void store_states(float* p, const float (&h)[count]) {
#pragma unroll
    for (int n = 0; n < count; n += 4)
        *reinterpret_cast<float4*>(p + n) = make_float4(h[n], h[n + 1], h[n + 2], h[n + 3]);
}

// The same in global memory, from state `first` of a channel that has `states`: none, some or all of the thread's.
template <int count>
__device__ __forceinline__ void load_states(const float* channel, int first, int states, float (&h)[count]) {
    if (states % 4 == 0 && first + count <= states) return load_states(channel + first, h);
#pragma unroll
    for (int n = 0; n < count; ++n) h[n] = first + n < states ? channel[first + n] : 0.0f;
}
template <int count>
__device__ __forceinline__ void store_states(float* channel, int first, int states, const float (&h)[count]) {
    if (states % 4 == 0 && first + count <= states) return store_states(channel + first, h);
#pragma unroll
    for (int n = 0; n < count; ++n)
        if (first + n < states) channel[first + n] = h[n];
}

// softplus(x) = max(x, 0) + log1p(w) with w = exp(-|x|), and log1p(w) / w a polynomial on 0..1: the relative error
// stays small where delta is, far to the left. It is 3e-8 if `exact`, otherwise 6e-5, for an x of which a part was
// rounded to 2e-3. The slope is sigmoid(x), from the same w.
template <bool exact>
struct Softplus {
    float value, w;
    __device__ __forceinline__ explicit Softplus(float x) : w(exp2_approx(fabsf(x) * -log2e)) {
        value = fmaf(of_w(), w, fmaxf(x, 0.0f));
    }
    __device__ __forceinline__ float slope(float x) const {
        return (x > 0.0f ? 1.0f : w) * reciprocal_approx(w + 1.0f);
    }

private:
    __device__ __forceinline__ float of_w() const {
        if constexpr (exact) {
            float p = 5.364822544e-3f;
            p = fmaf(p, w, -3.006578552e-2f);
            p = fmaf(p, w, 7.920452550e-2f);
            p = fmaf(p, w, -1.375380160e-1f);
            p = fmaf(p, w, 1.915365467e-1f);
            p = fmaf(p, w, -2.485716363e-1f);
            p = fmaf(p, w, 3.332132262e-1f);
            p = fmaf(p, w, -4.999964796e-1f);
            return fmaf(p, w, 1.0f);
        } else {
            float p = 4.134730250e-2f;
            p = fmaf(p, w, -1.574272073e-1f);
            p = fmaf(p, w, 3.063009295e-1f);
            p = fmaf(p, w, -4.969778053e-1f);
            return fmaf(p, w, 9.999432779e-1f);
        }
    }
};

// Sums of `count` registers at once over the `count` lanes whose numbers differ by multiples of `distance`: the lane
// with number i among them gets the sum of value[i]. At each turn a lane hands on half of what it has, so count - 1
// shuffles do the work of count log2(count).
template <int distance, int count>
__device__ __forceinline__ float sum_each(float (&value)[count]) {
    const int place = threadIdx.x % warp_lanes / distance;
#pragma unroll
    for (int half = count / 2; half > 0; half /= 2) {
        const bool upper = place & half;
#pragma unroll
        for (int i = 0; i < half; ++i) {
            const float kept = upper ? value[i + half] : value[i], sent = upper ? value[i] : value[i + half];
            value[i] = kept + __shfl_xor_sync(whole_warp, sent, half * distance);
        }
    }
    return value[0];
}

template <int count>
__device__ __forceinline__ void step_forward(float delta, float input, const float (&A2)[count], const float* B_row,
                                             float (&h)[count]) {
    float B[count];
    load_states(B_row, B);
#pragma unroll
    for (int n = 0; n < count; ++n) h[n] = fmaf(exp2_approx(delta * A2[n]), h[n], input * B[n]);
}

// Calls leave_y(t, y) for every step on one of the channel's lanes; h, the state before the chunk, becomes the one
// after it.
//
// Bound: the special function unit takes 16 exp2 a clock and multiprocessor, so a quarter of it 8 clocks for those of
// a warp, in which it can issue 8 instructions: a state and step may have 8. It has 5 (delta A, exp2, delta u B, two
// fused multiply-adds), and its share of what is done once for the states of a thread: loading, and summing y over
// lanes. On sm_90 that makes 6.1 with 16 states a thread, and 7.9 with 4.
template <class Tile, class Element, class LeaveY>
__device__ __forceinline__ void walk_forward(int count, const ThreadRows<Element>& rows,
                                             const float (&A2)[Tile::lane_states], float (&h)[Tile::lane_states],
                                             LeaveY&& leave_y) {
    constexpr int lanes = Tile::state_lanes;
    const int lane = threadIdx.x % warp_lanes / Tile::lanes_apart;
#pragma unroll(lanes == 1 ? 2 : 1)
    for (int t = 0; t < count; t += lanes) {
        float sum[lanes];
#pragma unroll
        for (int i = 0; i < lanes; ++i) {
            const float delta = rows.delta[(t + i) * Tile::delta_row];
            step_forward(delta, delta * to_float(rows.u[(t + i) * Tile::input_row]), A2,
                         rows.B + (t + i) * Tile::state_row, h);
            float C[Tile::lane_states];
            load_states(rows.C + (t + i) * Tile::state_row, C);
            sum[i] = h[0] * C[0];
#pragma unroll
            for (int n = 1; n < Tile::lane_states; ++n) sum[i] = fmaf(h[n], C[n], sum[i]);
        }
        const float y = sum_each<Tile::lanes_apart>(sum);
        if constexpr (lanes > 1) __syncwarp();  // all lanes of the channel have read these steps' rows
        leave_y(t + lane, y);
    }
}

// Only the states, and the sum of delta, of which their decay over the chunk is a function.
template <class Tile, class Element>
__device__ __forceinline__ void walk_states(int count, const ThreadRows<Element>& rows,
                                            const float (&A2)[Tile::lane_states], float (&h)[Tile::lane_states],
                                            float& delta_sum) {
#pragma unroll 4
    for (int t = 0; t < count; ++t) {
        const float delta = rows.delta[t * Tile::delta_row];
        step_forward(delta, delta * to_float(rows.u[t * Tile::input_row]), A2, rows.B + t * Tile::state_row, h);
        delta_sum += delta;
    }
}

// The gradient of the states alone: dh[t-1] = exp(delta[t] A) (dh[t] + dy[t] C[t]), from the end of the chunk.
template <class Tile, class Element>
__device__ __forceinline__ void walk_adjoint(int count, const ThreadRows<Element>& rows,
                                             const float (&A2)[Tile::lane_states], float (&dh)[Tile::lane_states],
                                             float& delta_sum) {
#pragma unroll 4
    for (int t = count - 1; t >= 0; --t) {
        const float delta = rows.delta[t * Tile::delta_row], dout = to_float(rows.dy[t * Tile::input_row]);
        float C[Tile::lane_states];
        load_states(rows.C + t * Tile::state_row, C);
#pragma unroll
        for (int n = 0; n < Tile::lane_states; ++n) dh[n] = exp2_approx(delta * A2[n]) * fmaf(dout, C[n], dh[n]);
        delta_sum += delta;
    }
}

}  // namespace medmamba::cuda
