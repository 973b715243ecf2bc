// y = ((x - mean) inverse_std weight + bias) silu(gate) for every row, and its gradients.
//
// A row belongs to a team: a warp up to 256 channels, a block beyond. Its channels are dealt out over the team's
// threads and stay in their registers from the first read to the write, so that memory is read once and a sum over
// the channels is one sum over the team. Neighbouring threads hold neighbouring channels: each access of a warp is
// whole lines, wherever a row begins; where a row is kept as bfloat16 they hold pairs of them. A team walks down
// several rows, and keeps what belongs to its channels meanwhile: weight and bias in forward, the sums of their
// gradients in backward. Bound by memory.
#include <cmath>
#include <type_traits>

#include "activation.cuh"
#include "block_reduce.cuh"
#include "column_sums.cuh"
#include "storage.cuh"

namespace medmamba::cuda {

namespace {

// A team of `team_size` threads that hold `held_floats` channels each, `neighbours` of them side by side. Warps share
// a block, other teams are one.
template <int team_size, int held_floats, int neighbours>
struct Shape {
    static constexpr int team = team_size, held = held_floats, side = neighbours, channels = team * held;
    static constexpr int threads = team > 32 ? team : 256, teams = threads / team;
};

template <class S>
using TeamSum = BlockSum<float, S::threads>;

template <class S>
struct TeamGradients {
    TeamSum<S> sum;
    float of_team[S::teams][2][S::channels];  // dweight | dbias
};

template <class S>
__device__ __forceinline__ float team_sum(float x, TeamSum<S>& shared) {
    if constexpr (S::team == 32) {
        return warp_sum(x);
    } else {
        return block_sum(x, shared);
    }
}

// Channel k of those that a thread holds.
template <class S>
__device__ __forceinline__ int channel_of(int k) {
    return (int)threadIdx.x % S::team * S::side + k / S::side * S::team * S::side + k % S::side;
}

// The thread's channels of a row; zero where there is none. `whole`: channels come in whole `side`s, and every row
// begins where one may be read at once.
template <class S, class T>
__device__ __forceinline__ void read_row(const T* row, int channels, bool whole, float (&values)[S::held]) {
    if (S::side > 1 && whole) {
        for (int k = 0; k < S::held; k += S::side) {
            constexpr Width<S::side> side{};
            const int c = channel_of<S>(k);
            const Floats<S::side> read = c < channels ? load(row + c, side) : broadcast(0.0f, side);
            for (int i = 0; i < S::side; ++i) values[k + i] = read.lane[i];
        }
    } else {
        for (int k = 0; k < S::held; ++k)
            values[k] = channel_of<S>(k) < channels ? to_float(row[channel_of<S>(k)]) : 0.0f;
    }
}

// Puts them back.
template <class S, class T>
__device__ __forceinline__ void write_row(T* row, int channels, bool whole, const float (&values)[S::held]) {
    if (S::side > 1 && whole) {
        for (int k = 0; k < S::held; k += S::side) {
            Floats<S::side> written;
            for (int i = 0; i < S::side; ++i) written.lane[i] = values[k + i];
            if (channel_of<S>(k) < channels) store(row + channel_of<S>(k), written);
        }
    } else {
        for (int k = 0; k < S::held; ++k)
            if (channel_of<S>(k) < channels) row[channel_of<S>(k)] = rounded<T>(values[k]);
    }
}

// The variance comes from deviations from a first mean. What that mean lacks, by its rounding, is the mean of
// the deviations: taking it off too keeps rows exact to rounding whose mean is far larger than their spread.
template <class S, bool gated, class X, class Y>
__global__ void __launch_bounds__(S::threads) forward_kernel(mm_layer_norm_forward_params p, bool whole) {
    auto& sums = shared_memory<TeamSum<S>>();
    const int channels = (int)p.channels;
    const float share = 1.0f / (float)channels;
    float weight[S::held], bias[S::held];
    read_row<S>(p.weight, channels, false, weight);
    read_row<S>(p.bias, channels, false, bias);
    const int64_t first = (int64_t)blockIdx.x * S::teams + threadIdx.x / S::team;
    for (int64_t row = first; row < p.rows; row += (int64_t)gridDim.x * S::teams) {
        float x[S::held], total = 0.0f, rest = 0.0f, square = 0.0f;
        read_row<S>(stored<X>(p.x) + row * p.x_row, channels, whole, x);
        for (int k = 0; k < S::held; ++k) total += x[k];
        const float first_mean = team_sum<S>(total, sums) * share;
        for (int k = 0; k < S::held; ++k) {
            const float deviation = channel_of<S>(k) < channels ? x[k] - first_mean : 0.0f;
            x[k] = deviation;
            rest += deviation;
            square += deviation * deviation;
        }
        rest = team_sum<S>(rest, sums) * share;
        const float difference = team_sum<S>(square, sums) * share - rest * rest;
        const float variance = difference < 0.0f ? 0.0f : difference;  // a constant row may round below zero
        const float inverse = 1.0f / sqrtf(variance + p.eps);
        if (p.statistics && threadIdx.x % S::team == 0) {
            p.statistics[row * 2] = first_mean + rest;
            p.statistics[row * 2 + 1] = inverse;
        }
        for (int k = 0; k < S::held; ++k) x[k] = (x[k] - rest) * inverse * weight[k] + bias[k];
        if (gated) {
            float gate[S::held];
            read_row<S>(stored<Y>(p.gate) + row * p.gate_row, channels, whole, gate);
            for (int k = 0; k < S::held; ++k) x[k] *= silu<Y>(gate[k]);
        }
        write_row<S>(stored<Y>(p.y) + row * p.y_row, channels, whole, x);
    }
}

// With n = (x - mean) inverse_std and g the gradient of n weight + bias, which is dy silu(gate):
//   dgate = dy (n weight + bias) silu'(gate),  dweight = sum of g n,  dbias = sum of g  over rows,
//   dx = inverse_std (g weight - mean(g weight) - n mean(g weight n))  with means over channels.
// A block has `rows_each` rows; its teams' dweight and dbias meet in shared memory and go to `partial`, which is
// (blocks, 2, channels).
template <class S, bool gated, class X, class Y>
__global__ void __launch_bounds__(S::threads, 512 / S::threads)
backward_kernel(mm_layer_norm_backward_params p, bool whole, int64_t rows_each, float* partial) {
    auto& shared = shared_memory<TeamGradients<S>>();
    const int channels = (int)p.channels, team = (int)threadIdx.x / S::team;
    const float share = 1.0f / (float)channels;
    const int64_t first = blockIdx.x * rows_each, last = first + rows_each < p.rows ? first + rows_each : p.rows;
    float dweight[S::held] = {}, dbias[S::held] = {};
    for (int64_t row = first + team; row < last; row += S::teams) {
        const float mean = p.statistics[row * 2], inverse_std = p.statistics[row * 2 + 1];
        float normal[S::held], g[S::held], along_bias = 0.0f, along_weight = 0.0f;
        read_row<S>(stored<X>(p.x) + row * p.x_row, channels, whole, normal);
        read_row<S>(stored<Y>(p.dy) + row * p.dy_row, channels, whole, g);
        float gate[gated ? S::held : 1];
        if constexpr (gated) read_row<S>(stored<Y>(p.gate) + row * p.gate_row, channels, whole, gate);
        for (int k = 0; k < S::held; ++k) {
            const int c = channel_of<S>(k);
            if (c >= channels) continue;
            const float weight = p.weight[c];
            normal[k] = (normal[k] - mean) * inverse_std;
            if constexpr (gated) {
                const float z = gate[k], s = sigmoid<Y>(z);
                const float out = normal[k] * weight + p.bias[c];
                gate[k] = g[k] * out * (s * (1.0f + z * (1.0f - s)));
                g[k] *= z * s;
            }
            dweight[k] += g[k] * normal[k];
            dbias[k] += g[k];
            g[k] *= weight;
            along_bias += g[k];
            along_weight += g[k] * normal[k];
        }
        if constexpr (gated) write_row<S>(stored<Y>(p.dgate) + row * p.dgate_row, channels, whole, gate);
        along_bias = team_sum<S>(along_bias, shared.sum) * share;
        along_weight = team_sum<S>(along_weight, shared.sum) * share;
        X* dx = stored<X>(p.dx) + row * p.dx_row;
        for (int k = 0; k < S::held; ++k) g[k] = (g[k] - along_bias - normal[k] * along_weight) * inverse_std;
        if (p.accumulate_dx) {
            read_row<S>(dx, channels, whole, normal);
            for (int k = 0; k < S::held; ++k) g[k] += normal[k];
        }
        write_row<S>(dx, channels, whole, g);
    }

    if (!partial) return;
    for (int k = 0; k < S::held; ++k) {
        shared.of_team[team][0][channel_of<S>(k)] = dweight[k];
        shared.of_team[team][1][channel_of<S>(k)] = dbias[k];
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < 2 * channels; i += S::threads) {
        const int which = i / channels, c = i % channels;
        float total = shared.of_team[0][which][c];
        for (int other = 1; other < S::teams; ++other) total += shared.of_team[other][which][c];
        partial[(int64_t)blockIdx.x * 2 * channels + i] = total;
    }
}

struct WeightGradients {
    float *dweight, *dbias;
    __device__ void operator()(int64_t channel, const double (&totals)[2]) const {
        if (dweight) dweight[channel] = (float)totals[0];
        if (dbias) dbias[channel] = (float)totals[1];
    }
};

// Calls go(Shape) with the smallest shape that holds a row.
template <int side, class Go>
mm_status with_shape(mm_stream* stream, const char* what, int64_t channels, Go&& go) {
    if (channels <= 64) return go(Shape<32, 2, side>{});
    if (channels <= 128) return go(Shape<32, 4, side>{});
    if (channels <= 256) return go(Shape<32, 8, side>{});
    if (channels <= 512) return go(Shape<64, 8, side>{});
    if (channels <= 1024) return go(Shape<128, 8, side>{});
    if (channels <= 2048) return go(Shape<256, 8, side>{});
    if (channels <= 4096) return go(Shape<512, 8, side>{});
    if (channels <= 8192) return go(Shape<512, 16, side>{});
    return stream->fail(MM_UNSUPPORTED, "%s: rows of %lld channels are wider than the 8192 that fit in a block", what,
                        (long long)channels);
}

// Which rows there are kernels for: all float32, all bfloat16, and, where there is no gate, from float32 to bfloat16
// (the block's first norm, whose input is the residual stream).
template <class Params, class Go>
mm_status with_rows(mm_stream* stream, const char* what, const Params& p, Go&& go) {
    return with_storages(stream, what, p.x_dtype, p.y_dtype, [&](auto x, auto y) {
        using X = decltype(x);
        using Y = decltype(y);
        constexpr bool same = std::is_same_v<X, Y>;
        const auto with_gate = [&](auto gated) {
            constexpr int side = sizeof(Y) == 2 ? 2 : 1;
            return with_shape<side>(stream, what, p.channels, [&](auto shape) { return go(shape, gated, x, y); });
        };
        if constexpr (same) {
            return p.gate ? with_gate(std::true_type()) : with_gate(std::false_type());
        } else if constexpr (std::is_same_v<X, float>) {
            if (!p.gate) return with_gate(std::false_type());
        }
        if constexpr (!same)
            return stream->fail(MM_UNSUPPORTED, "%s: no kernel has x as dtype %d and y as dtype %d", what,
                                (int)p.x_dtype, (int)p.y_dtype);
    });
}

// Whether pairs of channels can be read at once.
template <class... Pointers>
bool are_pairs(int64_t all_counts, Pointers... pointers) {
    return all_counts % 2 == 0 && ((reinterpret_cast<uintptr_t>(pointers) | ... | 0) & 7) == 0;
}

}  // namespace

mm_status layer_norm_forward(mm_stream* stream, const mm_layer_norm_forward_params* params) {
    mm_layer_norm_forward_params p = *params;
    p.x_row = row_stride(p.x_row, p.channels);
    p.y_row = row_stride(p.y_row, p.channels);
    p.gate_row = row_stride(p.gate_row, p.channels);
    const char* what = "layer_norm_forward";
    const bool whole = are_pairs(p.channels | p.x_row | p.y_row | p.gate_row, p.x, p.y, p.gate);
    return with_rows(stream, what, p, [&](auto shape, auto gated, auto x, auto y) {
        using S = decltype(shape);
        const int64_t fill = (int64_t)std::max(1, stream->multiprocessors) * (2048 / S::threads);
        const dim3 blocks((unsigned)std::min(ceil_div(p.rows, S::teams), fill));
        return launch(stream, what, forward_kernel<S, decltype(gated)::value, decltype(x), decltype(y)>, blocks,
                      S::threads, sizeof(TeamSum<S>), p, whole);
    });
}

mm_status layer_norm_backward(mm_stream* stream, const mm_layer_norm_backward_params* params) {
    mm_layer_norm_backward_params p = *params;
    p.x_row = row_stride(p.x_row, p.channels);
    p.dy_row = row_stride(p.dy_row, p.channels);
    p.dx_row = row_stride(p.dx_row, p.channels);
    p.gate_row = row_stride(p.gate_row, p.channels);
    p.dgate_row = row_stride(p.dgate_row, p.channels);
    const char* what = "layer_norm_backward";
    const bool whole = are_pairs(p.channels | p.x_row | p.dy_row | p.dx_row | p.gate_row | p.dgate_row, p.x, p.dy,
                                 p.dx, p.gate, p.dgate);
    return with_rows(stream, what, p, [&](auto shape, auto gated, auto x, auto y) {
        using S = decltype(shape);
        // Enough blocks to fill any device several times over, enough rows in each for the sums to be small beside
        // them.
        const int64_t rows_each = S::teams * std::max<int64_t>(4, ceil_div(p.rows, S::teams * 1024));
        const int64_t blocks = ceil_div(p.rows, rows_each);
        const bool sums = p.dweight || p.dbias;
        Workspace partial(stream, sums ? blocks * 2 * p.channels : 0);
        if (partial.status() != MM_OK) return partial.status();
        const mm_status status =
            launch(stream, what, backward_kernel<S, decltype(gated)::value, decltype(x), decltype(y)>,
                   dim3((unsigned)blocks), S::threads, sizeof(TeamGradients<S>), p, whole, rows_each,
                   sums ? partial.data() : nullptr);
        if (status != MM_OK || !sums) return status;
        return add_partial_sums<2>(stream, what, (const float*)partial.data(), blocks, p.channels,
                                   WeightGradients{p.dweight, p.dbias});
    });
}

}  // namespace medmamba::cuda
