// The recurrence of the selective scan over one chunk of steps, shared by the four-direction scan and the general one.
//
//   h[t] = exp(delta[t] A) h[t-1] + delta[t] u[t] B[t],    y[t] = C[t].h[t]
//
// States do not meet in the recurrence, so 16 of them are a scan of their own whose y is added: a block always walks a
// group of 16, and more states are more walks. Four lanes share a channel and hold four states each, in registers from
// the first chunk to the last; a warp holds 8 channels. Delta, u, B and C of a chunk of MM_SCAN_CHUNK steps lie in
// shared memory, put there by the block (scan_passes.cuh); where they came from - a direction through an image, or the
// channels-first layout of mamba_ssm - is nothing the recurrence knows. Rows of steps past the end of the sequence
// have delta, u and dy zero: such a step leaves the states as they are.
#pragma once

#include "stream.cuh"

namespace medmamba::cuda {

constexpr int chunk_steps = MM_SCAN_CHUNK;
constexpr int group_states = 16, lane_states = 4, state_lanes = 4;
constexpr int warp_lanes = 32, warp_channels = warp_lanes / state_lanes;

constexpr float log2e = 1.44269504f, ln2 = 0.69314718f;

// A block's channels, and the floats from one step to the next of each kind of row in shared memory.
template <int channels_, int input_row_, int state_row_>
struct ScanTile {
    static constexpr int channels = channels_;
    static constexpr int threads = channels * state_lanes, warps = threads / warp_lanes;
    static constexpr int delta_row = channels + 1;  // delta and y; odd, so that steps and channels can both be lanes
    static constexpr int input_row = input_row_;    // u and dy
    static constexpr int state_row = state_row_;    // B and C
};

// A chunk as one thread sees it: its channel's column, and its four states of B and C.
struct ThreadRows {
    const float *delta, *u, *B, *C;
};

using States = float[lane_states];

__device__ __forceinline__ void load_states(const float* p, States& h) {
    const float4 v = *reinterpret_cast<const float4*>(p);
    h[0] = v.x, h[1] = v.y, h[2] = v.z, h[3] = v.w;
}
__device__ __forceinline__ void store_states(float* p, const States& h) {
    *reinterpret_cast<float4*>(p) = make_float4(h[0], h[1], h[2], h[3]);
}

// The same in global memory, from state `first` of a channel that has `states`: none, some or all of the four.
__device__ __forceinline__ void load_states(const float* channel, int first, int states, States& h) {
    if (states % lane_states == 0 && first < states) return load_states(channel + first, h);
    for (int n = 0; n < lane_states; ++n) h[n] = first + n < states ? channel[first + n] : 0.0f;
}
__device__ __forceinline__ void store_states(float* channel, int first, int states, const States& h) {
    if (states % lane_states == 0 && first < states) return store_states(channel + first, h);
    for (int n = 0; n < lane_states; ++n)
        if (first + n < states) channel[first + n] = h[n];
}

// softplus(x) = max(x, 0) + log1p(w) with w = exp(-|x|), and log1p(w) / w a polynomial on 0..1 (3e-8): the relative
// error stays small where delta is, far to the left. The slope is sigmoid(x), from the same w.
struct Softplus {
    float value, w;
    __device__ __forceinline__ explicit Softplus(float x) : w(exp2_approx(fabsf(x) * -log2e)) {
        float p = 5.364822544e-3f;
        p = fmaf(p, w, -3.006578552e-2f);
        p = fmaf(p, w, 7.920452550e-2f);
        p = fmaf(p, w, -1.375380160e-1f);
        p = fmaf(p, w, 1.915365467e-1f);
        p = fmaf(p, w, -2.485716363e-1f);
        p = fmaf(p, w, 3.332132262e-1f);
        p = fmaf(p, w, -4.999964796e-1f);
        p = fmaf(p, w, 1.0f);
        value = fmaf(p, w, fmaxf(x, 0.0f));
    }
    __device__ __forceinline__ float slope(float x) const { return (x > 0.0f ? 1.0f : w) / (w + 1.0f); }
};

// Sums of `count` registers at once over the `count` lanes whose numbers differ by multiples of `distance`: the lane
// with number i among them gets the sum of value[i]. At each turn a lane hands on half of what it has, so count - 1
// shuffles do the work of count log2(count).
template <int distance, int count>
__device__ __forceinline__ float sum_each(float (&value)[count]) {
    const int place = threadIdx.x / distance;
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

__device__ __forceinline__ void step_forward(float delta, float input, const States& A2, const float* B_row, States& h) {
    States B;
    load_states(B_row, B);
#pragma unroll
    for (int n = 0; n < lane_states; ++n) h[n] = fmaf(exp2_approx(delta * A2[n]), h[n], input * B[n]);
}

// y (steps, delta_row) of the thread's channel, from the state before the chunk; h becomes the one after it.
//
// Bound: the special function unit takes 16 exp2 a clock and multiprocessor, 32 clocks for a step of a warp's 128
// states on its quarter of it, in which the quarter can issue 32 instructions; the step needs about as many.
template <class Tile>
__device__ __forceinline__ void walk_forward(int count, const ThreadRows& rows, const States& A2, States& h, float* y) {
    const int lane = threadIdx.x % state_lanes;
    for (int t = 0; t < count; t += state_lanes) {
        float sum[state_lanes];
#pragma unroll
        for (int i = 0; i < state_lanes; ++i) {
            const float delta = rows.delta[(t + i) * Tile::delta_row];
            step_forward(delta, delta * rows.u[(t + i) * Tile::input_row], A2, rows.B + (t + i) * Tile::state_row, h);
            States C;
            load_states(rows.C + (t + i) * Tile::state_row, C);
            sum[i] = h[0] * C[0];
#pragma unroll
            for (int n = 1; n < lane_states; ++n) sum[i] = fmaf(h[n], C[n], sum[i]);
        }
        y[(t + lane) * Tile::delta_row] = sum_each<1>(sum);
    }
}

// Only the states, and the sum of delta, of which their decay over the chunk is a function.
template <class Tile>
__device__ __forceinline__ void walk_states(int count, const ThreadRows& rows, const States& A2, States& h,
                                            float& delta_sum) {
#pragma unroll 4
    for (int t = 0; t < count; ++t) {
        const float delta = rows.delta[t * Tile::delta_row];
        step_forward(delta, delta * rows.u[t * Tile::input_row], A2, rows.B + t * Tile::state_row, h);
        delta_sum += delta;
    }
}

// The gradient of the states alone: dh[t-1] = exp(delta[t] A) (dh[t] + dy[t] C[t]), from the end of the chunk.
template <class Tile>
__device__ __forceinline__ void walk_adjoint(int count, const ThreadRows& rows, const float* dy, const States& A2,
                                             States& dh, float& delta_sum) {
#pragma unroll 4
    for (int t = count - 1; t >= 0; --t) {
        const float delta = rows.delta[t * Tile::delta_row], dout = dy[t * Tile::input_row];
        States C;
        load_states(rows.C + t * Tile::state_row, C);
#pragma unroll
        for (int n = 0; n < lane_states; ++n) dh[n] = exp2_approx(delta * A2[n]) * fmaf(dout, C[n], dh[n]);
        delta_sum += delta;
    }
}

// ---- backward -----------------------------------------------------------------------------------------------------
//
// A chunk is walked forwards once to leave the state before each of its runs of 8 steps in shared memory. Then, run by
// run from the last, its 8 steps are walked forwards with all their states in registers (8 x 4 a thread), and
// backwards with the states' gradient: with g = dh[t] + dy[t] C[t],
//   dB[t] = sum over channels g delta u,   dC[t] = sum over channels dy[t] h[t],   dh[t-1] = g decay[t],
//   d(delta u) = sum over states g B[t],   ddelta through the decay = sum over states A g decay h[t-1],
//   dA += delta g decay h[t-1].
// Sums over states are folded over the 4 lanes of a channel for 4 steps at a time, so that lane i ends with those of
// step i; sums over channels over the 8 channels of a warp, and left in shared memory for the block to add.
//
// Bound: instructions, about 26 a state and step, 12 of them for the gradients themselves.
constexpr int run_steps = 8, chunk_runs = chunk_steps / run_steps;

// dB and dC of a run, summed over each warp's channels; the two halves let one run be added while the next is walked.
template <class Tile>
using WarpSums = float[2][run_steps][Tile::warps][warp_lanes];

// The block's sum for step t of a run: index 0..15 for the states of dB, 16..31 for those of dC.
template <class Tile>
__device__ __forceinline__ float sum_of_warps(const WarpSums<Tile>& sums, int run, int t, int index) {
    const int n = index % group_states, value = n % lane_states + (index < group_states ? 0 : lane_states);
    const int place = value * state_lanes + n / lane_states;  // where sum_each left it
    float sum = sums[run % 2][t][0][place];
#pragma unroll
    for (int warp = 1; warp < Tile::warps; ++warp) sum += sums[run % 2][t][warp][place];
    return sum;
}

// The thread's places in shared memory besides its rows, and what it keeps between chunks.
struct BackwardThread {
    const float* dy;
    float* runs;  // states before runs 1, 2, 3: `run_row` floats apart
    int run_row;
    States A2, h, dh, dA;  // h: the state before the chunk
};

// Calls leave_step(t, d(delta u), ddelta log2(e), y) for each step on one of its channel's lanes, in no order that
// matters, and leave_run(run) on all threads when the run's WarpSums are complete. y is C.h if `with_y`, otherwise 0.
template <class Tile, bool with_y, class LeaveStep, class LeaveRun>
__device__ __forceinline__ void walk_backward(int count, const ThreadRows& rows, BackwardThread& thread,
                                              WarpSums<Tile>& sums, LeaveStep&& leave_step,
                                              LeaveRun&& leave_run) {
    const int warp = threadIdx.x / warp_lanes, place = threadIdx.x % warp_lanes, lane = threadIdx.x % state_lanes;
    const States& A2 = thread.A2;
    const int runs = (count + run_steps - 1) / run_steps;
    States start = {thread.h[0], thread.h[1], thread.h[2], thread.h[3]};
    for (int run = 1; run < runs; ++run) {
#pragma unroll
        for (int i = 0; i < run_steps; ++i) {
            const int t = (run - 1) * run_steps + i;
            const float delta = rows.delta[t * Tile::delta_row];
            step_forward(delta, delta * rows.u[t * Tile::input_row], A2, rows.B + t * Tile::state_row, start);
        }
        store_states(thread.runs + (run - 1) * thread.run_row, start);
    }

    for (int run = runs - 1; run >= 0; --run) {
        float h[run_steps + 1][lane_states];
        if (run > 0) {
            load_states(thread.runs + (run - 1) * thread.run_row, h[0]);
        } else {
#pragma unroll
            for (int n = 0; n < lane_states; ++n) h[0][n] = thread.h[n];
        }
#pragma unroll
        for (int i = 0; i < run_steps; ++i) {
            const int t = run * run_steps + i;
            const float delta = rows.delta[t * Tile::delta_row];
#pragma unroll
            for (int n = 0; n < lane_states; ++n) h[i + 1][n] = h[i][n];
            step_forward(delta, delta * rows.u[t * Tile::input_row], A2, rows.B + t * Tile::state_row, h[i + 1]);
        }

#pragma unroll
        for (int first = run_steps - state_lanes; first >= 0; first -= state_lanes) {
            float dinput[state_lanes], ddelta[state_lanes], y[state_lanes];
#pragma unroll
            for (int i = state_lanes - 1; i >= 0; --i) {
                const int step = first + i, t = run * run_steps + step;
                const float delta = rows.delta[t * Tile::delta_row], dout = thread.dy[t * Tile::input_row];
                const float input = delta * rows.u[t * Tile::input_row];
                States B, C;
                load_states(rows.B + t * Tile::state_row, B);
                load_states(rows.C + t * Tile::state_row, C);
                float over_channels[2 * lane_states];
                dinput[i] = 0.0f, ddelta[i] = 0.0f, y[i] = 0.0f;
#pragma unroll
                for (int n = 0; n < lane_states; ++n) {
                    const float g = fmaf(dout, C[n], thread.dh[n]);
                    over_channels[n] = g * input;
                    over_channels[n + lane_states] = dout * h[step + 1][n];
                    dinput[i] = fmaf(g, B[n], dinput[i]);
                    thread.dh[n] = g * exp2_approx(delta * A2[n]);
                    const float through_decay = thread.dh[n] * h[step][n];
                    ddelta[i] = fmaf(through_decay, A2[n], ddelta[i]);
                    thread.dA[n] = fmaf(delta, through_decay, thread.dA[n]);
                    if (with_y) y[i] = fmaf(h[step + 1][n], C[n], y[i]);
                }
                sums[run % 2][step][warp][place] = sum_each<state_lanes>(over_channels);
            }
            const float step_dinput = sum_each<1>(dinput), step_ddelta = sum_each<1>(ddelta);
            const float step_y = with_y ? sum_each<1>(y) : 0.0f;
            __syncwarp();  // leave_step may overwrite what all lanes of the channel have read
            leave_step(run * run_steps + first + lane, step_dinput, step_ddelta, step_y);
        }
        __syncthreads();
        leave_run(run);
    }
}

}  // namespace medmamba::cuda
