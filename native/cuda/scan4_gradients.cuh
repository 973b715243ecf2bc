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

    // Of every thread, what its steps add to dskip of its channels: in shared memory, as the walk needs the
    // registers.
    struct Memory {
        alignas(16) float dskip[Tile::threads][channels];
    };

    __device__ __forceinline__ Scan4Gradients(const Scan4Block<T>& block, Memory& memory)
        : block_(block), problem_(block.problem), dskip_(memory.dskip[threadIdx.x]) {
        store(dskip_, broadcast(0.0f, Width<channels>{}));
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

    // dB and dC: a warp writes the 16 states of both of a step.
    __device__ __forceinline__ void leave_states(const Rows& rows, const RunMemory<Tile>& runs, int buffer, int count,
                                                 int group) const {
        const int thread = thread_anew(), index = thread % warp_lanes,
                  state = group * group_states + index % group_states;
        if (state >= problem_.states) return;
        T* column = own_dprojected() + problem_.rank + (index < group_states ? 0 : problem_.states) + state;
#pragma unroll 4
        for (int t = thread / warp_lanes; t < count; t += Tile::warps)
            *block_.projected_row(column, rows.pixel(buffer, t)) = rounded<T>(runs.sum(t, index));
    }

    // ddt = dpre . dt_weight: a lane has a step, a warp two columns at a time.
    __device__ __forceinline__ void leave_dt(const Rows& rows, const Scan4Delta<T, Tile>& delta, int buffer,
                                             int count, int group, const float* dpre) const {
        const int thread = thread_anew(), t = thread % warp_lanes;
        T* ddt = block_.projected_row(own_dprojected(), rows.pixel(buffer, t));
#pragma unroll 1
        for (int r = thread / warp_lanes * 2; r < problem_.rank; r += Tile::warps * 2) {
            float sum[2] = {};
#pragma unroll 4
            for (int c = 0; c < Tile::channels; c += 4) {
                const float* d = dpre + t * Tile::delta_row + c;
                const float d4[4] = {d[0], d[1], d[2], d[3]};
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const float4 w = *reinterpret_cast<const float4*>(delta.weight() + (r + i) * Tile::channels + c);
                    sum[i] = fmaf(d4[3], w.w, fmaf(d4[2], w.z, fmaf(d4[1], w.y, fmaf(d4[0], w.x, sum[i]))));
                }
            }
#pragma unroll
            for (int i = 0; i < 2; ++i)
                if (t < count && r + i < problem_.rank)
                    ddt[r + i] = rounded<T>(group == 0 ? sum[i] : to_float(ddt[r + i]) + sum[i]);
        }
    }

    // ddt_weight += dpre x dt, ddt_bias += dpre: a thread has a channel and four columns at a time, or the bias, in
    // the order of chunks.
    __device__ __forceinline__ void leave_dt_weight(const float* all_dt, int count, bool first,
                                                    const float* dpre) const {
        constexpr int apart = Tile::threads / Tile::channels;
        const int thread = thread_anew(), channel = thread % Tile::channels;
        if (!block_.live(channel)) return;
        if (thread / Tile::channels == apart - 1) {
            float sum = 0.0f;
#pragma unroll 8
            for (int step = 0; step < chunk_steps; ++step) sum += dpre[step * Tile::delta_row + channel];
            float& dbias = gradients(problem_.states + problem_.rank, 1)[channel];
            dbias = first ? sum : dbias + sum;
        }
#pragma unroll 1
        for (int r = thread / Tile::channels * 4; r < problem_.rank; r += apart * 4) {
            const float* dt = all_dt + r;
            float sum[4] = {};
#pragma unroll 4
            for (int step = 0; step < count; ++step) {
                const float d = dpre[step * Tile::delta_row + channel];
                const float4 x = *reinterpret_cast<const float4*>(dt + step * problem_.dt_row);
                sum[0] = fmaf(d, x.x, sum[0]), sum[1] = fmaf(d, x.y, sum[1]);
                sum[2] = fmaf(d, x.z, sum[2]), sum[3] = fmaf(d, x.w, sum[3]);
            }
            float* dweight = gradients(problem_.states, problem_.rank) + channel * problem_.rank + r;
#pragma unroll
            for (int i = 0; i < 4; ++i)
                if (r + i < problem_.rank) dweight[i] = first ? sum[i] : dweight[i] + sum[i];
        }
    }

    __device__ __forceinline__ float* dA(int channel) const {
        return gradients(0, problem_.states) + channel * problem_.states;
    }

    // skip's, of a thread's channels from `channel` on.
    __device__ __forceinline__ void finish(int channel) {
#pragma unroll
        for (int k = 0; k < channels; ++k, ++channel) {
            float dskip = dskip_[k];
            for (int distance = Tile::lanes_apart; distance < warp_lanes; distance *= 2)
                dskip += __shfl_xor_sync(whole_warp, dskip, distance);
            if (threadIdx.x % warp_lanes < Tile::lanes_apart && block_.live(channel))
                gradients(problem_.states + problem_.rank + 1, 1)[channel] = dskip;
        }
    }

private:
    __device__ __forceinline__ T* own_dprojected() const {
        return problem_.dprojected +
               block_.place.block * problem_.images * problem_.length * directions * problem_.columns +
               block_.place.direction * problem_.columns;
    }
    // The block's part of its gradient set, from its first channel, of the gradient that has `width` floats a channel
    // and comes after `before` floats a channel.
    __device__ __forceinline__ float* gradients(int before, int width) const {
        const ScanPlace& place = block_.place;
        const int64_t set = (int64_t)(place.sequence / directions) * problem_.segments + place.segment;
        const int64_t all = (int64_t)directions * problem_.channels;
        return problem_.gradients + (set * (problem_.states + problem_.rank + 2) + before) * all +
               block_.parameter() * width;
    }

    const Scan4Block<T> block_;
    const Scan4<T>& problem_;
    float* dskip_;
};

}  // namespace medmamba::cuda
