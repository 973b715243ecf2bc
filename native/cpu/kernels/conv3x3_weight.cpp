// Gradient of the weights of a 3x3 convolution: a sum over all pixels.
//
//     dweight[o, i, tap] = sum over pixels of  f(x)[pixel + tap, i] * dy[pixel, o]
//
// As a product, rows are (tap, i), columns o, and k walks the pixels of a band, a line at a time: element k of
// row (tap, i) is the staged band (see conv3x3_staging.h) at the tap's distance plus i, one staged pixel a
// step (two in bfloat16, as a word pairs neighbours). Pixels of dy are the rows of B.
//
// A task owns a block of input channels, one panel of output channels and a range of bands, whose sums it adds
// in order to a tile of its own, (9, channels, panel). The tiles of all ranges are added in the order of the
// ranges when they are written as PyTorch stores weights. Where the weights are many there is one range.
#include "conv3x3_staging.h"

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

void write_weights(const Sums& sums, float* dweight) {
    const int64_t width = packed_width(sums.columns);
    float by_tap[9][panel_columns];
    for (int64_t i = 0; i < sums.channels; ++i) {
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

// The lines of a band that have one above (ty = 0) or below (ty = 2) in their image, as segments; returns how many.
int64_t lines_of_tap(const Bands& bands, const Band& band, int64_t ty, int64_t line_words, int64_t stride,
                     Segment* lines) {
    int64_t count = 0;
    for (int64_t line = 0; line < band.images * band.lines; ++line) {
        const int64_t above = band.first_line + line % band.lines + ty - 1;
        if (above >= 0 && above < bands.height) lines[count++] = {band.staged_line(line) * stride, line * line_words};
    }
    return count;
}

template <class Factor>
void add_up(mm_stream* stream, const mm_conv3x3_backward_weight_params* p) {
    const int64_t in_channels = p->in_channels, out_channels = p->out_channels;
    const int64_t x_row = row_stride(p->x_row, in_channels);
    const ConvInput input{p->x, x_row, p->input_scale, p->input_shift, p->input_relu != 0};
    const int64_t dy_row = row_stride(p->dy_row, out_channels);
    const Bands bands = cut_bands(p->batch, p->height, p->width);
    const int64_t block = even_piece(in_channels, channel_block, 16), blocks = ceil_div(in_channels, block);
    const int64_t panels = ceil_div(out_channels, panel_columns);
    const int64_t bands_per_range = ceil_div(bands.count, ceil_div(conv_tasks, blocks * panels));
    const int64_t ranges = ceil_div(bands.count, bands_per_range);

    const int64_t tile_floats = 9 * block * panel_columns;
    const int64_t range_floats = blocks * panels * tile_floats;
    float* sums = stream->scratch.take(ranges * range_floats);
    float* bias_sums = stream->scratch.take(ranges * panels * panel_columns);
    const int64_t stride = staged_stride(block);

    stream->pool.run(ranges * blocks * panels, [&](int64_t task, int worker) {
        const int64_t range = task / (blocks * panels), tile_index = task % (blocks * panels);
        const int64_t channel = tile_index / panels * block, channels = std::min(block, in_channels - channel);
        const int64_t panel = tile_index % panels, column = panel * panel_columns;
        const int64_t columns = std::min(panel_columns, out_channels - column), width = packed_width(columns);

        Scratch& scratch = stream->worker_scratch[worker];
        const Scratch::Scope scope(scratch);
        float* staged = scratch.take(bands.staged_pixels() * stride);
        const int64_t line_words = words<Factor>(bands.width);  // a line of odd width ends in half a word
        float* dy = scratch.take(bands.images * bands.lines * line_words * width);
        Segment* lines = scratch.take<Segment>(bands.images * bands.lines);
        const float** rows = scratch.take<const float*>(9 * channels);
        float** sum_rows = scratch.take<float*>(9 * channels);
        float* own = sums + range * range_floats + tile_index * tile_floats;
        for (int64_t tap = 0; tap < 9; ++tap) {
            for (int64_t i = 0; i < channels; ++i) {
                rows[tap * channels + i] = staged + (tap / 3 * bands.padded_width() + tap % 3) * stride + i;
                sum_rows[tap * channels + i] = own + (tap * channels + i) * width;
            }
        }
        float* own_bias = channel == 0 && p->dbias ? bias_sums + (range * panels + panel) * panel_columns : nullptr;
        if (own_bias) std::fill_n(own_bias, width, 0.0f);
        const int64_t first = range * bands_per_range, last = std::min(bands.count, first + bands_per_range);

        for (int64_t index = first; index < last; ++index) {
            const Band band = band_at(bands, index);
            stage_pixels<Factor>(bands, band, input, channel, channels, staged, stride);
            const float* from = p->dy + band.first_pixel * dy_row + column;
            for (int64_t line = 0; line < band.images * band.lines; ++line)
                pack_down<Factor>(from + line * band.width * dy_row, dy_row, band.width, columns,
                                  dy + line * line_words * width, width);
            if (own_bias) add_columns(from, dy_row, band.pixels(), columns, own_bias);
            TileProduct tile{};
            tile.segments = lines;
            tile.step = Factor::depth * stride;
            tile.b = dy;
            tile.columns = width;
            tile.accumulate = index > first;
            for (int64_t tap = 0; tap < 9; ++tap) {
                tile.segment_count = lines_of_tap(bands, band, tap / 3, line_words * width, stride, lines);
                // Nor is there a pixel left of the first, or right of the last; half a word cannot be left out.
                const int64_t skipped = Factor::depth == 1 && tap % 3 == 0;
                tile.length = tap % 3 == 2 ? words<Factor>(band.width - 1) : line_words - skipped;
                for (Segment* line = lines; skipped && line < lines + tile.segment_count; ++line) {
                    line->a += stride;
                    line->b += width;
                }
                for (int64_t i = 0; i < channels; i += tile_rows) {
                    tile.a = rows + tap * channels + i;
                    tile.c = sum_rows + tap * channels + i;
                    multiply_tile<Factor>(tile, std::min<int64_t>(tile_rows, channels - i));
                }
            }
        }
    });

    stream->pool.run(blocks * panels, [&](int64_t task, int) {
        const int64_t channel = task / panels * block, column = task % panels * panel_columns;
        const Sums tile{in_channels, channel, std::min(block, in_channels - channel),
                        column, std::min(panel_columns, out_channels - column),
                        sums + task * tile_floats, ranges, range_floats};
        write_weights(tile, p->dweight);
    });
    for (int64_t o = 0; p->dbias && o < out_channels; ++o) {
        float sum = bias_sums[o];
        for (int64_t r = 1; r < ranges; ++r) sum += bias_sums[r * panels * panel_columns + o];
        p->dbias[o] = sum;
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
    with_factor(stream, [&](auto factor) { add_up<decltype(factor)>(stream, p); });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
