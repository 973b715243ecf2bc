// y = ((x - mean) inverse_std weight + bias) silu(gate) for every row, and its gradients.
//
// A row is some tens to some thousands of floats: it is read from memory once and then stays in L1 for the
// passes that follow. Several rows are taken together, so that their chains of additions and their horizontal
// sums, which are the whole cost of a short row, overlap. Loops over them are unrolled before anything else: what
// they keep of each row then stays in registers, and not in an array.
#include "each_vector.h"
#include "partial_sums.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Up to here four rows and their gradients stay in L1 or near it; wider rows are taken two at a time.
constexpr int64_t narrow_channels = 1024;

template <int count>
struct Rows {
    static constexpr int value = count;
};

// Calls body(Rows<n>, row) for every n rows from `row` on.
template <class Body>
void each_rows(int64_t channels, int64_t first, int64_t last, Body&& body) {
    int64_t row = first;
    if (channels <= narrow_channels) {
        for (; row + 4 <= last; row += 4) body(Rows<4>{}, row);
    }
    for (; row + 2 <= last; row += 2) body(Rows<2>{}, row);
    if (row < last) body(Rows<1>{}, row);
}

// The variance comes from deviations from a first mean. What that mean lacks, by its rounding, is the mean of
// the deviations: taking it off too keeps rows exact to rounding whose mean is far larger than their spread.
template <bool gated, int count>
void forward_rows(const mm_layer_norm_forward_params* params, int64_t row) {
    const int64_t channels = params->channels;
    const float share = 1.0f / (float)channels;
    const float *x[count], *gate[count];
    float* y[count];
#pragma GCC unroll 4
    for (int r = 0; r < count; ++r) {
        x[r] = params->x + (row + r) * row_stride(params->x_row, channels);
        y[r] = params->y + (row + r) * row_stride(params->y_row, channels);
        gate[r] = gated ? params->gate + (row + r) * row_stride(params->gate_row, channels) : nullptr;
    }

    vfloat total[count] = {}, square[count] = {}, first_mean[count], inverse_std[count], offset[count];
    each_vector(channels, [&](int64_t i, auto part) {
#pragma GCC unroll 4
        for (int r = 0; r < count; ++r) total[r] += load(x[r] + i, part);
    });
#pragma GCC unroll 4
    for (int r = 0; r < count; ++r) {
        first_mean[r] = broadcast(sum(total[r]) * share);
        total[r] = vfloat{};
    }
    each_vector(channels, [&](int64_t i, auto part) {
#pragma GCC unroll 4
        for (int r = 0; r < count; ++r) {
            const vfloat deviation = only(load(x[r] + i, part) - first_mean[r], part);
            total[r] += deviation;
            square[r] += deviation * deviation;
        }
    });
#pragma GCC unroll 4
    for (int r = 0; r < count; ++r) {
        const float rest = sum(total[r]) * share;
        const float difference = sum(square[r]) * share - rest * rest;
        const float variance = difference < 0.0f ? 0.0f : difference;  // a constant row may round below zero
        const float inverse = 1.0f / std::sqrt(variance + params->eps);
        inverse_std[r] = broadcast(inverse);
        offset[r] = broadcast(rest * inverse);
        if (params->statistics) {
            params->statistics[(row + r) * 2] = first_mean[r][0] + rest;
            params->statistics[(row + r) * 2 + 1] = inverse;
        }
    }
    each_vector(channels, [&](int64_t i, auto part) {
        const vfloat weight = load(params->weight + i, part), bias = load(params->bias + i, part);
#pragma GCC unroll 4
        for (int r = 0; r < count; ++r) {
            const vfloat normal = (load(x[r] + i, part) - first_mean[r]) * inverse_std[r] - offset[r];
            vfloat out = normal * weight + bias;
            if (gated) out *= silu(load(gate[r] + i, part));
            store(y[r] + i, out, part);
        }
    });
}

// With n = (x - mean) inverse_std and g the gradient of n weight + bias, which is dy silu(gate):
//   dgate = dy (n weight + bias) silu'(gate),  dweight = sum of g n,  dbias = sum of g  over rows,
//   dx = inverse_std (g weight - mean(g weight) - n mean(g weight n))  with means over channels.
// `sums` is (2, channels), this range's dweight | dbias. `kept` holds g of each row, where it is not dy itself.
template <bool gated, int count>
void backward_rows(const mm_layer_norm_backward_params* params, int64_t row, float* sums, float* kept) {
    const int64_t channels = params->channels;
    const float share = 1.0f / (float)channels;
    const float *x[count], *dy[count], *gate[count], *g[count];
    float *dx[count], *dgate[count];
    vfloat mean[count], inverse_std[count], along_bias[count] = {}, along_weight[count] = {};
#pragma GCC unroll 4
    for (int r = 0; r < count; ++r) {
        x[r] = params->x + (row + r) * row_stride(params->x_row, channels);
        dy[r] = params->dy + (row + r) * row_stride(params->dy_row, channels);
        dx[r] = params->dx + (row + r) * row_stride(params->dx_row, channels);
        gate[r] = gated ? params->gate + (row + r) * row_stride(params->gate_row, channels) : nullptr;
        dgate[r] = gated ? params->dgate + (row + r) * row_stride(params->dgate_row, channels) : nullptr;
        g[r] = gated ? kept + r * channels : dy[r];
        mean[r] = broadcast(params->statistics[(row + r) * 2]);
        inverse_std[r] = broadcast(params->statistics[(row + r) * 2 + 1]);
    }

    each_vector(channels, [&](int64_t i, auto part) {
        const vfloat weight = load(params->weight + i, part);
        vfloat dweight = load(sums + i, part), dbias = load(sums + channels + i, part);
#pragma GCC unroll 4
        for (int r = 0; r < count; ++r) {
            const vfloat normal = (load(x[r] + i, part) - mean[r]) * inverse_std[r];
            vfloat slope = load(dy[r] + i, part);
            if (gated) {
                const vfloat z = load(gate[r] + i, part), s = sigmoid(z);
                const vfloat out = normal * weight + load(params->bias + i, part);
                store(dgate[r] + i, slope * out * (s * (1.0f + z * (1.0f - s))), part);
                slope *= z * s;
                store(kept + r * channels + i, slope, part);
            }
            dweight += slope * normal;
            dbias += slope;
            along_bias[r] += slope * weight;
            along_weight[r] += slope * weight * normal;
        }
        store(sums + i, dweight, part);
        store(sums + channels + i, dbias, part);
    });
#pragma GCC unroll 4
    for (int r = 0; r < count; ++r) {
        along_bias[r] = broadcast(sum(along_bias[r]) * share);
        along_weight[r] = broadcast(sum(along_weight[r]) * share);
    }
    each_vector(channels, [&](int64_t i, auto part) {
        const vfloat weight = load(params->weight + i, part);
#pragma GCC unroll 4
        for (int r = 0; r < count; ++r) {
            const vfloat normal = (load(x[r] + i, part) - mean[r]) * inverse_std[r];
            const vfloat off_means = load(g[r] + i, part) * weight - along_bias[r] - normal * along_weight[r];
            vfloat out = off_means * inverse_std[r];
            if (params->accumulate_dx) out += load(dx[r] + i, part);
            store(dx[r] + i, out, part);
        }
    });
}

}  // namespace

mm_status layer_norm_forward(mm_stream* stream, const mm_layer_norm_forward_params* params) {
    const int64_t channels = params->channels;
    const int64_t grain = ceil_div(rows_per_task(channels), 4) * 4;
    parallel_ranges(stream, params->rows, grain, [&](int64_t first, int64_t last, int) {
        each_rows(channels, first, last, [&](auto rows, int64_t row) {
            if (params->gate) {
                forward_rows<true, decltype(rows)::value>(params, row);
            } else {
                forward_rows<false, decltype(rows)::value>(params, row);
            }
        });
    });
    return MM_OK;
}

mm_status layer_norm_backward(mm_stream* stream, const mm_layer_norm_backward_params* params) {
    const int64_t channels = params->channels;
    // Few enough rows for sums in float, enough for the sums to be small beside the rows.
    const int64_t grain = std::min<int64_t>(256, std::max<int64_t>(32, rows_per_task(channels))) / 4 * 4;
    const int64_t ranges = ceil_div(params->rows, grain);
    float* partial = stream->scratch.take(ranges * 2 * channels);
    parallel_ranges(stream, params->rows, grain, [&](int64_t first, int64_t last, int worker) {
        Scratch& scratch = stream->worker_scratch[worker];
        Scratch::Scope scope(scratch);
        float* kept = params->gate ? scratch.take(4 * channels) : nullptr;
        float* sums = partial + first / grain * 2 * channels;
        std::memset(sums, 0, (size_t)(2 * channels) * sizeof(float));
        each_rows(channels, first, last, [&](auto rows, int64_t row) {
            if (params->gate) {
                backward_rows<true, decltype(rows)::value>(params, row, sums, kept);
            } else {
                backward_rows<false, decltype(rows)::value>(params, row, sums, nullptr);
            }
        });
    });
    add_partial_sums<2>(stream, partial, ranges, channels, [&](int64_t channel, const double* totals) {
        if (params->dweight) params->dweight[channel] = (float)totals[0];
        if (params->dbias) params->dbias[channel] = (float)totals[1];
    });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
