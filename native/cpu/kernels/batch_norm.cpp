// Batch normalisation as what it amounts to: statistics of each channel, then an affine map of each channel.
//
// Sums over the rows are taken in double, four rows to an addition: that loses nothing to cancellation, however
// far the mean is from zero, reads memory once, and is still no slower than memory. (float holds 24 bits and
// double 53: a variance by mean of squares minus square of mean is good to 1e-4 up to a mean of 1e5 spreads.)
#include "each_vector.h"
#include "partial_sums.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Rows whose sums are kept apart: enough for the sums to be small beside the rows.
int64_t rows_per_range(int64_t channels) { return std::max<int64_t>(32, rows_per_task(channels)); }

// sums (2, channels) = sum of x | sum of x^2 over `rows`.
void moments(const float* x, int64_t stride, int64_t rows, int64_t channels, double* sums) {
    double* __restrict first = sums;
    double* __restrict second = sums + channels;
    std::memset(sums, 0, (size_t)(2 * channels) * sizeof(double));
    int64_t row = 0;
    for (; row + 4 <= rows; row += 4) {
        const float *a = x + row * stride, *b = a + stride, *c = b + stride, *d = c + stride;
        for (int64_t i = 0; i < channels; ++i) {
            const double p = a[i], q = b[i], r = c[i], s = d[i];
            first[i] += (p + q) + (r + s);
            second[i] += (p * p + q * q) + (r * r + s * s);
        }
    }
    for (; row < rows; ++row) {
        for (int64_t i = 0; i < channels; ++i) {
            const double p = x[row * stride + i];
            first[i] += p;
            second[i] += p * p;
        }
    }
}

// dy where ReLU let the value through, which is recomputed as forward computed it. By a mask and not a branch, so
// that the loops around it become vectors.
template <bool relu>
inline float passed(float x, float scale, float shift, float dy) {
    if (!relu) return dy;
    const uint32_t mask = -(uint32_t)(x * scale + shift > 0.0f);
    uint32_t word;
    std::memcpy(&word, &dy, sizeof word);
    word &= mask;
    std::memcpy(&dy, &word, sizeof dy);
    return dy;
}

// sums (2, channels) = sum of g (x - mean) | sum of g over rows [first, last), g = what ReLU passed of dy.
template <bool relu>
void gradient_moments(const mm_batch_norm_backward_params* params, int64_t first, int64_t last, double* sums) {
    const int64_t channels = params->channels;
    const int64_t x_row = row_stride(params->x_row, channels), dy_row = row_stride(params->dy_row, channels);
    const float *mean = params->statistics, *scale = params->scale, *shift = params->shift;
    double* __restrict along_weight = sums;
    double* __restrict along_bias = sums + channels;
    std::memset(sums, 0, (size_t)(2 * channels) * sizeof(double));
    int64_t row = first;
    for (; row + 2 <= last; row += 2) {
        const float *x = params->x + row * x_row, *next_x = x + x_row;
        const float *dy = params->dy + row * dy_row, *next_dy = dy + dy_row;
        for (int64_t i = 0; i < channels; ++i) {
            const double g = passed<relu>(x[i], scale[i], shift[i], dy[i]);
            const double next_g = passed<relu>(next_x[i], scale[i], shift[i], next_dy[i]);
            along_weight[i] += g * (double)(x[i] - mean[i]) + next_g * (double)(next_x[i] - mean[i]);
            along_bias[i] += g + next_g;
        }
    }
    if (row < last) {
        const float *x = params->x + row * x_row, *dy = params->dy + row * dy_row;
        for (int64_t i = 0; i < channels; ++i) {
            const double g = passed<relu>(x[i], scale[i], shift[i], dy[i]);
            along_weight[i] += g * (double)(x[i] - mean[i]);
            along_bias[i] += g;
        }
    }
}

// dx = scale g + slope (x - mean) + constant, per channel; the last two come from the statistics' own gradients.
template <bool relu>
void gradient_rows(mm_stream* stream, const mm_batch_norm_backward_params* params, const float* slope,
                   const float* constant) {
    const int64_t channels = params->channels;
    const int64_t x_row = row_stride(params->x_row, channels), dy_row = row_stride(params->dy_row, channels);
    const int64_t dx_row = row_stride(params->dx_row, channels);
    parallel_ranges(stream, params->rows, rows_per_task(channels), [&](int64_t first, int64_t last, int) {
        for (int64_t row = first; row < last; ++row) {
            const float *x = params->x + row * x_row, *dy = params->dy + row * dy_row;
            float* dx = params->dx + row * dx_row;
            each_vector(channels, [&](int64_t i, auto part) {
                const vfloat scale = load(params->scale + i, part);
                vfloat g = load(dy + i, part), value{};
                if (relu || params->training) value = load(x + i, part);
                if (relu) g = value * scale + load(params->shift + i, part) > 0.0f ? g : vfloat{};
                vfloat out = g * scale;
                if (params->training) {
                    out += (value - load(params->statistics + i, part)) * load(slope + i, part) +
                           load(constant + i, part);
                }
                if (params->accumulate_dx) out += load(dx + i, part);
                store(dx + i, out, part);
            });
        }
    });
}

// Sums of each channel in parts (parts, 2, width), to be added in order, and the rows that they are over.
struct Sums {
    const double* parts;
    int64_t count, width;
    double rows;
};

// From the sums of a rank's ranges of rows to those of all ranks, which are parts then: a rank sends its sums, and its rows
// as one channel more. `own` (2, channels) is its own alone.
mm_status over_ranks(mm_stream* stream, mm_communicator* communicator, const double* ranges, int64_t count,
                     int64_t rows, int64_t channels, double* own, Sums* all) {
    const int64_t width = channels + 1;
    double* sent = stream->scratch.take<double>(2 * width);
    double* received = stream->scratch.take<double>(communicator->size * 2 * width);
    add_partial_sums<2>(stream, ranges, count, channels, [&](int64_t c, const double* totals) {
        own[c] = sent[c] = totals[0];
        own[channels + c] = sent[width + c] = totals[1];
    });
    sent[channels] = (double)rows;
    sent[width + channels] = 0;
    const mm_status status =
        communicator->gather(communicator, stream, sent, received, (size_t)(2 * width) * sizeof(double));
    if (status != MM_OK) return stream->fail(status, "%s", communicator->last_error);
    *all = {received, communicator->size, width, 0};
    for (int64_t rank = 0; rank < communicator->size; ++rank) all->rows += received[rank * 2 * width + channels];
    return MM_OK;
}

}  // namespace

mm_status batch_norm_statistics(mm_stream* stream, const mm_batch_norm_statistics_params* params) {
    const int64_t rows = params->rows, channels = params->channels;
    const int64_t stride = row_stride(params->x_row, channels);
    const int64_t grain = rows_per_range(channels), ranges = ceil_div(rows, grain);
    double* partial = stream->scratch.take<double>(ranges * 2 * channels);
    parallel_ranges(stream, rows, grain, [&](int64_t first, int64_t last, int) {
        moments(params->x + first * stride, stride, last - first, channels, partial + first / grain * 2 * channels);
    });
    Sums all{partial, ranges, channels, (double)rows};
    if (params->communicator) {
        double* own = stream->scratch.take<double>(2 * channels);
        const mm_status status = over_ranks(stream, params->communicator, partial, ranges, rows, channels, own, &all);
        if (status != MM_OK) return status;
    }
    if (all.rows == 0) return stream->fail(MM_INVALID_ARGUMENT, "batch_norm_statistics: an empty batch has no mean");
    const double unbiased = all.rows > 1 ? all.rows / (all.rows - 1) : 1.0;
    add_partial_sums<2>(stream, all.parts, all.count, all.width, [&](int64_t c, const double* totals) {
        if (c == channels) return;
        const double mean = totals[0] / all.rows;
        const double difference = totals[1] / all.rows - mean * mean;
        const double variance = difference < 0 ? 0 : difference;  // a constant channel may round below zero
        const double inverse_std = 1.0 / std::sqrt(variance + (double)params->eps);
        params->statistics[c] = (float)mean;
        params->statistics[channels + c] = (float)inverse_std;
        const double scale = params->weight[c] * inverse_std;
        params->scale[c] = (float)scale;
        params->shift[c] = (float)(params->bias[c] - mean * (double)params->scale[c]);
        const double momentum = params->momentum;
        if (params->running_mean) {
            float& running = params->running_mean[c];
            running = (float)((1.0 - momentum) * running + momentum * mean);
        }
        if (params->running_variance) {
            float& running = params->running_variance[c];
            running = (float)((1.0 - momentum) * running + momentum * variance * unbiased);
        }
    });
    if (params->batches_tracked) *params->batches_tracked += 1;
    return MM_OK;
}

mm_status batch_norm_fold(mm_stream*, const mm_batch_norm_fold_params* params) {
    for (int64_t c = 0; c < params->channels; ++c) {
        const double inverse_std = 1.0 / std::sqrt((double)params->running_variance[c] + (double)params->eps);
        params->statistics[c] = params->running_mean[c];
        params->statistics[params->channels + c] = (float)inverse_std;
        params->scale[c] = (float)(params->weight[c] * inverse_std);
        params->shift[c] = (float)(params->bias[c] - (double)params->running_mean[c] * (double)params->scale[c]);
    }
    return MM_OK;
}

mm_status channel_affine(mm_stream* stream, const mm_channel_affine_params* params) {
    const int64_t channels = params->channels;
    const int64_t x_row = row_stride(params->x_row, channels), y_row = row_stride(params->y_row, channels);
    const vfloat least = broadcast(params->relu ? 0.0f : -INFINITY);
    parallel_ranges(stream, params->rows, rows_per_task(channels), [&](int64_t first, int64_t last, int) {
        for (int64_t row = first; row < last; ++row) {
            const float* x = params->x + row * x_row;
            float* y = params->y + row * y_row;
            each_vector(channels, [&](int64_t i, auto part) {
                const vfloat scale = load(params->scale + i, part), shift = load(params->shift + i, part);
                store(y + i, max(least, load(x + i, part) * scale + shift), part);
            });
        }
    });
    return MM_OK;
}

mm_status batch_norm_backward(mm_stream* stream, const mm_batch_norm_backward_params* params) {
    const int64_t rows = params->rows, channels = params->channels;
    float* slope = stream->scratch.take(channels);
    float* constant = stream->scratch.take(channels);
    if (params->training || params->dweight || params->dbias) {
        const int64_t grain = rows_per_range(channels), ranges = ceil_div(rows, grain);
        double* partial = stream->scratch.take<double>(ranges * 2 * channels);
        parallel_ranges(stream, rows, grain, [&](int64_t first, int64_t last, int) {
            double* sums = partial + first / grain * 2 * channels;
            if (params->relu) {
                gradient_moments<true>(params, first, last, sums);
            } else {
                gradient_moments<false>(params, first, last, sums);
            }
        });
        Sums all{partial, ranges, channels, (double)rows};
        double* own = nullptr;
        if (params->communicator) {
            own = stream->scratch.take<double>(2 * channels);
            const mm_status status =
                over_ranks(stream, params->communicator, partial, ranges, rows, channels, own, &all);
            if (status != MM_OK) return status;
        }
        const double share = 1.0 / std::max(1.0, all.rows);
        add_partial_sums<2>(stream, all.parts, all.count, all.width, [&](int64_t c, const double* totals) {
            if (c == channels) return;
            const double inverse_std = params->statistics[channels + c], scale = params->scale[c];
            if (params->dweight) params->dweight[c] = (float)((own ? own[c] : totals[0]) * inverse_std);
            if (params->dbias) params->dbias[c] = (float)(own ? own[channels + c] : totals[1]);
            slope[c] = (float)(-scale * inverse_std * inverse_std * totals[0] * share);
            constant[c] = (float)(-scale * totals[1] * share);
        });
    }
    if (params->relu) {
        gradient_rows<true>(stream, params, slope, constant);
    } else {
        gradient_rows<false>(stream, params, slope, constant);
    }
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
