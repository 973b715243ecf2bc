// What backward of the four-direction scan leaves behind: du in shared memory, dprojected, and the parameters'
// gradients.
#pragma once

#include "scan4_delta.cuh"
#include "scan4_rows.cuh"

namespace medmamba::cuda {

template <class T, class Tile>
class Scan4Gradients {
public:
    using Rows = Scan4Rows<T, Tile, Pass::backward>;
    static constexpr int channels = Tile::thread_channels;

    // Behind the passes' memory: the sums of ddt_weight | ddt_bias, (channels, dt_row), each a thread's own. In float32
    // GPUs before 8.0 have no room for them: they are where the gradients are.
    static __host__ __device__ __forceinline__ int extra_floats(const Scan4<T>& problem) {
        return is_exact<T> ? 0 : Tile::channels * problem.dt_row;
    }

    // In shared memory, as the walk needs the registers.
    struct Memory {
        alignas(16) float dskip[Tile::threads][channels];  // of every thread, what its steps add to its channels'
        // Where the block's channels' gradients are, and its copy of its direction's columns.
        float *dA, *ddt_weight, *ddt_bias, *dskip_sums;
        T* dprojected;
    };

    __device__ __forceinline__ Scan4Gradients(const Scan4Block<T>& block, Memory& memory, float* extra)
        : block_(block),
          problem_(block.problem),
          memory_(memory),
          dskip_(memory.dskip[threadIdx.x]),
          dt_weight_(extra) {
        store(dskip_, broadcast(0.0f, Width<channels>{}));
        for (int i = threadIdx.x; i < extra_floats(problem_); i += Tile::threads) dt_weight_[i] = 0.0f;
        if (threadIdx.x > 0) return;
        const ScanPlace& place = block_.place;
        const int64_t set = (int64_t)(place.sequence / directions) * problem_.segments + place.segment;
        const int64_t all = (int64_t)directions * problem_.channels, own = block_.parameter();
        const int states = problem_.states, rank = problem_.rank;
        float* gradients = problem_.gradients + set * (states + rank + 2) * all;
        memory.dA = gradients + own * states;
        memory.ddt_weight = gradients + all * states + own * rank;
        memory.ddt_bias = gradients + all * (states + rank) + own;
        memory.dskip_sums = gradients + all * (states + rank + 1) + own;
        memory.dprojected = problem_.dprojected +
                            block_.place.block * problem_.images * problem_.length * directions * problem_.columns +
                            block_.place.direction * problem_.columns;
    }

    // du takes the place of dy in shared memory, and dpre, the gradient of what went into softplus, that of delta.
    __device__ __forceinline__ void leave_step(typename Rows::Channels& rows, const float* skip, int t, int channel,
                                               int group, float* delta, const float* slope,
                                               const float (&dinput)[channels], const float (&ddelta)[channels]) {
        constexpr Width<channels> width;
        const int place = t * Tile::channels + channel, delta_place = t * Tile::delta_row + channel;
        const Floats<channels> u = load(rows.u + place, width), dout = load(rows.dy + place, width);
        const Floats<channels> step = load(delta + delta_place, width), of_slope = load(slope + delta_place, width);
        const Floats<channels> of_skip = load(skip + channel, width);
        Floats<channels> du, dpre, dskip = load(dskip_, width);
#pragma unroll
        for (int k = 0; k < channels; ++k) {
            dpre.lane[k] = fmaf(dinput[k], u.lane[k], ddelta[k]) * of_slope.lane[k];
            du.lane[k] = fmaf(dinput[k], step.lane[k], group == 0 ? of_skip.lane[k] * dout.lane[k] : 0.0f);
            dskip.lane[k] = fmaf(dout.lane[k], u.lane[k], dskip.lane[k]);
        }
        store(rows.dy + place, du);
        store(delta + delta_place, dpre);
        if (group == 0) store(dskip_, dskip);
    }

    // dB and dC: a lane writes four states of a step.
    __device__ __forceinline__ void leave_states(const Rows& rows, const RunMemory<Tile>& runs, int buffer, int count,
                                                 int group) const {
        constexpr int lanes = 2 * group_states / 4;
        const int thread = thread_anew(), index = thread % lanes * 4,
                  state = group * group_states + index % group_states;
        const int left = problem_.states - state;
        T* column = memory_.dprojected + problem_.rank + (index < group_states ? 0 : problem_.states) + state;
#pragma unroll 1
        for (int t = thread / lanes; t < count; t += Tile::threads / lanes) {
            T* to = block_.projected_row(column, rows.pixel(buffer, t));
            float sum[4];
            runs.load_sums(t, index, sum);
#pragma unroll
            for (int n = 0; n < 4; ++n)
                if (n < left) to[n] = rounded<T>(sum[n]);
        }
    }

    // ddt = dpre . dt_weight.
    __device__ __forceinline__ void leave_dt(const Rows& rows, const Scan4Delta<T, Tile>& delta, int buffer,
                                             int count, int group, const float* dpre) const {
        const auto leave = [&](T& ddt, float sum) { ddt = rounded<T>(group == 0 ? sum : to_float(ddt) + sum); };
        if constexpr (is_exact<T>)
            dt_by_steps(rows, delta.weight(), buffer, count, dpre, leave);
        else
            dt_by_tiles(rows, delta.weight(), buffer, count, dpre, leave);
    }

    // ddt_weight += dpre x dt, and with it ddt_bias, in the order of chunks.
    __device__ __forceinline__ void leave_dt_weight(const float* dt, int count, bool first, const float* dpre) const {
        if constexpr (is_exact<T>)
            dt_weight_by_channels(dt, count, first, dpre);
        else
            dt_weight_by_tiles(dt, dpre);
    }

    __device__ __forceinline__ float* dA(int channel) const {
        return memory_.dA + channel * problem_.states;
    }

    // skip's, of a thread's channels from `channel` on, and those of delta's projection.
    __device__ __forceinline__ void finish(int channel) {
        if constexpr (!is_exact<T>) {
            __syncthreads();
            const int columns = problem_.rank + 1;
            for (int i = threadIdx.x; i < Tile::channels * columns; i += Tile::threads) {
                const int c = i / columns, r = i % columns;
                if (block_.live(c)) dt_weight_gradient(c, r) = dt_weight_[c * problem_.dt_row + r];
            }
        }
#pragma unroll
        for (int k = 0; k < channels; ++k, ++channel) {
            float dskip = dskip_[k];
            for (int distance = Tile::lanes_apart; distance < warp_lanes; distance *= 2)
                dskip += __shfl_xor_sync(whole_warp, dskip, distance);
            if (threadIdx.x % warp_lanes < Tile::lanes_apart && block_.live(channel))
                memory_.dskip_sums[channel] = dskip;
        }
    }

private:
    // A lane has a step, a warp two columns at a time.
    template <class Leave>
    __device__ __forceinline__ void dt_by_steps(const Rows& rows, const float* weight, int buffer, int count,
                                                const float* dpre, Leave&& leave) const {
        constexpr int weight_row = Scan4Delta<T, Tile>::weight_row;
        const int thread = thread_anew(), t = thread % warp_lanes;
        T* ddt = block_.projected_row(memory_.dprojected, rows.pixel(buffer, t));
#pragma unroll 1
        for (int r = thread / warp_lanes * 2; r < problem_.rank; r += Tile::warps * 2) {
            float sum[2] = {};
#pragma unroll 4
            for (int c = 0; c < Tile::channels; c += 4) {
                const float* d = dpre + t * Tile::delta_row + c;
                const float d4[4] = {d[0], d[1], d[2], d[3]};
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const float4 w = *reinterpret_cast<const float4*>(weight + (r + i) * weight_row + c);
                    sum[i] = fmaf(d4[3], w.w, fmaf(d4[2], w.z, fmaf(d4[1], w.y, fmaf(d4[0], w.x, sum[i]))));
                }
            }
#pragma unroll
            for (int i = 0; i < 2; ++i)
                if (t < count && r + i < problem_.rank) leave(ddt[r + i], sum[i]);
        }
    }
    // A warp has a tile of 16 steps and 8 columns at a time.
    template <class Leave>
    __device__ __forceinline__ void dt_by_tiles(const Rows& rows, const float* weight, int buffer, int count,
                                                const float* dpre, Leave&& leave) const {
        constexpr int weight_row = Scan4Delta<T, Tile>::weight_row, step_tiles = chunk_steps / 16;
        const int thread = thread_anew();
        const TileLane lane(thread);
#pragma unroll 1
        for (int tile = thread / warp_lanes; tile / step_tiles * 8 < problem_.rank; tile += Tile::warps) {
            const int first_step = tile % step_tiles * 16, first = tile / step_tiles * 8;
            float sum[4] = {};
            lane.add_product<Tile::channels>(
                sum, [&](int row, int c) { return dpre[(first_step + row) * Tile::delta_row + c]; },
                [&](int c, int column) { return weight[(first + column) * weight_row + c]; });
            const int t = first_step + lane.group, r = first + lane.column;
            T* ddt = memory_.dprojected + r;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                if (t + 8 * half >= count) continue;
                T* to = block_.projected_row(ddt, rows.pixel(buffer, t + 8 * half));
#pragma unroll
                for (int i = 0; i < 2; ++i)
                    if (r + i < problem_.rank) leave(to[i], sum[2 * half + i]);
            }
        }
    }

    // A thread has a channel and four columns at a time.
    __device__ __forceinline__ void dt_weight_by_channels(const float* all_dt, int count, bool first,
                                                          const float* dpre) const {
        constexpr int apart = Tile::threads / Tile::channels;
        const int thread = thread_anew(), channel = thread % Tile::channels;
#pragma unroll 1
        for (int r = thread / Tile::channels * 4; r <= problem_.rank; r += apart * 4) {
            const float* dt = all_dt + r;
            float sum[4] = {};
#pragma unroll 4
            for (int step = 0; step < count; ++step) {
                const float d = dpre[step * Tile::delta_row + channel];
                const float4 x = *reinterpret_cast<const float4*>(dt + step * problem_.dt_row);
                sum[0] = fmaf(d, x.x, sum[0]), sum[1] = fmaf(d, x.y, sum[1]);
                sum[2] = fmaf(d, x.z, sum[2]), sum[3] = fmaf(d, x.w, sum[3]);
            }
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                if (!block_.live(channel) || r + i > problem_.rank) continue;
                float& to = dt_weight_gradient(channel, r + i);
                to = first ? sum[i] : to + sum[i];
            }
        }
    }
    // A warp has a tile of 16 channels and 8 columns at a time.
    __device__ __forceinline__ void dt_weight_by_tiles(const float* dt, const float* dpre) const {
        constexpr int channel_tiles = Tile::channels / 16;
        const int thread = thread_anew();
        const TileLane lane(thread);
#pragma unroll 1
        for (int tile = thread / warp_lanes; tile / channel_tiles * 8 <= problem_.rank; tile += Tile::warps) {
            const int first_channel = tile % channel_tiles * 16, first = tile / channel_tiles * 8;
            float sum[4] = {};
            lane.add_product<chunk_steps>(
                sum, [&](int row, int step) { return dpre[step * Tile::delta_row + first_channel + row]; },
                [&](int step, int column) { return dt[step * problem_.dt_row + first + column]; });
            float* to = dt_weight_ + (first_channel + lane.group) * problem_.dt_row + first + lane.column;
#pragma unroll
            for (int half = 0; half < 2; ++half, to += 8 * problem_.dt_row) {
                Floats<2> all = load(to, Width<2>{});
                all.lane[0] += sum[2 * half], all.lane[1] += sum[2 * half + 1];
                store(to, all);
            }
        }
    }
    // ddt_weight's in memory, and of column `rank` ddt_bias's.
    __device__ __forceinline__ float& dt_weight_gradient(int channel, int r) const {
        return *(r < problem_.rank ? memory_.ddt_weight + channel * problem_.rank + r : memory_.ddt_bias + channel);
    }

    const Scan4Block<T> block_;
    const Scan4<T>& problem_;
    const Memory& memory_;
    float *dskip_, *dt_weight_;
};

}  // namespace medmamba::cuda
