// The four-direction scan as a source of chunks (scan_passes.cuh), for forward and for backward: rows of the pixels
// that a direction visits (scan4_rows.cuh), delta from its projection (scan4_delta.cuh), and gradients
// (scan4_gradients.cuh).
#pragma once

#include <type_traits>

#include "scan4_gradients.cuh"

namespace medmamba::cuda {

template <class T, int block_channels, Pass pass_, int lane_states, int thread_channels = 1>
class Scan4Source {
public:
    using Problem = Scan4<T>;
    using Tile = ScanTile<block_channels, lane_states, thread_channels,
                          scan4_delta_row<T, block_channels, thread_channels>, block_channels, group_states>;
    using Element = T;
    static constexpr Pass pass = pass_;
    static constexpr bool gated = false, exact = is_exact<T>;

private:
    using Rows = Scan4Rows<T, Tile, pass>;
    using Delta = Scan4Delta<T, Tile>;
    using Gradients = Scan4Gradients<T, Tile>;

public:
    struct Nothing {};
    struct alignas(16) Memory {
        typename Rows::Memory rows;
        float skip[Tile::channels];
        Scan4Place place;
        std::conditional_t<pass == Pass::backward, typename Gradients::Memory, Nothing> gradients;
    };

    const Problem& problem;
    const Scan4Place& place;

    // Behind the passes' shared memory: what depends on the rank.
    static size_t extra_bytes(const Problem& problem) {
        const int gradients = pass == Pass::backward ? Gradients::extra_floats(problem) : 0;
        return (Rows::extra_floats(problem) + Delta::extra_floats(problem) + gradients) * sizeof(float);
    }

    __device__ __forceinline__ Scan4Source(const Problem& problem, Memory& memory, float* extra)
        : problem(problem),
          place(placed(problem, memory)),
          block_{problem, place},
          rows_(block_, memory.rows, extra),
          delta_(block_, extra + Rows::extra_floats(problem)),
          skip_(memory.skip),
          gradients_(gradients(block_, memory, extra + Rows::extra_floats(problem) + Delta::extra_floats(problem))) {
        for (int c = threadIdx.x; c < Tile::channels; c += Tile::threads)
            skip_[c] = live(c) ? problem.skip[block_.parameter() + c] : 0.0f;
    }

    __device__ __forceinline__ int first_channel() const { return place.first_channel; }
    __device__ __forceinline__ bool live(int channel) const { return block_.live(channel); }

    __device__ __forceinline__ void stage(int buffer, int chunk, int) const { rows_.stage(buffer, chunk); }
    __device__ __forceinline__ void unpack(int, int chunk, int group) const { rows_.unpack(chunk, group); }
    __device__ __forceinline__ void enter(int, int chunk, int, float* delta, float* slope) const {
        delta_.template enter<pass == Pass::backward>(problem.steps(chunk), rows_.dt(), delta, slope);
    }
    __device__ __forceinline__ ChunkRows<T> rows(int buffer) const {
        const typename Rows::Channels& channels = rows_.channels(buffer);
        return {channels.u, channels.dy, rows_.memory().B, rows_.memory().C};
    }

    // y takes the place of u.
    __device__ __forceinline__ void leave_y(int buffer, int t, int channel, int group, float*, float y) const {
        T& place = rows_.channels(buffer).u[t * Tile::channels + channel];
        place = rounded<T>(group == 0 ? fmaf(skip_[channel], to_float(place), y) : y);
    }
    __device__ __forceinline__ void leave_forward(int buffer, int chunk, int group, const float*) const {
        rows_.leave(rows_.channels(buffer).u, problem.y, buffer, chunk, group == 0);
    }

    // ---- backward ----

    __device__ __forceinline__ void leave_step(int buffer, int t, int channel, int group, float* delta,
                                               const float* slope, const float (&dinput)[thread_channels],
                                               const float (&ddelta)[thread_channels],
                                               const float (&)[thread_channels]) {
        gradients_.leave_step(rows_.channels(buffer), skip_, t, channel, group, delta, slope, dinput, ddelta);
    }
    __device__ __forceinline__ void leave_backward(const RunMemory<Tile>& runs, int buffer, int chunk, int group,
                                                   const float* dpre) const {
        const int count = problem.steps(chunk);
        rows_.leave(rows_.channels(buffer).dy, problem.du, buffer, chunk, group == 0);
        gradients_.leave_states(rows_, runs, buffer, count, group);
        gradients_.leave_dt(rows_, delta_, buffer, count, group, dpre);
        gradients_.leave_dt_weight(rows_.dt(), count, group == 0 && chunk == place.last_chunk, dpre);
    }
    __device__ __forceinline__ float* dA(int channel) const { return gradients_.dA(channel); }
    __device__ __forceinline__ void finish(int channel) { gradients_.finish(channel); }

private:
    static __device__ __forceinline__ const Scan4Place& placed(const Problem& problem, Memory& memory) {
        if (threadIdx.x == 0) memory.place = Scan4Place(problem, block_channels);
        __syncthreads();
        return memory.place;
    }

    static __device__ __forceinline__ auto gradients(const Scan4Block<T>& block, Memory& memory, float* extra) {
        if constexpr (pass == Pass::backward)
            return Gradients(block, memory.gradients, extra);
        else
            return Nothing{};
    }

    const Scan4Block<T> block_;
    const Rows rows_;
    const Delta delta_;
    float* skip_;
    std::conditional_t<pass == Pass::backward, Gradients, Nothing> gradients_;
};

}  // namespace medmamba::cuda
