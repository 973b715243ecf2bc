// Batch normalisation as what it amounts to: statistics of each channel, then an affine map of each channel.
//
// Sums over the rows are taken in double (column_sums.cuh): that loses nothing to cancellation, however far the mean
// is from zero, reads memory once, and is still no slower than memory. (float holds 24 bits and double 53: a variance
// by mean of squares minus square of mean is good to 1e-4 up to a mean of 1e5 spreads.) The affine passes keep the
// values of a thread's channels in registers (rows.cuh).
#include <cmath>

#include "column_sums.cuh"
#include "rows.cuh"

namespace medmamba::cuda {

namespace {

// Rows that are worth a range of their own: enough for the sums to be small beside the rows.
constexpr int64_t least_rows = 256;

// Where a thread of column_sums.cuh stands.
struct Place {
    int64_t column, range, first, last;
    __device__ explicit Place(const ColumnTiles& tiles)
        : column(blockIdx.x % tiles.tiles * tiles.width + threadIdx.x % tiles.width), range(blockIdx.x / tiles.tiles),
          first(range * tiles.rows_each),
          last(first + tiles.rows_each < tiles.rows ? first + tiles.rows_each : tiles.rows) {}
};

__device__ __forceinline__ void keep(double* partial, const ColumnTiles& tiles, const Place& place,
                                     const double (&total)[2]) {
    for (int s = 0; s < 2; ++s) partial[(place.range * 2 + s) * tiles.columns + place.column] = total[s];
}

// partial (ranges, 2, channels) = sum of x | sum of x^2 over the range's rows.
template <class X>
__global__ void __launch_bounds__(column_threads)
moments_kernel(const X* x, int64_t stride, ColumnTiles tiles, double* partial) {
    const Place place(tiles);
    const auto add = [&](int64_t row, double(&total)[2]) {
        const double value = to_float(x[row * stride + place.column]);
        total[0] += value;
        total[1] += value * value;
    };
    double total[2];
    if (sum_column<2>(shared_memory<ColumnSums<2>>(), tiles.width, place.column < tiles.columns, place.first,
                      place.last, add, total)) {
        keep(partial, tiles, place, total);
    }
}

// dy where ReLU let the value through, which is recomputed as forward computed it.
template <bool relu>
__device__ __forceinline__ float passed(float x, float scale, float shift, float dy) {
    return !relu || x * scale + shift > 0.0f ? dy : 0.0f;
}

// partial (ranges, 2, channels) = sum of g (x - mean) | sum of g over the range's rows, g = what ReLU passed of dy.
template <bool relu, class X, class Y>
__global__ void __launch_bounds__(column_threads)
gradient_moments_kernel(mm_batch_norm_backward_params p, ColumnTiles tiles, double* partial) {
    const Place place(tiles);
    const bool exists = place.column < tiles.columns;
    const float mean = exists ? p.statistics[place.column] : 0.0f;
    const float scale = exists ? p.scale[place.column] : 0.0f, shift = exists ? p.shift[place.column] : 0.0f;
    const auto add = [&](int64_t row, double(&total)[2]) {
        const float x = to_float(stored<X>(p.x)[row * p.x_row + place.column]);
        const double g = passed<relu>(x, scale, shift, to_float(stored<Y>(p.dy)[row * p.dy_row + place.column]));
        total[0] += g * (double)(x - mean);
        total[1] += g;
    };
    double total[2];
    if (sum_column<2>(shared_memory<ColumnSums<2>>(), tiles.width, exists, place.first, place.last, add, total)) {
        keep(partial, tiles, place, total);
    }
}

// What a rank sends to the others, (2, channels + 1): its sums of each channel, and its rows as one channel more.
struct Message {
    int64_t rows, channels;
    double *sent, *own;  // own (2, channels) as well, if it is there
    __device__ void operator()(int64_t c, const double (&totals)[2]) const {
        for (int s = 0; s < 2; ++s) {
            sent[s * (channels + 1) + c] = totals[s];
            if (own) own[s * channels + c] = totals[s];
        }
        if (c != 0) return;
        sent[channels] = (double)rows;
        sent[2 * channels + 1] = 0.0;
    }
};

// The rows that sums are over: a stream's own, or those of the messages of all ranks, added in their order.
struct Rows {
    int64_t own, channels;
    const double* received;  // null without ranks
    int32_t ranks;
    __device__ double count() const {
        if (!received) return (double)own;
        double rows = 0.0;
        for (int32_t rank = 0; rank < ranks; ++rank) rows += received[rank * 2 * (channels + 1) + channels];
        return rows;
    }
};

// From the sums of a channel to its statistics, its affine map, and where the running statistics go.
struct Statistics {
    mm_batch_norm_statistics_params p;
    Rows of;
    __device__ void operator()(int64_t c, const double (&totals)[2]) const {
        if (c == p.channels) return;
        const double rows = of.count(), mean = totals[0] / rows;
        const double difference = totals[1] / rows - mean * mean;
        const double variance = difference < 0 ? 0 : difference;  // a constant channel may round below zero
        const double unbiased = rows > 1 ? rows / (rows - 1) : 1.0;
        const double inverse_std = 1.0 / sqrt(variance + (double)p.eps);
        p.statistics[c] = (float)mean;
        p.statistics[p.channels + c] = (float)inverse_std;
        const float scale = (float)(p.weight[c] * inverse_std);
        p.scale[c] = scale;
        p.shift[c] = (float)(p.bias[c] - mean * (double)scale);
        const double momentum = p.momentum;
        if (p.running_mean) p.running_mean[c] = (float)((1.0 - momentum) * p.running_mean[c] + momentum * mean);
        if (p.running_variance) {
            p.running_variance[c] =
                (float)((1.0 - momentum) * p.running_variance[c] + momentum * variance * unbiased);
        }
        if (p.batches_tracked && c == 0) *p.batches_tracked += 1;
    }
};

// From the sums of a channel to the gradients of weight and bias, and to what gradient_kernel needs.
struct ChannelGradients {
    mm_batch_norm_backward_params p;
    float *slope, *constant;
    Rows of;
    const double* own;  // (2, channels), where `totals` are of all ranks
    __device__ void operator()(int64_t c, const double (&totals)[2]) const {
        if (c == p.channels) return;
        const double inverse_std = p.statistics[p.channels + c], scale = p.scale[c], rows = of.count();
        const double share = 1.0 / (rows > 1 ? rows : 1);
        if (p.dweight) p.dweight[c] = (float)((own ? own[c] : totals[0]) * inverse_std);
        if (p.dbias) p.dbias[c] = (float)(own ? own[p.channels + c] : totals[1]);
        slope[c] = (float)(-scale * inverse_std * inverse_std * totals[0] * share);
        constant[c] = (float)(-scale * totals[1] * share);
    }
};

__global__ void __launch_bounds__(threads_per_block) fold_kernel(mm_batch_norm_fold_params p) {
    const int64_t c = thread_of_grid();
    if (c >= p.channels) return;
    const double mean = p.running_mean[c], inverse_std = 1.0 / sqrt((double)p.running_variance[c] + (double)p.eps);
    const float scale = (float)(p.weight[c] * inverse_std);
    p.statistics[c] = p.running_mean[c];
    p.statistics[p.channels + c] = (float)inverse_std;
    p.scale[c] = scale;
    p.shift[c] = (float)(p.bias[c] - mean * (double)scale);
}

template <int width, class X, class Y>
__global__ void __launch_bounds__(threads_per_block) affine_kernel(mm_channel_affine_params p, RowPass pass) {
    const int64_t channel = pass.vector() * width;
    if (pass.vector() >= pass.vectors) return;
    const Floats<width> scale = load(p.scale + channel, Width<width>{});
    const Floats<width> shift = load(p.shift + channel, Width<width>{});
    for (int64_t row = pass.first_row(); row < pass.rows; row += pass.row_step()) {
        Floats<width> v = load(stored<X>(p.x) + row * p.x_row + channel, Width<width>{});
        for (int i = 0; i < width; ++i) {
            const float value = v.lane[i] * scale.lane[i] + shift.lane[i];
            v.lane[i] = p.relu && value < 0.0f ? 0.0f : value;  // NaN stays
        }
        store(stored<Y>(p.y) + row * p.y_row + channel, v);
    }
}

// dx = scale g + slope (x - mean) + constant, per channel; the last two come from the statistics' own gradients.
template <int width, class X, class Y>
__global__ void __launch_bounds__(threads_per_block)
gradient_kernel(mm_batch_norm_backward_params p, RowPass pass, const float* slopes, const float* constants) {
    constexpr Width<width> vector{};
    const int64_t channel = pass.vector() * width;
    if (pass.vector() >= pass.vectors) return;
    const Floats<width> zero = broadcast(0.0f, vector), scale = load(p.scale + channel, vector);
    const Floats<width> shift = p.relu ? load(p.shift + channel, vector) : zero;
    const Floats<width> mean = p.training ? load(p.statistics + channel, vector) : zero;
    const Floats<width> slope = p.training ? load(slopes + channel, vector) : zero;
    const Floats<width> constant = p.training ? load(constants + channel, vector) : zero;
    for (int64_t row = pass.first_row(); row < pass.rows; row += pass.row_step()) {
        const Floats<width> dy = load(stored<Y>(p.dy) + row * p.dy_row + channel, vector);
        const Floats<width> x =
            p.relu || p.training ? load(stored<X>(p.x) + row * p.x_row + channel, vector) : zero;
        X* dx = stored<X>(p.dx) + row * p.dx_row + channel;
        Floats<width> out = p.accumulate_dx ? load(dx, vector) : zero;
        for (int i = 0; i < width; ++i) {
            const bool passes = !p.relu || x.lane[i] * scale.lane[i] + shift.lane[i] > 0.0f;
            const float through = passes ? dy.lane[i] * scale.lane[i] : 0.0f;
            const float of_statistics =
                p.training ? (x.lane[i] - mean.lane[i]) * slope.lane[i] + constant.lane[i] : 0.0f;
            out.lane[i] += through + of_statistics;
        }
        store(dx, out);
    }
}

bool are_fours(int64_t channels, int64_t a_row, int64_t b_row, int64_t c_row) {
    return ((channels | a_row | b_row | c_row) & 3) == 0;
}

// The sums of all ranks, as parts to be added in their order.
class OverRanks {
public:
    // Doubles of workspace: a message, those of all ranks, and the rank's own sums.
    static int64_t doubles(const mm_communicator* communicator, int64_t channels) {
        return communicator ? (communicator->size + 1) * 2 * (channels + 1) + 2 * channels : 0;
    }

    // `partial` (ranges, 2, channels) are this rank's own; `memory` has as many doubles as `doubles` says.
    OverRanks(mm_stream* stream, const char* what, mm_communicator* communicator, const double* partial, int64_t ranges,
              int64_t rows, int64_t channels, double* memory)
        : parts(partial), count(ranges), width(channels), rows{rows, channels, nullptr, 0} {
        if (!communicator) return;
        const int64_t message = 2 * (channels + 1);
        double *sent = memory, *received = sent + message, *of_rank = received + communicator->size * message;
        status = add_partial_sums<2>(stream, what, partial, ranges, channels, Message{rows, channels, sent, of_rank});
        if (status != MM_OK) return;
        status = communicator->gather(communicator, stream, sent, received, (size_t)message * sizeof(double));
        if (status != MM_OK) {
            stream->fail(status, "%s", communicator->last_error);
            return;
        }
        parts = received;
        count = communicator->size;
        width = channels + 1;
        this->rows.received = received;
        this->rows.ranks = communicator->size;
        own = of_rank;
    }

    const double* parts;
    int64_t count, width;
    Rows rows;
    const double* own = nullptr;
    mm_status status = MM_OK;
};

}  // namespace

mm_status batch_norm_statistics(mm_stream* stream, const mm_batch_norm_statistics_params* params) {
    if (params->rows == 0 && !params->communicator)
        return stream->fail(MM_INVALID_ARGUMENT, "batch_norm_statistics: an empty batch has no mean");
    const ColumnTiles tiles(params->rows, params->channels, least_rows);
    const int64_t own_doubles = tiles.ranges * 2 * params->channels;
    Workspace workspace(stream, 2 * (own_doubles + OverRanks::doubles(params->communicator, params->channels)));
    if (workspace.status() != MM_OK) return workspace.status();
    double* partial = reinterpret_cast<double*>(workspace.data());
    const char* what = "batch_norm_statistics";
    const mm_status status = with_storage(stream, what, params->x_dtype, [&](auto x) {
        using X = decltype(x);
        return launch(stream, what, moments_kernel<X>, dim3((unsigned)(tiles.ranges * tiles.tiles)), column_threads,
                      sizeof(ColumnSums<2>), stored<X>(params->x), row_stride(params->x_row, params->channels), tiles,
                      partial);
    });
    if (status != MM_OK) return status;
    const OverRanks all(stream, what, params->communicator, partial, tiles.ranges, params->rows, params->channels,
                        partial + own_doubles);
    if (all.status != MM_OK) return all.status;
    return add_partial_sums<2>(stream, what, all.parts, all.count, all.width, Statistics{*params, all.rows});
}

mm_status batch_norm_fold(mm_stream* stream, const mm_batch_norm_fold_params* params) {
    const dim3 blocks((unsigned)ceil_div(params->channels, threads_per_block));
    return launch(stream, "batch_norm_fold", fold_kernel, blocks, threads_per_block, 0, *params);
}

mm_status channel_affine(mm_stream* stream, const mm_channel_affine_params* params) {
    mm_channel_affine_params p = *params;
    p.x_row = row_stride(p.x_row, p.channels);
    p.y_row = row_stride(p.y_row, p.channels);
    const auto run = [&](auto kernel, int width) {
        const RowPass pass(stream, p.rows, p.channels, width);
        return launch(stream, "channel_affine", kernel, pass.blocks(), threads_per_block, 0, p, pass);
    };
    const bool fours = are_fours(p.channels, p.x_row, p.y_row, 0) && aligned_for_vectors(p.x, p.y, p.scale, p.shift);
    return with_storages(stream, "channel_affine", p.x_dtype, p.y_dtype, [&](auto x, auto y) {
        using X = decltype(x);
        using Y = decltype(y);
        return fours ? run(affine_kernel<4, X, Y>, 4) : run(affine_kernel<1, X, Y>, 1);
    });
}

namespace {

template <class X, class Y>
mm_status backward_of(mm_stream* stream, mm_batch_norm_backward_params p) {
    p.x_row = row_stride(p.x_row, p.channels);
    p.dy_row = row_stride(p.dy_row, p.channels);
    p.dx_row = row_stride(p.dx_row, p.channels);

    const char* what = "batch_norm_backward";
    const ColumnTiles tiles(p.rows, p.channels, least_rows);
    const int64_t channels = ceil_div(p.channels, 4) * 4;  // keeps both arrays and the doubles behind them aligned
    const int64_t own_doubles = tiles.ranges * 2 * p.channels;
    Workspace workspace(stream, 2 * channels + 2 * (own_doubles + OverRanks::doubles(p.communicator, p.channels)));
    if (workspace.status() != MM_OK) return workspace.status();
    float *slope = workspace.data(), *constant = slope + channels;
    double* partial = reinterpret_cast<double*>(constant + channels);
    if (p.training || p.dweight || p.dbias) {
        const mm_status moments =
            launch(stream, what, p.relu ? gradient_moments_kernel<true, X, Y> : gradient_moments_kernel<false, X, Y>,
                   dim3((unsigned)(tiles.ranges * tiles.tiles)), column_threads, sizeof(ColumnSums<2>), p, tiles,
                   partial);
        if (moments != MM_OK) return moments;
        const OverRanks all(stream, what, p.communicator, partial, tiles.ranges, p.rows, p.channels,
                            partial + own_doubles);
        if (all.status != MM_OK) return all.status;
        const mm_status gradients = add_partial_sums<2>(stream, what, all.parts, all.count, all.width,
                                                        ChannelGradients{p, slope, constant, all.rows, all.own});
        if (gradients != MM_OK) return gradients;
    }

    const auto run = [&](auto kernel, int width) {
        const RowPass pass(stream, p.rows, p.channels, width);
        return launch(stream, what, kernel, pass.blocks(), threads_per_block, 0, p, pass, slope, constant);
    };
    const bool fours = are_fours(p.channels, p.x_row, p.dy_row, p.dx_row) &&
                       aligned_for_vectors(p.x, p.dy, p.dx, p.scale, p.shift, p.statistics);
    return fours ? run(gradient_kernel<4, X, Y>, 4) : run(gradient_kernel<1, X, Y>, 1);
}

}  // namespace

mm_status batch_norm_backward(mm_stream* stream, const mm_batch_norm_backward_params* params) {
    return with_storages(stream, "batch_norm_backward", params->x_dtype, params->y_dtype, [&](auto x, auto y) {
        return backward_of<decltype(x), decltype(y)>(stream, *params);
    });
}

}  // namespace medmamba::cuda
