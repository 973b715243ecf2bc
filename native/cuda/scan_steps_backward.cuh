// The backward walk of the selective scan over one chunk of steps.
//
// A chunk is walked forwards once to leave the state before each of its runs of 4 steps in shared memory. Then, run
// by run from the last, its steps are walked forwards with all their states and decays in registers, and backwards
// with the states' gradient: with g = dh[t] + dy[t] C[t],
//   dB[t] = sum over channels g delta u,   dC[t] = sum over channels dy[t] h[t],   dh[t-1] = g decay[t],
//   d(delta u) = sum over states g B[t],   ddelta through the decay = sum over states A g decay h[t-1],
//   dA += delta g decay h[t-1].
// Sums over states are folded over the 4 lanes of a channel for the 4 steps of a run, so that lane i ends with those
// of step i. Sums over channels begin in a thread, with its two channels, go on over the warp's lanes, and are left
// in shared memory for the block to add.
//
// Bound: instructions. A state and step needs 4 for each of the two walks forwards and 8 for the gradients.
#pragma once

#include "scan_steps.cuh"

namespace medmamba::cuda {

constexpr int run_steps = 4, chunk_runs = chunk_steps / run_steps;

// dB and dC of a run, summed over each warp's channels; the two halves let one run be added while the next is walked.
template <class Tile>
using WarpSums = float[2][run_steps][Tile::warps][warp_lanes];

// The block's sum for step t of a run: index 0..15 for the states of dB, 16..31 for those of dC.
template <class Tile>
__device__ __forceinline__ float sum_of_warps(const WarpSums<Tile>& sums, int run, int t, int index) {
    constexpr int lane_states = Tile::lane_states;
    const int n = index % group_states, value = n % lane_states + (index < group_states ? 0 : lane_states);
    const int place = value * Tile::state_lanes + n / lane_states;  // where sum_each left it
    float sum = sums[run % 2][t][0][place];
#pragma unroll
    for (int warp = 1; warp < Tile::warps; ++warp) sum += sums[run % 2][t][warp][place];
    return sum;
}

// States of a thread's channels.
template <class Tile>
using ChannelStates = float[Tile::thread_channels][Tile::lane_states];

// States before the runs of a chunk but its last, as shared memory keeps them.
template <class Tile>
using RunStates = float[chunk_runs - 1][Tile::thread_channels][Tile::threads][Tile::lane_states];

// The thread's places in shared memory besides its rows, and what it keeps between chunks.
template <class Tile>
struct BackwardThread {
    const float* dy;
    ChannelStates<Tile> A2, h, dh, dA;  // h: the state before the chunk
};

// The states of a run from the one before it, h, and their decays.
template <class Tile>
__device__ __forceinline__ void walk_run(int first, const ThreadRows& rows, const ChannelStates<Tile>& A2,
                                         const ChannelStates<Tile>& h, ChannelStates<Tile> (&after)[run_steps],
                                         ChannelStates<Tile> (&decay)[run_steps]) {
#pragma unroll
    for (int i = 0; i < run_steps; ++i) {
        const int t = first + i;
        float B[Tile::lane_states];
        load_states(rows.B + t * Tile::state_row, B);
#pragma unroll
        for (int k = 0; k < Tile::thread_channels; ++k) {
            const float delta = rows.delta[t * Tile::delta_row + k * Tile::channel_lanes];
            const float input = delta * rows.u[t * Tile::input_row + k * Tile::channel_lanes];
#pragma unroll
            for (int n = 0; n < Tile::lane_states; ++n) {
                decay[i][k][n] = exp2_approx(delta * A2[k][n]);
                after[i][k][n] = fmaf(decay[i][k][n], i ? after[i - 1][k][n] : h[k][n], input * B[n]);
            }
        }
    }
}

// Calls leave_step(t, k, d(delta u), ddelta log2(e), y) for each step and channel of the thread on one of the
// channel's lanes, in no order that matters, and leave_run(run) on all threads when the run's WarpSums are complete.
// y is C.h if `with_y`, otherwise 0.
template <class Tile, bool with_y, class LeaveStep, class LeaveRun>
__device__ __forceinline__ void walk_backward(int count, const ThreadRows& rows, BackwardThread<Tile>& thread,
                                              RunStates<Tile>& run_states, WarpSums<Tile>& sums,
                                              LeaveStep&& leave_step, LeaveRun&& leave_run) {
    constexpr int channels = Tile::thread_channels, states = Tile::lane_states;
    static_assert(Tile::state_lanes == run_steps && 2 * states * run_steps == warp_lanes, "a lane for every sum");
    const int warp = threadIdx.x / warp_lanes, place = threadIdx.x % warp_lanes, lane = threadIdx.x % run_steps;
    const int runs = (count + run_steps - 1) / run_steps;
#pragma unroll 1
    for (int run = 0; run < runs - 1; ++run) {
#pragma unroll
        for (int k = 0; k < channels; ++k) store_states(run_states[run][k][threadIdx.x], thread.h[k]);
#pragma unroll
        for (int i = 0; i < run_steps; ++i) {
            const int t = run * run_steps + i;
#pragma unroll
            for (int k = 0; k < channels; ++k) {
                const float delta = rows.delta[t * Tile::delta_row + k * Tile::channel_lanes];
                step_forward(delta, delta * rows.u[t * Tile::input_row + k * Tile::channel_lanes], thread.A2[k],
                             rows.B + t * Tile::state_row, thread.h[k]);
            }
        }
    }

#pragma unroll 1
    for (int run = runs - 1; run >= 0; --run) {
        const int first = run * run_steps;
        if (run < runs - 1) {
#pragma unroll
            for (int k = 0; k < channels; ++k) load_states(run_states[run][k][threadIdx.x], thread.h[k]);
        }
        ChannelStates<Tile> after[run_steps], decay[run_steps];
        walk_run<Tile>(first, rows, thread.A2, thread.h, after, decay);

        float dinput[channels][run_steps], ddelta[channels][run_steps], y[channels][run_steps];
#pragma unroll
        for (int i = run_steps - 1; i >= 0; --i) {
            const int t = first + i;
            float B[states], C[states], over_channels[2 * states];
            load_states(rows.B + t * Tile::state_row, B);
            load_states(rows.C + t * Tile::state_row, C);
#pragma unroll
            for (int k = 0; k < channels; ++k) {
                const int column = k * Tile::channel_lanes;
                const float delta = rows.delta[t * Tile::delta_row + column];
                const float dout = thread.dy[t * Tile::input_row + column];
                const float input = delta * rows.u[t * Tile::input_row + column];
                dinput[k][i] = 0.0f, ddelta[k][i] = 0.0f, y[k][i] = 0.0f;
#pragma unroll
                for (int n = 0; n < states; ++n) {
                    const float g = fmaf(dout, C[n], thread.dh[k][n]);
                    over_channels[n] = k ? fmaf(g, input, over_channels[n]) : g * input;
                    over_channels[n + states] =
                        k ? fmaf(dout, after[i][k][n], over_channels[n + states]) : dout * after[i][k][n];
                    dinput[k][i] = fmaf(g, B[n], dinput[k][i]);
                    thread.dh[k][n] = g * decay[i][k][n];
                    const float through_decay = thread.dh[k][n] * (i ? after[i - 1][k][n] : thread.h[k][n]);
                    ddelta[k][i] = fmaf(through_decay, thread.A2[k][n], ddelta[k][i]);
                    thread.dA[k][n] = fmaf(delta, through_decay, thread.dA[k][n]);
                    if (with_y) y[k][i] = fmaf(after[i][k][n], C[n], y[k][i]);
                }
            }
            sums[run % 2][i][warp][place] = sum_each<run_steps>(over_channels);
        }
        __syncwarp();  // leave_step may overwrite what all lanes of the channel have read
#pragma unroll
        for (int k = 0; k < channels; ++k) {
            const float step_dinput = sum_each<1>(dinput[k]), step_ddelta = sum_each<1>(ddelta[k]);
            leave_step(first + lane, k, step_dinput, step_ddelta, with_y ? sum_each<1>(y[k]) : 0.0f);
        }
        __syncthreads();
        leave_run(run);
    }
}

}  // namespace medmamba::cuda
