// The backward walk of the selective scan over one chunk of steps.
//
// A chunk is walked forwards once to leave the state before each of its runs of 4 steps in shared memory. Then, run
// by run from the last, its steps are walked forwards with all their states and decays in registers, and backwards
// with the states' gradient: with g = dh[t] + dy[t] C[t],
//   dB[t] = sum over channels g delta u,   dC[t] = sum over channels dy[t] h[t],   dh[t-1] = g decay[t],
//   d(delta u) = sum over states g B[t],   ddelta through the decay = sum over states A g decay h[t-1],
//   dA += delta g decay h[t-1].
// Sums over states are folded over the 4 lanes of a channel for the 4 steps of a run, so that lane i ends with those
// of step i. Sums over channels begin in a thread, with its two channels, go on over the warp's lanes by tensor cores
// (scan_channel_sums.cuh), and are left in shared memory, where the run's states were, for the block to add when it
// is done with the chunk: no warp waits for another meanwhile.
//
// Bound: instructions. A state and step needs 4 for each of the two walks forwards and 8 for the gradients;
// scripts/cuda-instructions.mjs counts what there is.
#pragma once

#include "scan_channel_sums.cuh"

namespace medmamba::cuda {

constexpr int chunk_runs = chunk_steps / run_steps;

// States of a thread's channels.
template <class Tile>
using ChannelStates = float[Tile::thread_channels][Tile::lane_states];

// Of every run of a chunk and every warp: the states before the run, until it has been walked backwards, and then the
// sums over the warp's channels, (run_steps, dB of 16 states | dC of 16 states).
template <class Tile>
struct RunMemory {
    struct Warp {
        float states[Tile::thread_channels][warp_lanes][Tile::lane_states];

        __device__ __forceinline__ float* sums() { return states[0][0]; }
        __device__ __forceinline__ const float* sums() const { return states[0][0]; }
    };
    static_assert(sizeof(Warp) >= run_steps * 2 * group_states * sizeof(float), "room for the sums");

    Warp runs[chunk_runs][Tile::warps];
    ChannelSumsMemory ones;

    // The block's sums for step t of the chunk: of `count` values from `index` on, 0..15 for the states of dB, 16..31 for
    // those of dC.
    template <int count>
    __device__ __forceinline__ void load_sums(int t, int index, float (&sum)[count]) const {
        const Warp(&warps)[Tile::warps] = runs[t / run_steps];
        const int place = t % run_steps * 2 * group_states + index;
        const auto of_warp = [&](int warp) { return load(warps[warp].sums() + place, Width<count>{}); };
        Floats<count> all = of_warp(0);
#pragma unroll
        for (int warp = 1; warp < Tile::warps; ++warp) {
            const Floats<count> more = of_warp(warp);
#pragma unroll
            for (int i = 0; i < count; ++i) all.lane[i] += more.lane[i];
        }
#pragma unroll
        for (int i = 0; i < count; ++i) sum[i] = all.lane[i];
    }
};

// What a thread keeps between chunks.
template <class Tile>
struct BackwardThread {
    ChannelStates<Tile> A2, h, dh, dA;  // h: the state before the chunk
};

// What the recurrence takes of a step and of a thread's channels.
template <int channels>
struct StepInputs {
    float delta[channels], input[channels];  // delta and delta u

    template <class Tile, class Element>
    __device__ __forceinline__ void load_step(const ThreadRows<Element>& rows, int t) {
        const Floats<channels> of_delta = load(rows.delta + t * Tile::delta_row, Width<channels>{});
        const Floats<channels> u = load(rows.u + t * Tile::input_row, Width<channels>{});
#pragma unroll
        for (int k = 0; k < channels; ++k) {
            delta[k] = of_delta.lane[k];
            input[k] = delta[k] * u.lane[k];
        }
    }
};

// The states of a run from the one before it, h, and their decays.
template <class Tile>
__device__ __forceinline__ void walk_run(const StepInputs<Tile::thread_channels> (&steps)[run_steps],
                                         const float* B_rows, const ChannelStates<Tile>& A2,
                                         const ChannelStates<Tile>& h, ChannelStates<Tile> (&after)[run_steps],
                                         ChannelStates<Tile> (&decay)[run_steps]) {
#pragma unroll
    for (int i = 0; i < run_steps; ++i) {
        float B[Tile::lane_states];
        load_states(B_rows + i * Tile::state_row, B);
#pragma unroll
        for (int k = 0; k < Tile::thread_channels; ++k)
#pragma unroll
            for (int n = 0; n < Tile::lane_states; ++n) {
                decay[i][k][n] = exp2_approx(steps[i].delta[k] * A2[k][n]);
                after[i][k][n] = fmaf(decay[i][k][n], i ? after[i - 1][k][n] : h[k][n], steps[i].input[k] * B[n]);
            }
    }
}

// Calls leave_step(t, d(delta u), ddelta, y), of the thread's channels each, for every step on one of the channels'
// lanes, in no order that matters. y is C.h if `with_y`, otherwise 0. When all threads are done, `memory` has the
// sums over the warps' channels, exact if `exact` (scan_channel_sums.cuh).
template <class Tile, bool with_y, bool exact, class Element, class LeaveStep>
__device__ __forceinline__ void walk_backward(int count, const ThreadRows<Element>& rows,
                                              BackwardThread<Tile>& thread, RunMemory<Tile>& memory,
                                              LeaveStep&& leave_step) {
    constexpr int channels = Tile::thread_channels, states = Tile::lane_states;
    static_assert(Tile::state_lanes == run_steps && Tile::lanes_apart == 8 && states == 4, "as ChannelSums has them");
    const int warp = threadIdx.x / warp_lanes, lane = threadIdx.x % warp_lanes;
    const int runs = (count + run_steps - 1) / run_steps;
#pragma unroll 1
    for (int run = 0;; ++run) {
#pragma unroll
        for (int k = 0; k < channels; ++k) store_states(memory.runs[run][warp].states[k][lane], thread.h[k]);
        if (run == runs - 1) break;
#pragma unroll
        for (int i = 0; i < run_steps; ++i) {
            const int t = run * run_steps + i;
            StepInputs<channels> step;
            step.template load_step<Tile>(rows, t);
#pragma unroll
            for (int k = 0; k < channels; ++k)
                step_forward(step.delta[k], step.input[k], thread.A2[k], rows.B + t * Tile::state_row, thread.h[k]);
        }
    }

    ChannelSums<exact> sums(memory.ones);
#pragma unroll 1
    for (int run = runs - 1; run >= 0; --run) {
        const int first = run * run_steps;
        typename RunMemory<Tile>::Warp& of_run = memory.runs[run][warp];
        const auto load_h = [&] {
#pragma unroll
            for (int k = 0; k < channels; ++k) load_states(of_run.states[k][lane], thread.h[k]);
        };
        load_h();
        StepInputs<channels> steps[run_steps];
#pragma unroll
        for (int i = 0; i < run_steps; ++i) steps[i].template load_step<Tile>(rows, first + i);
        ChannelStates<Tile> after[run_steps], decay[run_steps];
        walk_run<Tile>(steps, rows.B + first * Tile::state_row, thread.A2, thread.h, after, decay);

        float dinput[channels][run_steps], ddelta[channels][run_steps], y[channels][run_steps];
        sums.clear();
#pragma unroll
        for (int i = run_steps - 1; i >= 0; --i) {
            const int t = first + i;
            if (i == 0) {
                __syncwarp();  // makes the compiler load h again instead of keeping registers for it
                load_h();
            }
            float B[states], C[states], dB[states], dC[states];
            load_states(rows.B + t * Tile::state_row, B);
            load_states(rows.C + t * Tile::state_row, C);
            const Floats<channels> dy = load(rows.dy + t * Tile::input_row, Width<channels>{});
#pragma unroll
            for (int k = 0; k < channels; ++k) {
                const float delta = steps[i].delta[k], input = steps[i].input[k], dout = dy.lane[k];
                dinput[k][i] = 0.0f, ddelta[k][i] = 0.0f, y[k][i] = 0.0f;
#pragma unroll
                for (int n = 0; n < states; ++n) {
                    const float g = fmaf(dout, C[n], thread.dh[k][n]);
                    dB[n] = k ? fmaf(g, input, dB[n]) : g * input;
                    dC[n] = k ? fmaf(dout, after[i][k][n], dC[n]) : dout * after[i][k][n];
                    dinput[k][i] = fmaf(g, B[n], dinput[k][i]);
                    thread.dh[k][n] = g * decay[i][k][n];
                    const float through_decay = thread.dh[k][n] * (i ? after[i - 1][k][n] : thread.h[k][n]);
                    ddelta[k][i] = fmaf(through_decay, thread.A2[k][n], ddelta[k][i]);
                    thread.dA[k][n] = fmaf(delta, through_decay, thread.dA[k][n]);
                    if (with_y) y[k][i] = fmaf(after[i][k][n], C[n], y[k][i]);
                }
            }
            sums.add(i, dB, dC);
        }
        __syncwarp();  // what follows may overwrite what all lanes have read: the run's states, and rows
        sums.store(of_run.sums());
        float step_dinput[channels], step_ddelta[channels], step_y[channels];
#pragma unroll
        for (int k = 0; k < channels; ++k) {
            step_dinput[k] = sum_each<Tile::lanes_apart>(dinput[k]);
            step_ddelta[k] = sum_each<Tile::lanes_apart>(ddelta[k]) * ln2;  // the states' factors are A log2(e)
            step_y[k] = with_y ? sum_each<Tile::lanes_apart>(y[k]) : 0.0f;
        }
        leave_step(first + lane / Tile::lanes_apart, step_dinput, step_ddelta, step_y);
    }
}

}  // namespace medmamba::cuda
