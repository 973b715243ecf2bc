// The selective scan as mamba_ssm defines it as a source of chunks (scan_passes.cuh), for forward and for backward.
//
// Its layouts are channels-first: a lane is a step wherever rows come from or go to global memory, and rows of shared
// memory are of odd length, so that they are read along channels without conflict. Blocks of channels never cross a
// group, because the channels of a block share B and C.
#pragma once

#include <type_traits>

#include "activation.cuh"
#include "scan_passes.cuh"
#include "scan_sums.cuh"

namespace medmamba::cuda {

struct SelectiveScan : ScanShape {
    int64_t images;  // of this run
    int groups, group_channels, group_blocks;
    bool softplus;
    const float *u, *delta, *A_, *B, *C, *D, *z, *delta_bias, *dy;
    float *y, *du, *ddelta, *dz;
    float *dB, *dC;    // (group_blocks, images, groups, states, length)
    float* gradients;  // (images, segments, gradient_floats)

    // Of one image or segment: dA (channels, states) | dD (channels) | ddelta_bias (channels), and up to three floats
    // more so that the next is aligned.
    __host__ __device__ int64_t gradient_floats() const { return ((int64_t)channels * (states + 2) + 3) / 4 * 4; }

    template <class Params>
    void take_shape(const Params& p, int block_channels) {
        length = (int)p.length, channels = (int)p.channels, states = (int)p.states, groups = (int)p.groups;
        group_channels = channels / groups;
        group_blocks = (int)ceil_div(group_channels, block_channels);
        blocks = groups * group_blocks;
        softplus = p.delta_softplus != 0;
        A_ = p.A, D = p.D, delta_bias = p.delta_bias;
        sequences = p.batch;
        cut_into_segments(block_channels);
    }
    template <class Params>
    void take_images(const Params& p, int64_t first, int64_t count) {
        images = sequences = count;
        const int64_t rows = first * channels * length, shared = first * groups * states * length;
        u = p.u + rows, delta = p.delta + rows, z = p.z ? p.z + rows : nullptr;
        B = p.B + shared, C = p.C + shared;
    }

    __device__ __forceinline__ float A(int64_t, int channel, int state) const {
        return A_[(int64_t)channel * states + state];
    }
    __device__ __forceinline__ int64_t checkpoint(int64_t image, int chunk, int channel) const {
        return ((image * channels + channel) * chunks + chunk) * states;
    }
};

template <Pass pass_, int block_channels = 32>
class SelectiveSource {
public:
    static constexpr int channels = block_channels;

    using Problem = SelectiveScan;
    using Tile = ScanTile<channels, 4, 1, channels + 1, channels + 1, group_states + 4>;
    static constexpr Pass pass = pass_;
    static constexpr bool gated = true, exact = true;
    using Element = float;  // of u and dy in shared memory

    struct Rows {
        float delta[chunk_steps * Tile::delta_row], u[chunk_steps * Tile::input_row];
        float B[chunk_steps * Tile::state_row], C[chunk_steps * Tile::state_row];
    };
    struct RowsAndGradient : Rows {
        float dy[chunk_steps * Tile::input_row], z[chunk_steps * Tile::input_row];
    };
    using Staged = std::conditional_t<reads_dy<pass>, RowsAndGradient, Rows>;
    struct Memory {
        Staged chunks[2];
    };

    static size_t extra_bytes(const SelectiveScan&) { return 0; }

    const SelectiveScan& problem;
    const ScanPlace place;
    const int first_channel_, live_channels_;

    __device__ __forceinline__ SelectiveSource(const SelectiveScan& problem, Memory& memory, float*)
        : problem(problem), place(problem),
          first_channel_(place.block / problem.group_blocks * problem.group_channels +
                        place.block % problem.group_blocks * channels),
          live_channels_(min(channels, problem.group_channels - place.block % problem.group_blocks * channels)),
          memory_(memory) {
        const int channel = (int)threadIdx.x / warp_lanes * Tile::warp_channels + threadIdx.x % Tile::lanes_apart;
        if (pass == Pass::backward && problem.D && live(channel)) D_ = problem.D[first_channel_ + channel];
    }

    __device__ __forceinline__ int first_channel() const { return first_channel_; }
    __device__ __forceinline__ bool live(int channel) const { return channel < live_channels_; }

    // Starts the copies of a chunk's rows; those past its end become zero.
    __device__ __forceinline__ void stage(int buffer, int chunk, int group) {
        Staged& to = memory_.chunks[buffer];
        const int t = step(), first = chunk * chunk_steps;
        const bool there = t < problem.steps(chunk);
        for (int c = warp(); c < channels; c += Tile::warps) {
            const int64_t from = row(c) + first + t;
            const bool valid = there && live(c);
            copy_async<4>(to.delta + t * Tile::delta_row + c, problem.delta + from, valid);
            if constexpr (reads_u<pass>) copy_async<4>(to.u + t * Tile::input_row + c, problem.u + from, valid);
            if constexpr (reads_dy<pass>) {
                copy_async<4>(to.dy + t * Tile::input_row + c, problem.dy + from, valid);
                if (problem.z) copy_async<4>(to.z + t * Tile::input_row + c, problem.z + from, valid);
            }
        }
        for (int n = warp(); n < group_states; n += Tile::warps) {
            const int state = group * group_states + n;
            const int64_t from = state_row(state) + first + t;
            const bool valid = there && state < problem.states;
            if constexpr (reads_B<pass>) copy_async<4>(to.B + t * Tile::state_row + n, problem.B + from, valid);
            if constexpr (reads_C<pass>) copy_async<4>(to.C + t * Tile::state_row + n, problem.C + from, valid);
        }
    }

    // Rows come as the walk reads them.
    __device__ __forceinline__ void unpack(int, int, int) const {}
    __device__ __forceinline__ ChunkRows<float> rows(int buffer) const {
        const Staged& staged = memory_.chunks[buffer];
        if constexpr (reads_dy<pass>)
            return {staged.u, staged.dy, staged.B, staged.C};
        else
            return {staged.u, nullptr, staged.B, staged.C};
    }

    // delta' = softplus?(delta + delta_bias), and its slope in backward; dy there takes the gate's factor, and z
    // becomes what the scan's output is multiplied by for dz.
    __device__ __forceinline__ void enter(int buffer, int chunk, int, float* delta, float* slope) {
        Staged& staged = memory_.chunks[buffer];
        const int t = step();
        for (int c = warp(); c < channels; c += Tile::warps) {
            const int place = t * Tile::delta_row + c;
            const bool there = t < problem.steps(chunk) && live(c);
            float pre = staged.delta[place];
            if (there && problem.delta_bias) pre += problem.delta_bias[first_channel_ + c];
            const Softplus<exact> softplus(pre);
            delta[place] = !there ? 0.0f : problem.softplus ? softplus.value : pre;
            if constexpr (pass == Pass::backward)
                slope[place] = !there ? 0.0f : problem.softplus ? softplus.slope(pre) : 1.0f;
            if constexpr (reads_dy<pass>) {
                if (problem.z) {
                    float &dout = staged.dy[t * Tile::input_row + c], &gate = staged.z[t * Tile::input_row + c];
                    const float s = sigmoid(gate), factor = gate * s;
                    gate = dout * s * fmaf(gate, 1.0f - s, 1.0f);
                    dout *= factor;
                }
            }
        }
    }

    // y takes the place of delta.
    __device__ __forceinline__ void leave_y(int, int t, int channel, int, float* delta, float y) const {
        delta[t * Tile::delta_row + channel] = y;
    }
    __device__ __forceinline__ void leave_forward(int buffer, int chunk, int group, const float* y) {
        const Staged& staged = memory_.chunks[buffer];
        const int t = step(), first = chunk * chunk_steps;
        if (t >= problem.steps(chunk)) return;
        const bool last = (group + 1) * group_states >= problem.states;
        for (int c = warp(); c < live_channels_; c += Tile::warps) {
            float& out = problem.y[row(c) + first + t];
            float sum = y[t * Tile::delta_row + c];
            if (group > 0)
                sum += out;
            else if (problem.D)
                sum = fmaf(problem.D[first_channel_ + c], staged.u[t * Tile::input_row + c], sum);
            if (last && problem.z) {
                const float gate = problem.z[row(c) + first + t];
                sum *= gate * sigmoid(gate);
            }
            out = sum;
        }
    }

    // ---- backward ----

    // du takes the place of dy in shared memory, the gradient of delta that of delta, dz that of z.
    __device__ __forceinline__ void leave_step(int buffer, int t, int channel, int group, float* delta,
                                               const float* slope, const float (&dinput)[1], const float (&ddelta)[1],
                                               const float (&y)[1]) {
        Staged& staged = memory_.chunks[buffer];
        const int place = t * Tile::input_row + channel;
        float& step = delta[t * Tile::delta_row + channel];
        const float u = staged.u[place], dout = staged.dy[place];
        const float dpre = fmaf(dinput[0], u, ddelta[0]) * slope[t * Tile::delta_row + channel];
        const bool first = group == 0;
        staged.dy[place] = fmaf(dinput[0], step, first ? D_ * dout : 0.0f);
        if (problem.z) staged.z[place] *= first ? fmaf(D_, u, y[0]) : y[0];
        step = dpre;
        dbias_ += dpre;
        if (first) dD_ = fmaf(dout, u, dD_);
    }

    // dB and dC; a lane has a step.
    __device__ __forceinline__ void leave_states(const RunMemory<Tile>& runs, int chunk, int group) {
        const int64_t copy = place.block % problem.group_blocks * problem.images * problem.groups * problem.states *
                             problem.length;
        const int t = step();
        if (t >= problem.steps(chunk)) return;
        for (int index = warp(); index < 2 * group_states; index += Tile::warps) {
            const int state = group * group_states + index % group_states;
            if (state >= problem.states) continue;
            float* to = index < group_states ? problem.dB : problem.dC;
            float sum[1];
            runs.load_sums(t, index, sum);
            to[copy + state_row(state) + chunk * chunk_steps + t] = sum[0];
        }
    }

    __device__ __forceinline__ void leave_backward(const RunMemory<Tile>& runs, int buffer, int chunk, int group,
                                                   const float* dpre) {
        leave_states(runs, chunk, group);
        const Staged& staged = memory_.chunks[buffer];
        const int t = step(), first = chunk * chunk_steps;
        if (t >= problem.steps(chunk)) return;
        const auto write = [&](float& to, float value) { to = group == 0 ? value : to + value; };
        for (int c = warp(); c < live_channels_; c += Tile::warps) {
            const int64_t to = row(c) + first + t;
            write(problem.du[to], staged.dy[t * Tile::input_row + c]);
            write(problem.ddelta[to], dpre[t * Tile::delta_row + c]);
            if (problem.z) write(problem.dz[to], staged.z[t * Tile::input_row + c]);
        }
    }

    __device__ __forceinline__ float* dA(int channel) const {
        return gradient_set() + (int64_t)(first_channel_ + channel) * problem.states;
    }

    __device__ __forceinline__ void finish(int channel) {
        for (int distance = Tile::lanes_apart; distance < warp_lanes; distance *= 2) {
            dbias_ += __shfl_xor_sync(whole_warp, dbias_, distance);
            dD_ += __shfl_xor_sync(whole_warp, dD_, distance);
        }
        if (threadIdx.x % warp_lanes < Tile::lanes_apart && live(channel)) {
            float* of_channels = gradient_set() + (int64_t)problem.channels * problem.states;
            of_channels[first_channel_ + channel] = dD_;
            of_channels[problem.channels + first_channel_ + channel] = dbias_;
        }
    }

private:
    static __device__ __forceinline__ int step() { return threadIdx.x % warp_lanes; }
    static __device__ __forceinline__ int warp() { return threadIdx.x / warp_lanes; }

    // Where a channel's row of u, delta, dy, z starts, and a state's row of B and C.
    __device__ __forceinline__ int64_t row(int channel) const {
        return ((int64_t)place.sequence * problem.channels + first_channel_ + channel) * problem.length;
    }
    __device__ __forceinline__ int64_t state_row(int state) const {
        const int64_t group = (int64_t)place.sequence * problem.groups + place.block / problem.group_blocks;
        return (group * problem.states + state) * problem.length;
    }
    __device__ __forceinline__ float* gradient_set() const {
        return problem.gradients +
               ((int64_t)place.sequence * problem.segments + place.segment) * problem.gradient_floats();
    }

    Memory& memory_;
    float D_ = 0.0f, dD_ = 0.0f, dbias_ = 0.0f;
};

}  // namespace medmamba::cuda
