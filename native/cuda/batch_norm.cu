// Batch normalisation as what it amounts to: statistics of each channel, then an affine map of each channel.
//
// A thread takes vectors of 16 bytes, and sums over its rows as floats. Those of the statistics are of differences from
// a pivot, the channel's first value: they lose nothing to cancellation, however far the mean is from zero. Blocks and
// what follows add doubles (column_sums.cuh), which cost a float's time on data-center chips alone. Where the operation
// in front has left the sums of 64 rows each, these are added instead, and the rows are not read (column_moments.cuh).
// The affine passes keep the values of a thread's channels in registers (rows.cuh). Bound by memory.
#include <cmath>

#include "column_moments.cuh"
#include "column_sums.cuh"
#include "rows.cuh"

namespace medmamba::cuda {

namespace {

// Rows that are worth a range of their own: enough for the sums to be small beside the rows.
constexpr int64_t least_rows = 256;

// Of parts (epilogue.cuh), each of which is many rows already, in the rows' place.
ColumnTiles tiles_of_parts(int64_t rows, int64_t channels, int vector) {
    return {ceil_div(rows, part_rows), channels, 1, vector, 4};
}

// sum_columns of two sums, and where they go: partial (ranges, 2, channels).
template <int vector, class Term>
__device__ __forceinline__ void leave_moments(const ColumnTiles& tiles, const ColumnRange& range, bool exists,
                                              Term&& term, double* partial) {
    double total[2];
    const bool is_column = sum_columns<2, vector, float>(shared_memory<ColumnSums<2>>(), tiles.width, exists,
                                                         range.first, range.last, term, total);
    const int64_t column = range.first_column + threadIdx.x;
    if (!is_column || column >= tiles.columns) return;
    for (int s = 0; s < 2; ++s) partial[(range.range * 2 + s) * tiles.columns + column] = total[s];
}

template <int vector>
__device__ __forceinline__ int64_t column_of_thread(const ColumnTiles& tiles, const ColumnRange& range) {
    return range.first_column + (int)threadIdx.x % (tiles.width / vector) * vector;
}

// partial = sum of x - pivot | sum of (x - pivot)^2 over the range's rows.
template <int vector, class X>
__global__ void __launch_bounds__(column_threads)
moments_kernel(const X* x, int64_t stride, ColumnTiles tiles, double* partial) {
    constexpr Width<vector> width{};
    const ColumnRange range(tiles, blockIdx.x);
    const int64_t column = column_of_thread<vector>(tiles, range);
    const bool exists = column < tiles.columns && tiles.rows > 0;
    const Floats<vector> pivot = exists ? load(x + column, width) : broadcast(0.0f, width);
    const auto add = [&](int64_t row, float(&total)[2][vector]) {
        const Floats<vector> v = load(x + row * stride + column, width);
        for (int i = 0; i < vector; ++i) {
            const float difference = v.lane[i] - pivot.lane[i];
            total[0][i] += difference;
            total[1][i] += difference * difference;
        }
    };
    leave_moments<vector>(tiles, range, exists, add, partial);
}

// partial = sum of g (x - mean) | sum of g over the range's rows, g = what ReLU passed of dy, which is recomputed as
// forward computed it.
template <int vector, bool relu, class X, class Y>
__global__ void __launch_bounds__(column_threads)
gradient_moments_kernel(mm_batch_norm_backward_params p, ColumnTiles tiles, double* partial) {
    constexpr Width<vector> width{};
    const ColumnRange range(tiles, blockIdx.x);
    const int64_t column = column_of_thread<vector>(tiles, range);
    const bool exists = column < tiles.columns;
    const Floats<vector> zero = broadcast(0.0f, width), mean = exists ? load(p.statistics + column, width) : zero;
    const Floats<vector> scale = relu && exists ? load(p.scale + column, width) : zero;
    const Floats<vector> shift = relu && exists ? load(p.shift + column, width) : zero;
    const auto add = [&](int64_t row, float(&total)[2][vector]) {
        const Floats<vector> x = load(stored<X>(p.x) + row * p.x_row + column, width);
        const Floats<vector> dy = load(stored<Y>(p.dy) + row * p.dy_row + column, width);
        for (int i = 0; i < vector; ++i) {
            const bool passes = !relu || x.lane[i] * scale.lane[i] + shift.lane[i] > 0.0f;
            const float g = passes ? dy.lane[i] : 0.0f;
            total[0][i] += g * (x.lane[i] - mean.lane[i]);
            total[1][i] += g;
        }
    };
    leave_moments<vector>(tiles, range, exists, add, partial);
}

// The same from what the operation in front has left of each part of the rows.
template <int vector, template <int> class Parts>
__global__ void __launch_bounds__(column_threads)
parts_kernel(const float* sums, int64_t rows, ColumnTiles tiles, double* partial) {
    const ColumnRange range(tiles, blockIdx.x);
    const int64_t column = column_of_thread<vector>(tiles, range);
    const bool exists = column < tiles.columns && tiles.rows > 0;
    const Parts<vector> parts(sums, rows, tiles.columns, column, exists);
    leave_moments<vector>(tiles, range, exists, [&](int64_t part, auto& total) { parts.add(part, total); }, partial);
}

// What a rank sends to the others, (2, channels + 1): its sums of each channel, and its rows as one channel more. Moments come
// about the rank's own pivot, and go about zero.
template <class X>
struct Message {
    int64_t rows, channels;
    double *sent, *own;  // own: (2, channels), the sums as they came
    const X* pivot;      // null for other sums
    __device__ void operator()(int64_t c, const double (&totals)[2]) const {
        const double p = pivot && rows > 0 ? (double)to_float(pivot[c]) : 0.0, count = (double)rows;
        sent[c] = totals[0] + count * p;
        sent[channels + 1 + c] = totals[1] + p * (2.0 * totals[0] + count * p);
        for (int s = 0; s < 2; ++s) own[s * channels + c] = totals[s];
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
template <class X>
struct Statistics {
    mm_batch_norm_statistics_params p;
    Rows of;
    const X* pivots;
    __device__ void operator()(int64_t c, const double (&totals)[2]) const {
        if (c == p.channels) return;
        const double rows = of.count(), pivot = of.received ? 0.0 : (double)to_float(pivots[c]);
        const double from_pivot = totals[0] / rows, mean = pivot + from_pivot;
        const double difference = totals[1] / rows - from_pivot * from_pivot;
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

// The widest vectors of values of these types: 16 bytes of the narrowest.
template <class X, class Y = X>
constexpr int widest = sizeof(X) + sizeof(Y) > 4 ? 4 : 8;

// The sums of all ranks, as parts to be added in their order.
class OverRanks {
public:
    // Doubles of workspace: a message, those of all ranks, and the rank's own sums.
    static int64_t doubles(const mm_communicator* communicator, int64_t channels) {
        return communicator ? (communicator->size + 1) * 2 * (channels + 1) + 2 * channels : 0;
    }

    // `partial` (ranges, 2, channels) are this rank's own; `memory` has as many doubles as `doubles` says.
    template <class X>
    OverRanks(mm_stream* stream, const char* what, mm_communicator* communicator, const double* partial, int64_t ranges,
              int64_t rows, int64_t channels, double* memory, const X* pivot)
        : parts(partial), count(ranges), width(channels), rows{rows, channels, nullptr, 0} {
        if (!communicator) return;
        const int64_t message = 2 * (channels + 1);
        double *sent = memory, *received = sent + message, *of_rank = received + communicator->size * message;
        status = add_partial_sums<2>(stream, what, partial, ranges, channels,
                                     Message<X>{rows, channels, sent, of_rank, pivot});
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

namespace {

// sum(partial) queues what leaves the sums of each range of `tiles`, of differences from `pivots`.
template <class Pivot, class Sum>
mm_status statistics_of(mm_stream* stream, const char* what, const mm_batch_norm_statistics_params& params,
                        const ColumnTiles& tiles, const Pivot* pivots, Sum&& sum) {
    const int64_t doubles = tiles.ranges * 2 * params.channels;
    const int64_t of_ranks = OverRanks::doubles(params.communicator, params.channels);
    const Workspace workspace(stream, 2 * (doubles + of_ranks));
    if (workspace.status() != MM_OK) return workspace.status();
    double* partial = reinterpret_cast<double*>(workspace.data());
    const mm_status status = sum(partial);
    if (status != MM_OK) return status;
    const OverRanks all(stream, what, params.communicator, partial, tiles.ranges, params.rows, params.channels,
                        partial + doubles, pivots);
    if (all.status != MM_OK) return all.status;
    return add_partial_sums<2>(stream, what, all.parts, all.count, all.width,
                               Statistics<Pivot>{params, all.rows, pivots});
}

// Sums of ranges of parts (epilogue.cuh), whose rows another operation has added.
template <template <int> class Parts, int vector>
mm_status sum_parts(mm_stream* stream, const char* what, const float* sums, int64_t rows, const ColumnTiles& tiles,
                    double* partial) {
    return launch(stream, what, parts_kernel<vector, Parts>, dim3((unsigned)(tiles.ranges * tiles.tiles)),
                  column_threads, sizeof(ColumnSums<2>), sums, rows, tiles, partial);
}

}  // namespace

mm_status batch_norm_statistics(mm_stream* stream, const mm_batch_norm_statistics_params* params) {
    if (params->rows == 0 && !params->communicator)
        return stream->fail(MM_INVALID_ARGUMENT, "batch_norm_statistics: an empty batch has no mean");
    const char* what = "batch_norm_statistics";
    const int64_t channels = params->channels, row = row_stride(params->x_row, channels);
    if (const float* moments = params->moments) {
        return with_width<4, 1>(vector_width(channels, moments), [&](auto width) {
            const ColumnTiles tiles = tiles_of_parts(params->rows, channels, width.value);
            return statistics_of(stream, what, *params, tiles, moments, [&](double* partial) {
                return sum_parts<ValueParts, decltype(width)::value>(stream, what, moments, params->rows, tiles, partial);
            });
        });
    }
    return with_storage(stream, what, params->x_dtype, [&](auto element) {
        using X = decltype(element);
        const X* x = stored<X>(params->x);
        return with_width<widest<X>, 1>(vector_width(channels, row, x), [&](auto width) {
            const ColumnTiles tiles(params->rows, channels, least_rows, width.value);
            return statistics_of(stream, what, *params, tiles, x, [&](double* partial) {
                return launch(stream, what, moments_kernel<decltype(width)::value, X>,
                              dim3((unsigned)(tiles.ranges * tiles.tiles)), column_threads, sizeof(ColumnSums<2>), x,
                              row, tiles, partial);
            });
        });
    });
}

mm_status batch_norm_fold(mm_stream* stream, const mm_batch_norm_fold_params* params) {
    const dim3 blocks((unsigned)ceil_div(params->channels, threads_per_block));
    return launch(stream, "batch_norm_fold", fold_kernel, blocks, threads_per_block, 0, *params);
}

mm_status channel_affine(mm_stream* stream, const mm_channel_affine_params* params) {
    mm_channel_affine_params p = *params;
    p.x_row = row_stride(p.x_row, p.channels);
    p.y_row = row_stride(p.y_row, p.channels);
    return with_storages(stream, "channel_affine", p.x_dtype, p.y_dtype, [&](auto x, auto y) {
        using X = decltype(x);
        using Y = decltype(y);
        const int vector =
            vector_width(p.channels, p.x_row, p.y_row, stored<X>(p.x), stored<Y>(p.y), p.scale, p.shift);
        return with_width<widest<X, Y>, 1>(vector, [&](auto width) {
            const RowPass pass(stream, p.rows, p.channels, width.value);
            return launch(stream, "channel_affine", affine_kernel<decltype(width)::value, X, Y>, pass.blocks(),
                          threads_per_block, 0, p, pass);
        });
    });
}

namespace {

// From the sums of each range to the gradients of weight and bias and to what gradient_kernel needs.
mm_status finish_sums(mm_stream* stream, const char* what, const mm_batch_norm_backward_params& p, int64_t ranges,
                      double* partial, float* slope, float* constant) {
    const OverRanks all(stream, what, p.communicator, partial, ranges, p.rows, p.channels,
                        partial + ranges * 2 * p.channels, (const float*)nullptr);
    if (all.status != MM_OK) return all.status;
    return add_partial_sums<2>(stream, what, all.parts, all.count, all.width,
                               ChannelGradients{p, slope, constant, all.rows, all.own});
}

template <class X, class Y>
mm_status backward_of(mm_stream* stream, mm_batch_norm_backward_params p) {
    p.x_row = row_stride(p.x_row, p.channels);
    p.dy_row = row_stride(p.dy_row, p.channels);
    p.dx_row = row_stride(p.dx_row, p.channels);

    const char* what = "batch_norm_backward";
    const int64_t channels = ceil_div(p.channels, 4) * 4;  // keeps both arrays and the doubles behind them aligned
    const int vector = vector_width(p.channels, p.x_row, p.dy_row, p.dx_row, stored<X>(p.x), stored<Y>(p.dy),
                                    stored<X>(p.dx), p.scale, p.shift, p.statistics, p.moments);
    return with_width<widest<X, Y>, 1>(vector, [&](auto width) {
        constexpr int count = decltype(width)::value, of_parts = count < 4 ? 1 : 4;
        const ColumnTiles tiles = p.moments ? tiles_of_parts(p.rows, p.channels, of_parts)
                                            : ColumnTiles(p.rows, p.channels, least_rows, count);
        const int64_t doubles = tiles.ranges * 2 * p.channels;
        const int64_t of_ranks = OverRanks::doubles(p.communicator, p.channels);
        const Workspace workspace(stream, 2 * channels + 2 * (doubles + of_ranks));
        if (workspace.status() != MM_OK) return workspace.status();
        float *slope = workspace.data(), *constant = slope + channels;
        double* partial = reinterpret_cast<double*>(constant + channels);
        if (p.training || p.dweight || p.dbias) {
            const auto kernel =
                p.relu ? gradient_moments_kernel<count, true, X, Y> : gradient_moments_kernel<count, false, X, Y>;
            mm_status status = p.moments ? sum_parts<GradientParts, of_parts>(stream, what, p.moments, p.rows, tiles, partial)
                                         : launch(stream, what, kernel, dim3((unsigned)(tiles.ranges * tiles.tiles)),
                                                  column_threads, sizeof(ColumnSums<2>), p, tiles, partial);
            if (status == MM_OK) status = finish_sums(stream, what, p, tiles.ranges, partial, slope, constant);
            if (status != MM_OK) return status;
        }
        const RowPass pass(stream, p.rows, p.channels, count);
        return launch(stream, what, gradient_kernel<count, X, Y>, pass.blocks(), threads_per_block, 0, p, pass, slope,
                      constant);
    });
}

}  // namespace

mm_status batch_norm_backward(mm_stream* stream, const mm_batch_norm_backward_params* params) {
    return with_storages(stream, "batch_norm_backward", params->x_dtype, params->y_dtype, [&](auto x, auto y) {
        return backward_of<decltype(x), decltype(y)>(stream, *params);
    });
}

}  // namespace medmamba::cuda
