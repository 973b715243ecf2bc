// The four-direction scan as a source of chunks (scan_passes.cuh), for forward and for backward: the pixels that a
// direction visits, delta from its projection, and where results go.
//
// Directions run side by side, each to a copy of its own of y (of du, backward), which are added at the end: that
// reads and writes less than 1.3 times what one block visiting all four would, and there are four times as many
// blocks. A run of images is as many as scan_runs.cuh lets the copies take.
//
// What comes from memory and what goes there, the copies included, is kept as T, float32 or bfloat16; the parameters
// and their gradients are float32.
#pragma once

#include <type_traits>

#include "scan4_rows.cuh"
#include "scan_sums.cuh"

namespace medmamba::cuda {

constexpr int directions = 4;

template <class T>
struct Scan4 : ScanShape {
    int64_t images;  // of this run
    int height, width, rank, columns;
    int dt_row;    // rank rounded up to whole float4
    bool vectors;  // rows of u and dy can be copied 16 bytes at a time
    const T *u, *projected, *dy;
    const float *dt_weight, *dt_bias, *A_log, *skip;
    T* y;              // (4, images, pixels, D)
    T* du;             // (4, images, pixels, D)
    T* dprojected;     // (blocks, images, pixels, 4, columns)
    float* gradients;  // (images, segments, gradient_floats)

    // Of one image or segment: dA (4, D, N) | ddt_weight (4, D, R) | ddt_bias (4, D) | dskip (4, D)
    int64_t gradient_floats() const { return (int64_t)directions * channels * (states + rank + 2); }

    // For runs of up to so many images.
    template <class Params>
    void take_shape(const Params& p, int block_channels, int64_t run_images) {
        height = (int)p.height, width = (int)p.width, length = height * width;
        channels = (int)p.channels, states = (int)p.states, rank = (int)p.rank;
        columns = rank + 2 * states, dt_row = (rank + 3) / 4 * 4;
        blocks = (int)ceil_div(channels, block_channels);
        dt_weight = p.dt_weight, dt_bias = p.dt_bias, A_log = p.A_log, skip = p.skip;
        sequences = run_images * directions;
        cut_into_segments(block_channels);
    }
    template <class Params>
    void take_images(const Params& p, int64_t first, int64_t count) {
        images = count, sequences = images * directions;
        u = stored<T>(p.u) + first * length * channels;
        projected = stored<T>(p.projected) + first * length * directions * columns;
    }
    // Floats that `elements` of T take.
    static int64_t floats(int64_t elements) { return ceil_div(elements * (int64_t)sizeof(T), sizeof(float)); }

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

template <class T, int block_channels, Pass pass_, int lane_states, int thread_channels = 1>
class Scan4Source {
public:
    using Problem = Scan4<T>;
    using Tile = ScanTile<block_channels, lane_states, thread_channels, block_channels, group_states>;
    static constexpr Pass pass = pass_;
    static constexpr bool gated = false, exact = !std::is_same_v<T, BFloat16>;
    using Element = float;  // of u and dy in shared memory
    static constexpr bool is_widened = !std::is_same_v<T, float>;
    static constexpr int staged_chunks = is_widened ? 1 : 2;  // as float32: what is widened has its other buffers

    struct Rows {
        float u[chunk_steps * Tile::input_row], B[chunk_steps * group_states], C[chunk_steps * group_states];
    };
    struct RowsAndGradient : Rows {
        float dy[chunk_steps * Tile::input_row];
    };
    using Staged = std::conditional_t<reads_dy<pass>, RowsAndGradient, Rows>;

    // Behind the passes' shared memory: dt of the staged chunks, dt_weight, dt_bias and skip, and what is widened.
    static size_t extra_bytes(const Problem& problem) {
        const size_t floats = problem.dt_row * (staged_chunks * chunk_steps + Tile::channels) + 2 * Tile::channels;
        return floats * sizeof(float) + (is_widened ? Chunks::bytes(problem.columns) : 0);
    }

    const Problem& problem;
    const ScanPlace place;
    const int direction, first_channel, live_channels;

    __device__ __forceinline__ Scan4Source(const Problem& problem, float* extra)
        : problem(problem), place(problem), direction((int)(place.sequence % directions)),
          first_channel(place.block * Tile::channels),
          live_channels(min(Tile::channels, problem.channels - first_channel)),
          dt_(extra), weight_(dt_ + staged_chunks * chunk_steps * problem.dt_row),
          dt_bias_(weight_ + problem.dt_row * Tile::channels), skip_(dt_bias_ + Tile::channels),
          chunks_(skip_ + Tile::channels, problem.columns, direction * problem.columns % 2),
          own_channel_(threadIdx.x % Tile::channels), own_step_(threadIdx.x / Tile::channels),
          image_((int)(place.sequence / directions) * problem.length) {
        const int parameters = direction * problem.channels + first_channel;
        // Rows of the channels as they come, so that reading is coalesced.
        for (int i = threadIdx.x; i < Tile::channels * problem.dt_row; i += Tile::threads) {
            const int c = i / problem.dt_row, r = i % problem.dt_row;
            const bool there = c < live_channels && r < problem.rank;
            weight_[r * Tile::channels + c] =
                there ? problem.dt_weight[(int64_t)(parameters + c) * problem.rank + r] : 0.0f;
        }
        for (int c = threadIdx.x; c < Tile::channels; c += Tile::threads) {
            dt_bias_[c] = live(c) ? problem.dt_bias[parameters + c] : 0.0f;
            skip_[c] = live(c) ? problem.skip[parameters + c] : 0.0f;
        }
    }

    __device__ __forceinline__ bool live(int channel) const { return channel < live_channels; }

    // Starts the copies of a chunk's rows; those past its end become zero. A warp copies whole rows of `projected`.
    __device__ __forceinline__ void stage(Staged& to, int buffer, int chunk, int group) {
        const int count = problem.steps(chunk), lane = threadIdx.x % warp_lanes, pixel = lane_pixel(chunk);
        if constexpr (is_widened) {
#pragma unroll 2
            for (int t = threadIdx.x / warp_lanes; t < chunk_steps; t += Tile::warps) {
                const int row = __shfl_sync(whole_warp, pixel, t);
                const T* from = problem.projected + direction * problem.columns;
                chunks_.stage_projected(buffer, t, projected_row(from, row), t < count);
            }
            if constexpr (reads_u<pass>) stage_channels(chunks_.u(buffer), problem.u, count, pixel);
            if constexpr (reads_dy<pass>) stage_channels(chunks_.dy(buffer), problem.dy, count, pixel);
        } else {
            stage_floats(to, buffer, count, pixel, lane, group);
        }
    }
    __device__ __forceinline__ void stage_floats(Staged& to, int buffer, int count, int pixel, int lane, int group) {
        const int n = lane % group_states, state = group * group_states + n;
        const bool is_C = lane >= group_states, copies_state = is_C ? reads_C<pass> : reads_B<pass>;
        const float* dt_from = problem.projected + direction * problem.columns;
        const float* state_from = dt_from + problem.rank + (is_C ? problem.states : 0) + state;
        float* dt_to = dt_ + buffer * chunk_steps * problem.dt_row;
        float* state_to = (is_C ? to.C : to.B) + n;
#pragma unroll 2
        for (int t = threadIdx.x / warp_lanes; t < chunk_steps; t += Tile::warps) {
            const int row = __shfl_sync(whole_warp, pixel, t);
            const bool there = t < count;
            if (copies_state)
                copy_async<4>(state_to + t * group_states, projected_row(state_from, row),
                              there && state < problem.states);
#pragma unroll 1
            for (int r = lane; r < problem.dt_row; r += warp_lanes)
                copy_async<4>(dt_to + t * problem.dt_row + r, projected_row(dt_from + r, row),
                              there && r < problem.rank);
        }
        if constexpr (reads_u<pass>) stage_channels(to.u, problem.u, count, pixel);
        if constexpr (reads_dy<pass>) stage_channels(to.dy, problem.dy, count, pixel);
    }

    // delta = softplus(dt_weight dt + dt_bias), and its slope in backward. A thread has one channel and every step of
    // one, two or four, four of its steps at a time.
    __device__ __forceinline__ void enter(Staged& staged, int buffer, int chunk, int group, float* delta,
                                          float* slope) {
        const int count = problem.steps(chunk);
        if constexpr (is_widened) widen(staged, buffer, group);
#pragma unroll 1
        for (int base = 0; base < count; base += together * steps_apart) {
            const int first = base + own_step_;
            const float* dt = staged_dt(buffer) + first * problem.dt_row;
            const float bias = dt_bias_[own_channel_];
            float pre[together];
#pragma unroll
            for (int k = 0; k < together; ++k) pre[k] = bias;
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
                const bool there = t < count && live(own_channel_);
                const Softplus softplus(pre[k]);
                delta[t * Tile::delta_row + own_channel_] = there ? softplus.value : 0.0f;
                if constexpr (pass == Pass::backward)
                    slope[t * Tile::delta_row + own_channel_] = there ? softplus.slope(pre[k]) : 0.0f;
            }
        }
    }

    __device__ __forceinline__ void leave_forward(const Staged& staged, int chunk, int group, const float* y) {
        const float skip = group == 0 ? skip_[own_channel_] : 0.0f;
        write_channels(problem.y, chunk, group == 0, [&](int t) {
            return fmaf(skip, staged.u[t * Tile::input_row + own_channel_], y[t * Tile::delta_row + own_channel_]);
        });
    }

    // ---- backward ----

    // du takes the place of dy in shared memory, and dpre, the gradient of what went into softplus, that of delta.
    __device__ __forceinline__ void leave_step(Staged& staged, int t, int k, int channel, int group, float* delta,
                                               const float* slope, float dinput, float ddelta, float) {
        float& dy = staged.dy[t * Tile::input_row + channel];
        float& step = delta[t * Tile::delta_row + channel];
        const float u = staged.u[t * Tile::input_row + channel], dout = dy;
        const float dpre = fmaf(dinput, u, ddelta) * slope[t * Tile::delta_row + channel];
        dy = fmaf(dinput, step, group == 0 ? skip_[channel] * dout : 0.0f);
        step = dpre;
        dbias_[k] += dpre;
        if (group == 0) dskip_[k] = fmaf(dout, u, dskip_[k]);
    }

    // dB and dC: a warp writes the 16 states of both of a step.
    __device__ __forceinline__ void leave_states(const RunMemory<Tile>& runs, int chunk, int group) {
        const int count = problem.steps(chunk), index = threadIdx.x % warp_lanes, pixel = lane_pixel(chunk);
        const int state = group * group_states + index % group_states;
        const int column = problem.rank + (index < group_states ? 0 : problem.states) + state;
        for (int t = threadIdx.x / warp_lanes; t < chunk_steps; t += Tile::warps) {
            T* row = projected_row(own_dprojected(), __shfl_sync(whole_warp, pixel, t));
            if (t < count && state < problem.states) row[column] = rounded<T>(runs.sum(t, index));
        }
    }

    __device__ __forceinline__ void leave_backward(const Staged& staged, int buffer, int chunk, int group,
                                                   const float* dpre) {
        write_channels(problem.du, chunk, group == 0,
                       [&](int t) { return staged.dy[t * Tile::input_row + own_channel_]; });
        const int count = problem.steps(chunk), t = threadIdx.x % warp_lanes;
        // ddt = dpre . dt_weight: a lane has a step, a warp two columns at a time.
        T* ddt = projected_row(own_dprojected(), lane_pixel(chunk));
#pragma unroll 1
        for (int r = threadIdx.x / warp_lanes * 2; r < problem.rank; r += Tile::warps * 2) {
            float sum[2] = {};
#pragma unroll 4
            for (int c = 0; c < Tile::channels; c += 4) {
                const float* d = dpre + t * Tile::delta_row + c;
                const float d4[4] = {d[0], d[1], d[2], d[3]};
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const float4 w = *reinterpret_cast<const float4*>(weight_ + (r + i) * Tile::channels + c);
                    sum[i] = fmaf(d4[3], w.w, fmaf(d4[2], w.z, fmaf(d4[1], w.y, fmaf(d4[0], w.x, sum[i]))));
                }
            }
#pragma unroll
            for (int i = 0; i < 2; ++i)
                if (t < count && r + i < problem.rank)
                    ddt[r + i] = rounded<T>(group == 0 ? sum[i] : to_float(ddt[r + i]) + sum[i]);
        }
        // ddt_weight += dpre x dt: a thread has a channel and four columns at a time, in the order of chunks.
        const bool first = group == 0 && chunk == place.last_chunk;
#pragma unroll 1
        for (int r = own_step_ * 4; r < problem.rank; r += steps_apart * 4) {
            const float* dt = staged_dt(buffer) + r;
            float sum[4] = {};
#pragma unroll 4
            for (int step = 0; step < count; ++step) {
                const float d = dpre[step * Tile::delta_row + own_channel_];
                const float4 x = *reinterpret_cast<const float4*>(dt + step * problem.dt_row);
                sum[0] = fmaf(d, x.x, sum[0]), sum[1] = fmaf(d, x.y, sum[1]);
                sum[2] = fmaf(d, x.z, sum[2]), sum[3] = fmaf(d, x.w, sum[3]);
            }
            float* dweight = gradients(problem.states, problem.rank) + own_channel_ * problem.rank + r;
#pragma unroll
            for (int i = 0; i < 4; ++i)
                if (live(own_channel_) && r + i < problem.rank) dweight[i] = first ? sum[i] : dweight[i] + sum[i];
        }
    }

    __device__ __forceinline__ float* dA(int channel) const {
        return gradients(0, problem.states) + channel * problem.states;
    }

    __device__ __forceinline__ void finish(int channel) {
#pragma unroll
        for (int k = 0; k < thread_channels; ++k, ++channel) {
            for (int distance = Tile::lanes_apart; distance < warp_lanes; distance *= 2) {
                dbias_[k] += __shfl_xor_sync(whole_warp, dbias_[k], distance);
                dskip_[k] += __shfl_xor_sync(whole_warp, dskip_[k], distance);
            }
            if (threadIdx.x % warp_lanes < Tile::lanes_apart && live(channel)) {
                gradients(problem.states + problem.rank, 1)[channel] = dbias_[k];
                gradients(problem.states + problem.rank + 1, 1)[channel] = dskip_[k];
            }
        }
    }

private:
    using Chunks = BFloat16Chunks<Tile, pass>;
    static constexpr int steps_apart = Tile::threads / Tile::channels, own_steps = chunk_steps / steps_apart;
    static constexpr int together = 4;  // of a thread's own steps

    // The pixel, counted through all images, of the step whose number in the chunk is the lane's.
    __device__ __forceinline__ int lane_pixel(int chunk) const {
        const int step = chunk * chunk_steps + (int)(threadIdx.x % warp_lanes);
        return image_ + (step < problem.length ? problem.visited(direction, step) : 0);
    }
    // A pixel's row of those that begin at `rows`. In bytes the address is one multiply-add of two ints.
    template <class Float>
    static __device__ __forceinline__ Float* row_at(Float* rows, int pixel, int row_floats) {
        return global_offset(rows, (int64_t)pixel * (row_floats * (int)sizeof(Float)));
    }
    template <class Float>
    __device__ __forceinline__ Float* projected_row(Float* rows, int pixel) const {
        return row_at(rows, pixel, directions * problem.columns);
    }
    __device__ __forceinline__ T* own_dprojected() const {
        return problem.dprojected + place.block * problem.images * problem.length * directions * problem.columns +
               direction * problem.columns;
    }
    __device__ __forceinline__ float* staged_dt(int buffer) const {
        return dt_ + (is_widened ? 0 : buffer) * chunk_steps * problem.dt_row;
    }
    // The rows at hand as float32; ends with a barrier.
    __device__ __forceinline__ void widen(Staged& to, int buffer, int group) const {
        const int lane = threadIdx.x % warp_lanes, n = lane % group_states, state = group * group_states + n;
        const bool is_C = lane >= group_states;
        const int column = problem.rank + (is_C ? problem.states : 0) + state;
        for (int t = threadIdx.x / warp_lanes; t < chunk_steps; t += Tile::warps) {
            if (is_C ? reads_C<pass> : reads_B<pass>)
                (is_C ? to.C : to.B)[t * group_states + n] =
                    state < problem.states ? chunks_.at(buffer, t, column) : 0.0f;
            for (int r = lane; r < problem.dt_row; r += warp_lanes)
                dt_[t * problem.dt_row + r] = r < problem.rank ? chunks_.at(buffer, t, r) : 0.0f;
        }
        if constexpr (reads_u<pass>) Chunks::widen(chunks_.u(buffer), to.u);
        if constexpr (reads_dy<pass>) Chunks::widen(chunks_.dy(buffer), to.dy);
        __syncthreads();
    }
    // The block's part of its gradient set, from its first channel, of the gradient that has `width` floats a channel
    // and comes after `before` floats a channel.
    __device__ __forceinline__ float* gradients(int before, int width) const {
        const int64_t set = (int64_t)(place.sequence / directions) * problem.segments + place.segment;
        const int64_t all = (int64_t)directions * problem.channels;
        const int64_t first = (int64_t)direction * problem.channels + first_channel;
        return problem.gradients + (set * (problem.states + problem.rank + 2) + before) * all + first * width;
    }

    __device__ __forceinline__ void stage_channels(T* to, const T* from, int count, int pixel) const {
        from += first_channel;
        if (problem.vectors) {
            constexpr int vector = 16 / (int)sizeof(T), row_vectors = Tile::channels / vector;
#pragma unroll
            for (int i = threadIdx.x; i < chunk_steps * row_vectors; i += Tile::threads) {
                const int t = i / row_vectors, c = i % row_vectors * vector;
                const T* row = row_at(from + c, __shfl_sync(whole_warp, pixel, t), problem.channels);
                copy_async<16>(to + t * Tile::input_row + c, row, t < count && live(c));
            }
        } else {
#pragma unroll 2
            for (int k = 0; k < own_steps; ++k) {
                const int t = own_step_ + steps_apart * k, c = own_channel_;
                const T* row = row_at(from + c, __shfl_sync(whole_warp, pixel, t), problem.channels);
                const bool there = t < count && live(c);
                if constexpr (is_widened)
                    to[t * Tile::input_row + c] = there ? *row : T{};  // no asynchronous copy moves 2 bytes
                else
                    copy_async<4>(to + t * Tile::input_row + c, row, there);
            }
        }
    }

    // Writes value(t) of the thread's own channel and steps to this direction's copy, or adds it.
    template <class Value>
    __device__ __forceinline__ void write_channels(T* copies, int chunk, bool first, Value&& value) const {
        const int count = live(own_channel_) ? problem.steps(chunk) : 0, pixel = lane_pixel(chunk);
        T* own =
            copies + direction * problem.images * problem.length * problem.channels + first_channel + own_channel_;
        const auto each_row = [&](auto&& write) {
#pragma unroll 4
            for (int k = 0; k < own_steps; ++k) {
                const int t = own_step_ + steps_apart * k;
                T* to = row_at(own, __shfl_sync(whole_warp, pixel, t), problem.channels);
                if (t < count) write(to, value(t));
            }
        };
        if (first)
            each_row([](T* to, float x) { *to = rounded<T>(x); });
        else
            each_row([](T* to, float x) { *to = rounded<T>(to_float(*to) + x); });
    }

    float *dt_, *weight_, *dt_bias_, *skip_;
    const Chunks chunks_;
    const int own_channel_, own_step_;  // where a thread has one channel, and its first step
    const int image_;  // index of the image's first pixel; 2^31 would need more than a run's workspace
    float dbias_[thread_channels] = {}, dskip_[thread_channels] = {};
};

}  // namespace medmamba::cuda
