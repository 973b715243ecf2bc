// Gradient of the weights of a 3x3 convolution: a sum over all pixels.
//
//     dweight[o, i, tap] = sum over pixels of  f(x)[pixel + tap, i] * dy[pixel, o]
//
// As a product, rows are (tap, i), columns o, and k walks the pixels of a band (see conv3x3_pixel_walk.h). Pixels of dy
// are the rows of B.
//
// Sums gather in tiles, (9, channels, panel): one for a block of input channels, a panel of output channels and a range
// of bands, which are added in order. The tiles of all ranges are added in the order of the ranges when they are
// written as PyTorch stores weights; where the weights are many there is one range. A task owns the tiles of one block
// and range, of as many panels as leave work for all threads, because they share the staged input.
#include "conv3x3_pixel_walk.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// bias[j] += sum over rows of dy.
void add_columns(const float* dy, int64_t dy_row, int64_t rows, int64_t columns, float* bias) {
    each_vector(columns, [&](int64_t j, auto part) {
        vfloat sum{};
        for (int64_t r = 0; r < rows; ++r) sum += load(dy + r * dy_row + j, part);
        store(bias + j, load(bias + j, part) + sum, part);
    });
}

// The sums of all ranges for one tile: block of input channels and panel of output channels.
struct Sums {
    int64_t in_channels, first_channel, channels;  // input channels: all, and the tile's
    int64_t first_column, columns;                 // output channels of the tile
    const float* first;                            // (9, channels, packed_width(columns)) of the first range
    int64_t ranges, range;                         // and the distance to the next
};

// Input channels [begin, end) of the tile.
void write_weights(const Sums& sums, int64_t begin, int64_t end, float* dweight) {
    const int64_t width = packed_width(sums.columns);
    float by_tap[9][panel_columns];
    for (int64_t i = begin; i < end; ++i) {
        for (int64_t tap = 0; tap < 9; ++tap) {
            const float* from = sums.first + (tap * sums.channels + i) * width;
            for (int64_t j = 0; j < width; j += lanes) {
                vfloat sum = load(from + j);
                for (int64_t r = 1; r < sums.ranges; ++r) sum += load(from + r * sums.range + j);
                store(by_tap[tap] + j, sum);
            }
        }
        float* to = dweight + (sums.first_column * sums.in_channels + sums.first_channel + i) * 9;
        for (int64_t j = 0; j < sums.columns; ++j, to += 9 * sums.in_channels)
            for (int64_t tap = 0; tap < 9; ++tap) to[tap] = by_tap[tap][j];
    }
}

constexpr int64_t wanted_tiles = 32;  // decides the ranges, and with them the order of sums: not by threads
constexpr int64_t thread_tasks = 8;

struct WeightGradient {
    const mm_conv3x3_backward_weight_params& p;
    const ConvInput input;
    const int64_t dy_row;
    const int64_t block, blocks, panels;  // input channels of a block, blocks, panels of output channels
    const int64_t wanted_ranges;
    const Bands bands;
    const int64_t range_bands, ranges;
    const int64_t tile_floats = 9 * block * panel_columns;
    float *sums, *bias_sums;  // (ranges, blocks, panels) tiles; (ranges, panels, panel_columns)

    WeightGradient(mm_stream* stream, const mm_conv3x3_backward_weight_params& p)
        : p(p), input{p.x, row_stride(p.x_row, p.in_channels), p.input_scale, p.input_shift, p.input_relu != 0},
          dy_row(row_stride(p.dy_row, p.out_channels)),
          block(even_piece(p.in_channels, channel_block, 16)), blocks(ceil_div(p.in_channels, block)),
          panels(ceil_div(p.out_channels, panel_columns)), wanted_ranges(ceil_div(wanted_tiles, blocks * panels)),
          bands(cut_bands(p.batch, p.height, p.width, wanted_ranges)),
          range_bands(ceil_div(bands.count, wanted_ranges)),
          ranges(ceil_div(bands.count, range_bands)),
          sums(stream->scratch.take(ranges * blocks * panels * tile_floats)),
          bias_sums(stream->scratch.take(ranges * panels * panel_columns)) {}

    float* tile(int64_t range, int64_t block_index, int64_t panel) const {
        return sums + ((range * blocks + block_index) * panels + panel) * tile_floats;
    }
    int64_t columns(int64_t panel) const { return std::min(panel_columns, p.out_channels - panel * panel_columns); }
};

// The tiles of one block of input channels, some panels and one range of bands.
template <class Factor>
class WeightTask {
public:
    WeightTask(const WeightGradient& gradient, int64_t range, int64_t block, Scratch& scratch)
        : g_(gradient), range_(range), block_(block),
          channels_(std::min(g_.block, g_.p.in_channels - block * g_.block)),
          walk_(g_.bands, g_.input, block * g_.block, channels_, scratch),
          sum_rows_(scratch.take<float*>(9 * channels_)) {}

    void run(int64_t first_panel, int64_t last_panel) {
        const int64_t first = range_ * g_.range_bands, last = std::min(g_.bands.count, first + g_.range_bands);
        for (int64_t index = first; index < last; ++index) {
            const Band band = band_at(g_.bands, index);
            walk_.stage(band);
            for (int64_t panel = first_panel; panel < last_panel; ++panel) add_band(band, panel, index > first);
        }
    }

private:
    void add_band(const Band& band, int64_t panel, bool accumulate) {
        const int64_t columns = g_.columns(panel), width = packed_width(columns);
        const float* dy = g_.p.dy + band.first_pixel * g_.dy_row + panel * panel_columns;
        float* own = g_.tile(range_, block_, panel);
        for (int64_t i = 0; i < 9 * channels_; ++i) sum_rows_[i] = own + i * width;
        if (g_.p.dbias && block_ == 0) {
            float* bias = g_.bias_sums + (range_ * g_.panels + panel) * panel_columns;
            if (!accumulate) std::fill_n(bias, width, 0.0f);
            add_columns(dy, g_.dy_row, band.pixels(), columns, bias);
        }
        TileProduct tile{};
        tile.b = walk_.panel_of(dy, g_.dy_row, band, columns);
        tile.columns = width;
        tile.accumulate = accumulate;
        // Tiles of equal height: a last one of few rows would wait for dy, which each tile reads whole.
        const int64_t height = even_piece(channels_, Factor::tile_rows, Factor::rows_at_once);
        for (int64_t tap = 0; tap < 9; ++tap) {
            const float* const* rows = walk_.rows_of_tap(band, tap, width, tile);
            for (int64_t i = 0; i < channels_; i += height) {
                tile.a = rows + i;
                tile.c = sum_rows_ + tap * channels_ + i;
                multiply_tile<Factor>(tile, std::min(height, channels_ - i));
            }
        }
    }

    const WeightGradient& g_;
    int64_t range_, block_, channels_;
    PixelWalk<Factor> walk_;
    float** sum_rows_;
};

template <class Factor>
void add_up(mm_stream* stream, const mm_conv3x3_backward_weight_params& p) {
    const WeightGradient gradient(stream, p);
    const int64_t blocks = gradient.blocks, panels = gradient.panels, ranges = gradient.ranges;
    const int64_t wanted_parts = ceil_div(thread_tasks * stream->pool.threads(), ranges * blocks);
    const int64_t task_panels = ceil_div(panels, std::min(panels, wanted_parts));
    const int64_t parts = ceil_div(panels, task_panels);
    stream->pool.run(ranges * blocks * parts, [&](int64_t task, int worker) {
        Scratch& scratch = stream->worker_scratch[worker];
        const Scratch::Scope scope(scratch);
        [[maybe_unused]] const typename Factor::Task multiplying;
        const int64_t first_panel = task % parts * task_panels;
        WeightTask<Factor>(gradient, task / parts / blocks, task / parts % blocks, scratch)
            .run(first_panel, std::min(panels, first_panel + task_panels));
    });

    constexpr int64_t slice = 8;  // input channels that one task writes
    const int64_t slices = ceil_div(gradient.block, slice);
    stream->pool.run(blocks * panels * slices, [&](int64_t task, int) {
        const int64_t block = task / slices / panels, panel = task / slices % panels, begin = task % slices * slice;
        const int64_t channel = block * gradient.block, channels = std::min(gradient.block, p.in_channels - channel);
        const Sums tile{p.in_channels, channel, channels, panel * panel_columns, gradient.columns(panel),
                        gradient.tile(0, block, panel), ranges, blocks * panels * gradient.tile_floats};
        write_weights(tile, begin, std::min(channels, begin + slice), p.dweight);
    });
    for (int64_t o = 0; p.dbias && o < p.out_channels; ++o) {
        float sum = gradient.bias_sums[o];
        for (int64_t r = 1; r < ranges; ++r) sum += gradient.bias_sums[r * panels * panel_columns + o];
        p.dbias[o] = sum;
    }
}

}  // namespace

mm_status conv3x3_backward_weight(mm_stream* stream, const mm_conv3x3_backward_weight_params* p) {
    if (p->in_channels <= 0 || p->out_channels <= 0) return MM_OK;
    if (p->batch <= 0 || p->height <= 0 || p->width <= 0) {  // a sum of nothing
        std::fill_n(p->dweight, p->out_channels * p->in_channels * 9, 0.0f);
        if (p->dbias) std::fill_n(p->dbias, p->out_channels, 0.0f);
        return MM_OK;
    }
    with_factor(stream, [&](auto factor) { add_up<decltype(factor)>(stream, *p); });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
