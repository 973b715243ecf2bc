// y = ((x - mean) inverse_std weight + bias) silu(gate) for every row, and its gradients.
//
// A row belongs to a team: 8, 16 or 32 lanes of a warp up to 256 channels, a block beyond. Its channels are dealt out
// over the team's threads, 16 bytes of each row at a time, and stay in their registers from the first read to the write,
// so that memory is read once and a sum over the channels is one sum over the team. A team walks down several rows, and
// keeps what belongs to its channels meanwhile: weight and bias in forward, the sums of their gradients in backward.
// Where a row is the sum of the scan's four directions, forward adds these while it reads, so that no pass adds them.
//
// In float32 bound by memory. In bfloat16 by instructions, though not by far: a gated row of 96 channels, two to a warp,
// is 169 at most, and an H200 issues 111 in the time that its 576 bytes take; without a gate 116 at most and 74.
#include <cmath>
#include <type_traits>

#include "activation.cuh"
#include "column_sums.cuh"
#include "scan.cuh"
#include "storage.cuh"

namespace medmamba::cuda {

namespace {

// A team of `team_size` threads that hold `channels_each` channels each, `neighbours` of them side by side. Warps share
// a block, other teams are one.
template <int team_size, int channels_each, int neighbours>
struct Shape {
    static constexpr int team = team_size, each = channels_each, vector = neighbours, channels = team * each;
    static constexpr int threads = team > 32 ? team : 256, teams = threads / team;
};

template <class S>
struct TeamSums {
    float of_warp[2][S::threads / 32];
};

template <class S>
struct TeamGradients {
    TeamSums<S> sums;
    float of_team[S::teams][2][S::channels];  // dweight | dbias
};

// Two sums over the team, in all its threads. The whole block comes here.
template <class S>
__device__ __forceinline__ void add_team(float (&sums)[2], TeamSums<S>& shared) {
    for (int distance = (S::team < 32 ? S::team : 32) / 2; distance > 0; distance /= 2)
        for (float& sum : sums) sum += __shfl_xor_sync(whole_warp, sum, distance);
    if constexpr (S::team > 32) {
        const int warp = (int)threadIdx.x / 32;
        __syncthreads();  // the sums before these have been read
        if (threadIdx.x % 32 == 0)
            for (int s = 0; s < 2; ++s) shared.of_warp[s][warp] = sums[s];
        __syncthreads();
        for (int s = 0; s < 2; ++s) {
            sums[s] = shared.of_warp[s][0];
            for (int other = 1; other < S::threads / 32; ++other) sums[s] += shared.of_warp[s][other];
        }
    }
}

// Channel k of those that a thread holds.
template <class S>
__device__ __forceinline__ int channel_of(int k) {
    return (int)threadIdx.x % S::team * S::vector + k / S::vector * S::team * S::vector + k % S::vector;
}

// The thread's channels of a row; zero where there is none. `vectorized`: channels come in whole vectors, and every row
// begins where one may be read at once.
template <class S, class T>
__device__ __forceinline__ void read_row(const T* row, int channels, bool vectorized, float (&values)[S::each]) {
    constexpr Width<S::vector> width{};
    for (int k = 0; k < S::each; k += S::vector) {
        const int c = channel_of<S>(k);
        Floats<S::vector> v = broadcast(0.0f, width);
        if (vectorized) {
            if (c < channels) v = load(row + c, width);
        } else {
            for (int i = 0; i < S::vector; ++i)
                if (c + i < channels) v.lane[i] = to_float(row[c + i]);
        }
        for (int i = 0; i < S::vector; ++i) values[k + i] = v.lane[i];
    }
}

// The same of the sum of as many rows, `apart` elements from each other, as it would be stored.
template <class S, int copies, class T>
__device__ __forceinline__ void read_sum(const T* row, int64_t apart, int channels, bool vectorized,
                                         float (&values)[S::each]) {
    read_row<S>(row, channels, vectorized, values);
    for (int copy = 1; copy < copies; ++copy) {
        float more[S::each];
        read_row<S>(row + copy * apart, channels, vectorized, more);
        for (int k = 0; k < S::each; ++k) values[k] += more[k];
    }
    for (int k = 0; k < S::each; k += 2) {
        const Floats<2> two = rounded_to<T>(Floats<2>{{values[k], values[k + 1]}});
        values[k] = two.lane[0], values[k + 1] = two.lane[1];
    }
}

// Its first value, in all threads of the team. Teams within a warp ask who has it, others read it.
template <class S, int copies, class T>
__device__ __forceinline__ float first_of_sum(const T* row, int64_t apart, int channels, const float (&values)[S::each]) {
    if constexpr (S::team <= 32) {
        return __shfl_sync(whole_warp, values[0], (int)threadIdx.x % 32 / S::team * S::team);
    } else {
        if (channels == 0) return 0.0f;
        float sum = to_float(*row);
        for (int copy = 1; copy < copies; ++copy) sum += to_float(row[copy * apart]);
        return to_float(rounded<T>(sum));
    }
}

// Puts them back.
template <class S, class T>
__device__ __forceinline__ void write_row(T* row, int channels, bool vectorized, const float (&values)[S::each]) {
    for (int k = 0; k < S::each; k += S::vector) {
        const int c = channel_of<S>(k);
        Floats<S::vector> v;
        for (int i = 0; i < S::vector; ++i) v.lane[i] = values[k + i];
        if (vectorized) {
            if (c < channels) store(row + c, v);
        } else {
            for (int i = 0; i < S::vector; ++i)
                if (c + i < channels) row[c + i] = rounded<T>(v.lane[i]);
        }
    }
}

template <class Stored>
__device__ __forceinline__ float inverse_root(float x) {
    if constexpr (sizeof(Stored) == 2)
        return inverse_root_approx(x);
    else
        return 1.0f / sqrtf(x);
}

// Mean and variance come from one sum each, of differences from the row's first value. They lose nothing to a mean that
// is far from zero, and at most a few bits to a first value that is far from the others: its own share of the variance
// grows with it. Teams of one warp stay together when they have no row left.
template <class S, bool gated, int copies, class X, class Y>
__global__ void __launch_bounds__(S::threads) forward_kernel(mm_layer_norm_forward_params p, bool vectorized) {
    auto& shared = shared_memory<TeamSums<S>>();
    const int all_channels = (int)p.channels, team = (int)threadIdx.x / S::team;
    const float share = 1.0f / (float)all_channels;
    float weight[S::each], bias[S::each];
    read_row<S>(p.weight, all_channels, vectorized, weight);
    read_row<S>(p.bias, all_channels, vectorized, bias);
    for (int64_t first = (int64_t)blockIdx.x * S::teams; first < p.rows; first += (int64_t)gridDim.x * S::teams) {
        const int64_t row = first + team;
        const int channels = row < p.rows ? all_channels : 0;
        const X* from = stored<X>(p.x) + row * p.x_row;
        float pivot = copies == 1 && channels > 0 ? to_float(*from) : 0.0f;
        float x[S::each], sums[2] = {};
        if constexpr (copies == 1) {
            read_row<S>(from, channels, vectorized, x);
        } else {
            const int64_t apart = p.rows * p.x_row;
            read_sum<S, copies>(from, apart, channels, vectorized, x);
            if (p.sum) write_row<S>(stored<X>(p.sum) + row * all_channels, channels, vectorized, x);
            pivot = first_of_sum<S, copies>(from, apart, channels, x);
        }
        for (int k = 0; k < S::each; ++k) {
            x[k] = channel_of<S>(k) < channels ? x[k] - pivot : 0.0f;
            sums[0] += x[k];
            sums[1] += x[k] * x[k];
        }
        add_team<S>(sums, shared);
        const float from_pivot = sums[0] * share, difference = sums[1] * share - from_pivot * from_pivot;
        const float variance = difference < 0.0f ? 0.0f : difference;  // a constant row may round below zero
        const float inverse = inverse_root<Y>(variance + p.eps);
        if (p.statistics && channels > 0 && threadIdx.x % S::team == 0) {
            p.statistics[row * 2] = pivot + from_pivot;
            p.statistics[row * 2 + 1] = inverse;
        }
        for (int k = 0; k < S::each; ++k) x[k] = (x[k] - from_pivot) * inverse * weight[k] + bias[k];
        if (gated) {
            float gate[S::each];
            read_row<S>(stored<Y>(p.gate) + row * p.gate_row, channels, vectorized, gate);
            for (int k = 0; k < S::each; ++k) x[k] *= silu<Y>(gate[k]);
        }
        write_row<S>(stored<Y>(p.y) + row * p.y_row, channels, vectorized, x);
    }
}

// With n = (x - mean) inverse_std and g the gradient of n weight + bias, which is dy silu(gate):
//   dgate = dy (n weight + bias) silu'(gate),  dweight = sum of g n,  dbias = sum of g  over rows,
//   dx = inverse_std (g weight - mean(g weight) - n mean(g weight n))  with means over channels.
// A block has `rows_each` rows, as many for each team; its teams' dweight and dbias meet in shared memory and go to
// `partial`, which is (blocks, 2, channels).
template <class S, bool gated, class X, class Y>
__global__ void __launch_bounds__(S::threads, 512 / S::threads)
backward_kernel(mm_layer_norm_backward_params p, bool vectorized, int64_t rows_each, float* partial) {
    auto& shared = shared_memory<TeamGradients<S>>();
    const int all_channels = (int)p.channels, team = (int)threadIdx.x / S::team;
    const float share = 1.0f / (float)all_channels;
    float dweight[S::each] = {}, dbias[S::each] = {};
    for (int64_t turn = 0; turn < rows_each; turn += S::teams) {
        const int64_t row = blockIdx.x * rows_each + turn + team;
        const int channels = row < p.rows ? all_channels : 0;
        const float mean = channels > 0 ? p.statistics[row * 2] : 0.0f;
        const float inverse_std = channels > 0 ? p.statistics[row * 2 + 1] : 0.0f;
        float normal[S::each], g[S::each], weight[S::each], along[2] = {};
        read_row<S>(stored<X>(p.x) + row * p.x_row, channels, vectorized, normal);
        read_row<S>(stored<Y>(p.dy) + row * p.dy_row, channels, vectorized, g);
        read_row<S>(p.weight, channels, vectorized, weight);
        for (int k = 0; k < S::each; ++k)
            normal[k] = channel_of<S>(k) < channels ? (normal[k] - mean) * inverse_std : 0.0f;
        if constexpr (gated) {
            float gate[S::each], bias[S::each];
            read_row<S>(stored<Y>(p.gate) + row * p.gate_row, channels, vectorized, gate);
            read_row<S>(p.bias, channels, vectorized, bias);
            for (int k = 0; k < S::each; ++k) {
                const float z = gate[k], s = sigmoid<Y>(z);
                gate[k] = g[k] * (normal[k] * weight[k] + bias[k]) * (s * (1.0f + z * (1.0f - s)));
                g[k] *= z * s;
            }
            write_row<S>(stored<Y>(p.dgate) + row * p.dgate_row, channels, vectorized, gate);
        }
        for (int k = 0; k < S::each; ++k) {
            dweight[k] += g[k] * normal[k];
            dbias[k] += g[k];
            g[k] *= weight[k];
            along[0] += g[k];
            along[1] += g[k] * normal[k];
        }
        add_team<S>(along, shared.sums);
        const float along_bias = along[0] * share, along_weight = along[1] * share;
        X* dx = stored<X>(p.dx) + row * p.dx_row;
        for (int k = 0; k < S::each; ++k) g[k] = (g[k] - along_bias - normal[k] * along_weight) * inverse_std;
        if (p.accumulate_dx) {
            read_row<S>(dx, channels, vectorized, normal);
            for (int k = 0; k < S::each; ++k) g[k] += normal[k];
        }
        write_row<S>(dx, channels, vectorized, g);
    }

    if (!partial) return;
    for (int k = 0; k < S::each; ++k) {
        shared.of_team[team][0][channel_of<S>(k)] = dweight[k];
        shared.of_team[team][1][channel_of<S>(k)] = dbias[k];
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < 2 * all_channels; i += S::threads) {
        const int which = i / all_channels, c = i % all_channels;
        float total = shared.of_team[0][which][c];
        for (int other = 1; other < S::teams; ++other) total += shared.of_team[other][which][c];
        partial[(int64_t)blockIdx.x * 2 * all_channels + i] = total;
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
template <int vector, class Go>
mm_status with_shape(mm_stream* stream, const char* what, int64_t channels, Go&& go) {
    if (channels <= 8 * vector) return go(Shape<8, vector, vector>{});
    if (channels <= 16 * vector) return go(Shape<16, vector, vector>{});
    if (channels <= 32 * vector) return go(Shape<32, vector, vector>{});
    if (channels <= 256) return go(Shape<32, 8, vector>{});
    if (channels <= 512) return go(Shape<64, 8, vector>{});
    if (channels <= 1024) return go(Shape<128, 8, vector>{});
    if (channels <= 2048) return go(Shape<256, 8, vector>{});
    if (channels <= 4096) return go(Shape<512, 8, vector>{});
    if (channels <= 8192) return go(Shape<512, 16, vector>{});
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
            constexpr int vector = 16 / (int)sizeof(Y);
            return with_shape<vector>(stream, what, p.channels, [&](auto shape) { return go(shape, gated, x, y); });
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

template <class S, bool gated, int copies, class X, class Y>
mm_status forward(mm_stream* stream, const char* what, const mm_layer_norm_forward_params& p) {
    const bool vectorized = vector_width(p.channels, p.x_row, p.y_row, p.gate_row, stored<X>(p.x), stored<Y>(p.y),
                                         stored<X>(p.sum), stored<Y>(p.gate), p.weight, p.bias) >= S::vector;
    const int64_t fill = (int64_t)std::max(1, stream->multiprocessors) * (2048 / S::threads);
    const dim3 blocks((unsigned)std::min(ceil_div(p.rows, S::teams), fill));
    return launch(stream, what, forward_kernel<S, gated, copies, X, Y>, blocks, S::threads, sizeof(TeamSums<S>), p,
                  vectorized);
}

}  // namespace

mm_status layer_norm_forward(mm_stream* stream, const mm_layer_norm_forward_params* params) {
    mm_layer_norm_forward_params p = *params;
    p.x_row = row_stride(p.x_row, p.channels);
    p.y_row = row_stride(p.y_row, p.channels);
    p.gate_row = row_stride(p.gate_row, p.channels);
    const char* what = "layer_norm_forward";
    return with_rows(stream, what, p, [&](auto shape, auto gated, auto x, auto y) {
        using S = decltype(shape);
        using X = decltype(x);
        using Y = decltype(y);
        constexpr bool is_gated = decltype(gated)::value;
        if (p.x_copies <= 1) return forward<S, is_gated, 1, X, Y>(stream, what, p);
        if constexpr (is_gated && S::channels <= most_copied_channels)
            if (p.x_copies == directions) return forward<S, true, directions, X, Y>(stream, what, p);
        return stream->fail(MM_UNSUPPORTED, "%s: no kernel adds %lld copies of %lld channels%s", what,
                            (long long)p.x_copies, (long long)p.channels, p.gate ? "" : " without a gate");
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
    return with_rows(stream, what, p, [&](auto shape, auto gated, auto x, auto y) {
        using S = decltype(shape);
        using X = decltype(x);
        using Y = decltype(y);
        const bool vectorized =
            vector_width(p.channels, p.x_row, p.dy_row, p.dx_row, p.gate_row, p.dgate_row, stored<X>(p.x),
                         stored<Y>(p.dy), stored<X>(p.dx), stored<Y>(p.gate), stored<Y>(p.dgate), p.weight, p.bias) >=
            S::vector;
        // Enough blocks to fill any device several times over, enough rows in each for the sums to be small beside
        // them.
        const int64_t rows_each = S::teams * std::max<int64_t>(4, ceil_div(p.rows, S::teams * 1024));
        const int64_t blocks = ceil_div(p.rows, rows_each);
        const bool sums = p.dweight || p.dbias;
        Workspace partial(stream, sums ? blocks * 2 * p.channels : 0);
        if (partial.status() != MM_OK) return partial.status();
        const mm_status status =
            launch(stream, what, backward_kernel<S, decltype(gated)::value, X, Y>, dim3((unsigned)blocks), S::threads,
                   sizeof(TeamGradients<S>), p, vectorized, rows_each, sums ? partial.data() : nullptr);
        if (status != MM_OK || !sums) return status;
        return add_partial_sums<2>(stream, what, (const float*)partial.data(), blocks, p.channels,
                                   WeightGradients{p.dweight, p.dbias});
    });
}

}  // namespace medmamba::cuda
