// The four-direction scan as a source of chunks (scan_passes.cuh), for forward and for backward: the pixels that a
// direction visits, delta from its projection, and where results go.
//
// Directions run side by side, each to a copy of its own of y (of du, backward), which are added at the end: that reads
// and writes less than 1.3 times what one block visiting all four would, and there are four times as many blocks. A run of
// images is as many as keep the copies within `most_floats`.
#pragma once

#include <type_traits>

#include "scan_passes.cuh"
#include "scan_sums.cuh"

namespace medmamba::cuda {

constexpr int directions = 4;

struct Scan4 : ScanShape {
    int64_t images;  // of this run
    int height, width, rank, columns;
    int dt_row;    // rank rounded up to whole float4
    bool vectors;  // rows of u and dy can be copied 16 bytes at a time
    const float *u, *projected, *dt_weight, *dt_bias, *A_log, *skip, *dy;
    float* y;           // (4, images, pixels, D)
    float* du;          // (4, images, pixels, D)
    float* dprojected;  // (blocks, images, pixels, 4, columns)
    float* gradients;   // (images, segments, gradient_floats)

    // Of one image or segment: dA (4, D, N) | ddt_weight (4, D, R) | ddt_bias (4, D) | dskip (4, D)
    int64_t gradient_floats() const { return (int64_t)directions * channels * (states + rank + 2); }

    template <class Params>
    void take_shape(const Params& p, int block_channels) {
        height = (int)p.height, width = (int)p.width, length = height * width;
        channels = (int)p.channels, states = (int)p.states, rank = (int)p.rank;
        columns = rank + 2 * states, dt_row = (rank + 3) / 4 * 4;
        blocks = (int)ceil_div(channels, block_channels);
        dt_weight = p.dt_weight, dt_bias = p.dt_bias, A_log = p.A_log, skip = p.skip;
        sequences = p.batch * directions;
        cut_into_segments(block_channels / warp_channels);
    }
    template <class Params>
    void take_images(const Params& p, int64_t first, int64_t count) {
        images = count, sequences = images * directions;
        u = p.u + first * length * channels;
        projected = p.projected + first * length * directions * columns;
    }

    __device__ __forceinline__ float A(int64_t sequence, int channel, int state) const {
        return -expf(A_log[(sequence % directions * channels + channel) * states + state]);
    }
    // Checkpoints are (images, directions, chunks, channels, states): a warp's lie side by side.
    __device__ __forceinline__ int64_t checkpoint(int64_t sequence, int chunk, int channel) const {
        return ((sequence * chunks + chunk) * channels + channel) * states;
    }
    // Direction 0 takes the pixels row by row, 1 column by column; 2 and 3 are the same two from the end.
    __device__ __forceinline__ int visited(int direction, int step) const {
        if (direction >= 2) step = length - 1 - step;
        if (direction % 2 == 0) return step;
        const int column = step / height;
        return (step - column * height) * width + column;
    }
};

template <int block_channels, Pass pass_>
class Scan4Source {
public:
    using Problem = Scan4;
    using Tile = ScanTile<block_channels, block_channels, group_states>;
    static constexpr Pass pass = pass_;
    static constexpr bool gated = false;

    struct Rows {
        float u[chunk_steps * Tile::input_row], B[chunk_steps * group_states], C[chunk_steps * group_states];
    };
    struct RowsAndGradient : Rows {
        float dy[chunk_steps * Tile::input_row];
    };
    using Staged = std::conditional_t<reads_dy<pass>, RowsAndGradient, Rows>;

    // Behind the passes' shared memory: dt of two chunks, dt_weight, dt_bias and skip, and the gradient of dt_weight.
    static size_t extra_bytes(const Scan4& problem) {
        const int weights = pass == Pass::backward ? 2 : 1;
        const size_t floats = problem.dt_row * (2 * chunk_steps + weights * Tile::channels) + 2 * Tile::channels;
        return floats * sizeof(float);
    }

    const Scan4& problem;
    const ScanPlace place;
    const int direction, first_channel, live_channels;

    __device__ __forceinline__ Scan4Source(const Scan4& problem, float* extra)
        : problem(problem), place(problem), direction((int)(place.sequence % directions)),
          first_channel(place.block * Tile::channels), live_channels(min(Tile::channels, problem.channels - first_channel)),
          dt_(extra), weight_(dt_ + 2 * chunk_steps * problem.dt_row),
          dt_bias_(weight_ + problem.dt_row * Tile::channels), skip_(dt_bias_ + Tile::channels),
          dweight_(skip_ + Tile::channels), own_channel_(threadIdx.x % Tile::channels),
          own_step_(threadIdx.x / Tile::channels), image_((int)(place.sequence / directions) * problem.length) {
        const int parameters = direction * problem.channels + first_channel;
        // Rows of the channels as they come, so that reading is coalesced.
        for (int i = threadIdx.x; i < Tile::channels * problem.dt_row; i += Tile::threads) {
            const int c = i / problem.dt_row, r = i % problem.dt_row;
            const bool there = c < live_channels && r < problem.rank;
            weight_[r * Tile::channels + c] =
                there ? problem.dt_weight[(int64_t)(parameters + c) * problem.rank + r] : 0.0f;
            if constexpr (pass == Pass::backward) dweight_[i] = 0.0f;
        }
        if (threadIdx.x < Tile::channels) {
            const bool live = own_channel_ < live_channels;
            dt_bias_[own_channel_] = live ? problem.dt_bias[parameters + own_channel_] : 0.0f;
            skip_[own_channel_] = live ? problem.skip[parameters + own_channel_] : 0.0f;
        }
    }

    // Starts the copies of a chunk's rows; those past its end become zero. A warp copies whole rows of `projected`.
    __device__ __forceinline__ void stage(Staged& to, int buffer, int chunk, int group) {
        const int count = problem.steps(chunk), lane = threadIdx.x % warp_lanes, pixel = lane_pixel(chunk);
        float* dt = dt_ + buffer * chunk_steps * problem.dt_row;
        const int n = lane % group_states, state = group * group_states + n;
        const bool is_C = lane >= group_states;
#pragma unroll 1
        for (int t = threadIdx.x / warp_lanes; t < chunk_steps; t += Tile::warps) {
            const float* row = problem.projected + projected_row(__shfl_sync(whole_warp, pixel, t));
            const bool there = t < count;
#pragma unroll 1
            for (int r = lane; r < problem.dt_row; r += warp_lanes)
                copy_async<4>(dt + t * problem.dt_row + r, row + r, there && r < problem.rank);
            if (is_C ? reads_C<pass> : reads_B<pass>)
                copy_async<4>((is_C ? to.C : to.B) + t * group_states + n,
                              row + problem.rank + (is_C ? problem.states : 0) + state, there && state < problem.states);
        }
        if constexpr (reads_u<pass>) stage_channels(to.u, problem.u, count, pixel);
        if constexpr (reads_dy<pass>) stage_channels(to.dy, problem.dy, count, pixel);
    }

    // delta = softplus(dt_weight dt + dt_bias), and its slope in backward. A thread has one channel and every fourth step,
    // four of them at a time.
    __device__ __forceinline__ void enter(Staged&, int buffer, int chunk, float* delta, float* slope) {
        const int count = problem.steps(chunk);
#pragma unroll 1
        for (int base = 0; base < count; base += together * steps_apart) {
            const int first = base + own_step_;
            const float* dt = dt_ + (buffer * chunk_steps + first) * problem.dt_row;
            float pre[together];
#pragma unroll
            for (int k = 0; k < together; ++k) pre[k] = dt_bias_[own_channel_];
#pragma unroll 1
            for (int r = 0; r < problem.dt_row; r += 4) {
                const float* weight = weight_ + r * Tile::channels + own_channel_;
                const float w[4] = {weight[0], weight[Tile::channels], weight[2 * Tile::channels],
                                    weight[3 * Tile::channels]};
#pragma unroll
                for (int k = 0; k < together; ++k) {
                    const float4 x = *reinterpret_cast<const float4*>(dt + steps_apart * k * problem.dt_row + r);
                    pre[k] = fmaf(w[3], x.w, fmaf(w[2], x.z, fmaf(w[1], x.y, fmaf(w[0], x.x, pre[k]))));
                }
            }
#pragma unroll
            for (int k = 0; k < together; ++k) {
                const int t = first + steps_apart * k;
                const bool live = t < count && own_channel_ < live_channels;
                const Softplus softplus(pre[k]);
                delta[t * Tile::delta_row + own_channel_] = live ? softplus.value : 0.0f;
                if constexpr (pass == Pass::backward)
                    slope[t * Tile::delta_row + own_channel_] = live ? softplus.slope(pre[k]) : 0.0f;
            }
        }
    }

    __device__ __forceinline__ void leave_forward(const Staged& staged, int chunk, int group, const float* y) {
        const bool first = group == 0;
        write_channels(problem.y, chunk, first, [&](int t) {
            const float through_skip = first ? skip_[own_channel_] * staged.u[t * Tile::input_row + own_channel_] : 0.0f;
            return y[t * Tile::delta_row + own_channel_] + through_skip;
        });
    }

    // ---- backward ----

    // du takes the place of dy in shared memory, and dpre, the gradient of what went into softplus, that of delta.
    __device__ __forceinline__ void leave_step(Staged& staged, int t, int channel, int group, float* delta,
                                               const float* slope, float dinput, float ddelta, float) {
        float& dy = staged.dy[t * Tile::input_row + channel];
        float& step = delta[t * Tile::delta_row + channel];
        const float u = staged.u[t * Tile::input_row + channel], dout = dy;
        const float dpre = fmaf(dinput, u, ddelta) * slope[t * Tile::delta_row + channel];
        dy = fmaf(dinput, step, group == 0 ? skip_[channel] * dout : 0.0f);
        step = dpre;
        dbias_ += dpre;
        if (group == 0) dskip_ = fmaf(dout, u, dskip_);
    }

    // dB and dC of a run of steps: a warp writes the 16 states of both of a step.
    __device__ __forceinline__ void leave_run(const WarpSums<Tile>& sums, int chunk, int run, int group) {
        const int count = problem.steps(chunk), index = threadIdx.x % warp_lanes, pixel = lane_pixel(chunk);
        const int state = group * group_states + index % group_states;
        const int column = problem.rank + (index < group_states ? 0 : problem.states) + state;
        for (int step = threadIdx.x / warp_lanes; step < run_steps; step += Tile::warps) {
            const int t = run * run_steps + step;
            const int64_t row = projected_row(__shfl_sync(whole_warp, pixel, t));
            if (t < count && state < problem.states)
                own_dprojected()[row + column] = sum_of_warps<Tile>(sums, run, step, index);
        }
    }

    __device__ __forceinline__ void leave_backward(const Staged& staged, int buffer, int chunk, int group,
                                                   const float* dpre) {
        write_channels(problem.du, chunk, group == 0,
                       [&](int t) { return staged.dy[t * Tile::input_row + own_channel_]; });
        const int count = problem.steps(chunk), t = threadIdx.x % warp_lanes;
        // ddt = dpre . dt_weight: a lane has a step, a warp one column after the other.
        const int64_t row = projected_row(lane_pixel(chunk));
#pragma unroll 1
        for (int r = threadIdx.x / warp_lanes; r < problem.rank; r += Tile::warps) {
            float sum = 0.0f;
#pragma unroll 8
            for (int c = 0; c < Tile::channels; ++c)
                sum = fmaf(dpre[t * Tile::delta_row + c], weight_[r * Tile::channels + c], sum);
            float& ddt = own_dprojected()[row + r];
            if (t < count) ddt = group == 0 ? sum : ddt + sum;
        }
        // ddt_weight += dpre x dt: a thread has a channel and every fourth column.
        const float* dt = dt_ + buffer * chunk_steps * problem.dt_row;
#pragma unroll 1
        for (int r = own_step_; r < problem.rank; r += steps_apart) {
            float sum = dweight_[r * Tile::channels + own_channel_];
            for (int step = 0; step < count; ++step)
                sum = fmaf(dpre[step * Tile::delta_row + own_channel_], dt[step * problem.dt_row + r], sum);
            dweight_[r * Tile::channels + own_channel_] = sum;
        }
    }

    __device__ __forceinline__ float* dA(int channel) const {
        return gradient_set() + ((int64_t)direction * problem.channels + first_channel + channel) * problem.states;
    }

    __device__ __forceinline__ void finish(int channel) {
        const int64_t all = (int64_t)directions * problem.channels;
        float* dt_weight = gradient_set() + all * problem.states;
        float* dt_bias = dt_weight + all * problem.rank;
        const int64_t first = (int64_t)direction * problem.channels + first_channel;
        for (int r = own_step_; r < problem.rank; r += steps_apart)
            if (own_channel_ < live_channels)
                dt_weight[(first + own_channel_) * problem.rank + r] = dweight_[r * Tile::channels + own_channel_];
        for (int distance = 1; distance < state_lanes; distance *= 2) {
            dbias_ += __shfl_xor_sync(whole_warp, dbias_, distance);
            dskip_ += __shfl_xor_sync(whole_warp, dskip_, distance);
        }
        if (threadIdx.x % state_lanes == 0 && channel < live_channels) {
            dt_bias[first + channel] = dbias_;
            dt_bias[all + first + channel] = dskip_;
        }
    }

private:
    static constexpr int steps_apart = Tile::threads / Tile::channels, own_steps = chunk_steps / steps_apart;
    static constexpr int together = 4;  // of a thread's own steps

    // The pixel, counted through all images, of the step whose number in the chunk is the lane's.
    __device__ __forceinline__ int lane_pixel(int chunk) const {
        const int step = chunk * chunk_steps + (int)(threadIdx.x % warp_lanes);
        return image_ + (step < problem.length ? problem.visited(direction, step) : 0);
    }
    __device__ __forceinline__ int64_t projected_row(int pixel) const {
        return ((int64_t)pixel * directions + direction) * problem.columns;
    }
    __device__ __forceinline__ float* own_dprojected() const {
        return problem.dprojected + place.block * problem.images * problem.length * directions * problem.columns;
    }
    __device__ __forceinline__ float* gradient_set() const {
        const int64_t set = (int64_t)(place.sequence / directions) * problem.segments + place.segment;
        return problem.gradients + set * directions * problem.channels * (problem.states + problem.rank + 2);
    }

    __device__ __forceinline__ void stage_channels(float* to, const float* from, int count, int pixel) const {
        if (problem.vectors) {
            constexpr int row_vectors = Tile::channels / 4;
#pragma unroll
            for (int i = threadIdx.x; i < chunk_steps * row_vectors; i += Tile::threads) {
                const int t = i / row_vectors, c = i % row_vectors * 4;
                const int64_t row = __shfl_sync(whole_warp, pixel, t);
                copy_async<16>(to + t * Tile::input_row + c, from + row * problem.channels + (first_channel + c),
                               t < count && c < live_channels);
            }
        } else {
#pragma unroll 2
            for (int k = 0; k < own_steps; ++k) {
                const int t = own_step_ + steps_apart * k;
                const int64_t row = __shfl_sync(whole_warp, pixel, t);
                copy_async<4>(to + t * Tile::input_row + own_channel_, from + row * problem.channels + (first_channel + own_channel_),
                              t < count && own_channel_ < live_channels);
            }
        }
    }

    // Writes value(t) of the thread's own channel and steps to this direction's copy, or adds it.
    template <class Value>
    __device__ __forceinline__ void write_channels(float* copies, int chunk, bool first, Value&& value) const {
        const int count = problem.steps(chunk), pixel = lane_pixel(chunk);
        const int64_t copy = direction * problem.images * problem.length;
#pragma unroll 2
        for (int k = 0; k < own_steps; ++k) {
            const int t = own_step_ + steps_apart * k;
            const int64_t row = __shfl_sync(whole_warp, pixel, t);
            if (t < count && own_channel_ < live_channels) {
                float& to = copies[(copy + row) * problem.channels + (first_channel + own_channel_)];
                to = first ? value(t) : to + value(t);
            }
        }
    }

    float *dt_, *weight_, *dt_bias_, *skip_, *dweight_;
    const int own_channel_, own_step_;  // where a thread has a channel and every fourth step
    const int image_;                   // index of the image's first pixel; 2^31 would need more than a run's workspace
    float dbias_ = 0.0f, dskip_ = 0.0f;
};

}  // namespace medmamba::cuda
