// 3x3 convolution and the gradient of its input: a matrix product of staged pixels with packed weights.
//
//     y[pixel, o] = bias[o] + sum over tap, i of  f(x)[pixel + tap, i] * weight[o, i, tap]
//     dx[pixel, i] =          sum over tap, o of  dy[pixel - tap, o] * weight[o, i, tap]
//
// The second is the first with the roles of the channels exchanged and the taps mirrored, so both are one
// function that differs in how weights are packed. Rows of the product are pixels of a band (see
// conv3x3_staging.h), its columns output channels, its k runs over the nine taps and within each over a block
// of input channels. A task owns a band and some panels of output channels, and adds up the blocks in order.
#include "conv3x3_staging.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Tasks for each thread: bands as large as leave so many, and panels apart from each other until there are more.
constexpr int64_t band_tasks = 4, panel_tasks = 8;

// weight[k, n, tap] = weight[k * k_stride + n * n_stride + (mirrored ? 8 - tap : tap)]
struct ConvWeight {
    const float* weight;
    int64_t k_stride, n_stride;
    bool mirrored;
};

struct Convolution {
    int64_t batch, height, width, k_channels, n_channels;  // summed over, written
    ConvInput input;
    ConvWeight weight;
    const float *bias, *scale, *shift;  // behind the sum; scale and shift are both or neither
    bool relu;
    float* y;
    int64_t y_row;
};

// Channels [k0, k0 + k) of one panel: (tap, words of k, width), columns from the last on zero. Weights of one k and a
// register of n are n_stride apart and nine each: as rows of a square they come out, transposed, a register a tap.
template <class Factor>
void pack_weights(const ConvWeight& w, int64_t k0, int64_t k, int64_t n0, int64_t columns, float* panel) {
    const int64_t width = packed_width(columns), plane = words<Factor>(k) * width;
    const int64_t elements = words<Factor>(k) * Factor::depth;
    const auto pack_square = [&](int64_t i, int64_t j) {
        for (int64_t tap = 0; tap < 9; tap += lanes) {
            const int64_t taps = std::min<int64_t>(lanes, 9 - tap);
            const auto load_square = [&](int64_t channel, vfloat (&square)[lanes]) {
                const float* from = w.weight + (k0 + channel) * w.k_stride + (n0 + j) * w.n_stride + tap;
                for (int row = 0; row < lanes; ++row, from += w.n_stride)
                    square[row] = j + row < columns && channel < k ? load_partial(from, taps) : vfloat{};
                transpose_square(square);
            };
            vfloat square[lanes];
            load_square(i, square);
            if constexpr (Factor::depth == 2) {
                vfloat next[lanes];
                load_square(i + 1, next);
                for (int row = 0; row < lanes; ++row) square[row] = Factor::pair_across(square[row], next[row]);
            }
            float* to = panel + i / Factor::depth * width + j;
            for (int64_t t = 0; t < taps; ++t)
                store(to + (w.mirrored ? 8 - tap - t : tap + t) * plane, square[t]);
        }
    };
    // The inner loop goes along memory.
    if (w.k_stride < w.n_stride) {
        for (int64_t j = 0; j < columns; j += lanes)
            for (int64_t i = 0; i < elements; i += Factor::depth) pack_square(i, j);
    } else {
        for (int64_t i = 0; i < elements; i += Factor::depth)
            for (int64_t j = 0; j < columns; j += lanes) pack_square(i, j);
    }
}

// Pixels of a band whose taps inside the image are the same: three by three of them, or fewer at a border, where the
// others would multiply zeros. That is a fifth of the work on 7 x 7 images. A factor that multiplies many rows at once
// has all pixels in one group instead, and multiplies the zeros: groups of a few pixels would leave most rows empty.
struct PixelGroup {
    int64_t first, count;  // in the arrays of rows
    int64_t first_ty, last_ty, first_tx, last_tx;
};

// Where the pixels of a band lie, in words: from the start of its copy or, in place, of the whole input. Taps outside
// the image are left out, so that an input of one block of channels which needs no normalisation can stay where it is.
struct BandLayout {
    bool in_place;
    int64_t stride;

    // The pixel from which taps are counted: the one up and left of it in the copy, itself in place.
    int64_t pixel(const Band& band, int64_t line, int64_t x) const {
        return ((in_place ? band.first_pixel + line * band.width : band.staged_line(line)) + x) * stride;
    }
    // From there to one of its taps.
    int64_t tap(const Band& band, int64_t ty, int64_t tx) const {
        return (in_place ? (ty - 1) * band.width + tx - 1 : ty * (band.width + 2) + tx) * stride;
    }
};

// The pixels of the band's input and the pixels of y that they become, group after group.
struct PixelRows {
    const float** a;
    float** y;
    PixelGroup groups[16];
    int64_t group_count = 0;

    PixelRows(const Bands& bands, const Band& band, const BandLayout& layout, bool grouped, const float* from,
              float* to, int64_t y_row, Scratch& scratch)
        : a(scratch.take<const float*>(band.pixels())), y(scratch.take<float*>(band.pixels())) {
        int64_t count = 0;
        const auto add = [&](int64_t line, int64_t x) {
            a[count] = from + layout.pixel(band, line, x);
            y[count++] = to + (band.first_pixel + line * band.width + x) * y_row;
        };
        if (!grouped) {
            for (int64_t line = 0; line < band.images * band.lines; ++line)
                for (int64_t x = 0; x < band.width; ++x) add(line, x);
            groups[group_count++] = {0, count, 0, 2, 0, 2};
            return;
        }
        for (int64_t borders = 0; borders < 16; ++borders) {
            const bool top = borders & 1, bottom = borders & 2, left = borders & 4, right = borders & 8;
            const int64_t first = count;
            for (int64_t line = 0; line < band.images * band.lines; ++line) {
                const int64_t in_image = band.first_line + line % band.lines;
                if (top != (in_image == 0) || bottom != (in_image == bands.height - 1)) continue;
                const int64_t begin = left ? 0 : right ? band.width - 1 : 1;
                const int64_t end = right ? band.width : left ? 1 : band.width - 1;
                for (int64_t x = begin; x < end; ++x) {
                    if (left != (x == 0) || right != (x == band.width - 1)) continue;
                    add(line, x);
                }
            }
            if (count == first) continue;
            groups[group_count++] = {first, count - first, top, bottom ? 1 : 2, left, right ? 1 : 2};
        }
    }
};

template <class Factor>
void convolve(mm_stream* stream, const Convolution& conv) {
    const int64_t k_channels = conv.k_channels, n_channels = conv.n_channels;
    const int64_t threads = stream->pool.threads();
    const Bands bands = cut_bands(conv.batch, conv.height, conv.width, band_tasks * threads);
    const int64_t k_block = even_piece(k_channels, channel_block * Factor::depth, 16 * Factor::depth);
    const int64_t k_blocks = ceil_div(k_channels, k_block);
    const int64_t panels = ceil_div(n_channels, panel_columns);

    // Blocks of input channels, in each the panels: the order in which a task reads them.
    const int64_t packed_columns = packed_width(n_channels);
    float* packed = stream->scratch.take(9 * words<Factor>(k_channels) * packed_columns);
    const auto packed_panel = [&](int64_t k0, int64_t k, int64_t panel) {
        return packed + 9 * (k0 / Factor::depth * packed_columns + words<Factor>(k) * panel * panel_columns);
    };
    stream->pool.run(k_blocks * panels, [&](int64_t task, int) {
        const int64_t k0 = task / panels * k_block, k = std::min(k_block, k_channels - k0);
        const int64_t panel = task % panels, n0 = panel * panel_columns;
        pack_weights<Factor>(conv.weight, k0, k, n0, std::min(panel_columns, n_channels - n0),
                             packed_panel(k0, k, panel));
    });

    // All panels in one task stage a band once; fewer make more tasks.
    const int64_t splits = std::min(panels, ceil_div(panel_tasks * threads, bands.count));
    const int64_t task_panels = ceil_div(panels, splits);
    const int64_t tasks_per_band = ceil_div(panels, task_panels);
    const bool in_place = Factor::depth == 1 && k_blocks == 1 && !conv.input.scale && !conv.input.relu;
    const BandLayout layout{in_place, in_place ? conv.input.row : staged_stride(words<Factor>(k_block))};
    stream->pool.run(bands.count * tasks_per_band, [&](int64_t task, int worker) {
        Scratch& scratch = stream->worker_scratch[worker];
        const Scratch::Scope scope(scratch);
        [[maybe_unused]] const typename Factor::Task multiplying;
        const Band band = band_at(bands, task / tasks_per_band);
        const int64_t first_panel = task % tasks_per_band * task_panels;
        const int64_t last_panel = std::min(panels, first_panel + task_panels);
        float* staged = in_place ? nullptr : scratch.take(bands.staged_pixels() * layout.stride);
        const bool grouped = Factor::rows_at_once == 1;
        const PixelRows rows(bands, band, layout, grouped, in_place ? conv.input.x : staged, conv.y, conv.y_row,
                             scratch);

        TileProduct tile{};
        tile.step = 1;
        for (int64_t k0 = 0; k0 < k_channels; k0 += k_block) {
            const int64_t k = std::min(k_block, k_channels - k0);
            const bool last = k0 + k == k_channels;
            if (!in_place) stage_channels<Factor>(bands, band, conv.input, k0, k, staged, layout.stride);
            tile.length = words<Factor>(k);
            tile.accumulate = k0 > 0;
            tile.relu = last && conv.relu;
            for (int64_t panel = first_panel; panel < last_panel; ++panel) {
                const int64_t n0 = panel * panel_columns;
                tile.b = packed_panel(k0, k, panel);
                tile.first_column = n0;
                tile.columns = std::min(panel_columns, n_channels - n0);
                tile.bias = last && conv.bias ? conv.bias + n0 : nullptr;
                tile.scale = last && conv.scale ? conv.scale + n0 : nullptr;
                tile.shift = last && conv.shift ? conv.shift + n0 : nullptr;
                for (int64_t g = 0; g < rows.group_count; ++g) {
                    const PixelGroup& group = rows.groups[g];
                    Segment taps[9];
                    tile.segments = taps;
                    tile.segment_count = 0;
                    for (int64_t ty = group.first_ty; ty <= group.last_ty; ++ty)
                        for (int64_t tx = group.first_tx; tx <= group.last_tx; ++tx)
                            taps[tile.segment_count++] = {layout.tap(band, ty, tx),
                                                          (ty * 3 + tx) * tile.length * packed_width(tile.columns)};
                    for (int64_t pixel = 0; pixel < group.count; pixel += Factor::tile_rows) {
                        tile.a = rows.a + group.first + pixel;
                        tile.c = rows.y + group.first + pixel;
                        multiply_tile<Factor>(tile, std::min(Factor::tile_rows, group.count - pixel));
                    }
                }
            }
        }
    });
}

}  // namespace

mm_status conv3x3_forward(mm_stream* stream, const mm_conv3x3_forward_params* p) {
    if (p->batch <= 0 || p->height <= 0 || p->width <= 0 || p->in_channels <= 0 || p->out_channels <= 0) return MM_OK;
    Convolution conv{};
    conv.batch = p->batch;
    conv.height = p->height;
    conv.width = p->width;
    conv.k_channels = p->in_channels;
    conv.n_channels = p->out_channels;
    conv.input = {p->x, row_stride(p->x_row, p->in_channels), p->input_scale, p->input_shift, p->input_relu != 0};
    conv.weight = {p->weight, 9, 9 * p->in_channels, false};
    conv.bias = p->bias;
    conv.scale = p->output_scale;
    conv.shift = p->output_shift;
    conv.relu = p->relu;
    conv.y = p->y;
    conv.y_row = row_stride(p->y_row, p->out_channels);
    with_factor(stream, [&](auto factor) { convolve<decltype(factor)>(stream, conv); });
    return MM_OK;
}

mm_status conv3x3_backward_data(mm_stream* stream, const mm_conv3x3_backward_data_params* p) {
    if (p->batch <= 0 || p->height <= 0 || p->width <= 0 || p->in_channels <= 0 || p->out_channels <= 0) return MM_OK;
    Convolution conv{};
    conv.batch = p->batch;
    conv.height = p->height;
    conv.width = p->width;
    conv.k_channels = p->out_channels;
    conv.n_channels = p->in_channels;
    conv.input = {p->dy, row_stride(p->dy_row, p->out_channels), nullptr, nullptr, false};
    conv.weight = {p->weight, 9 * p->in_channels, 9, true};
    conv.y = p->dx;
    conv.y_row = row_stride(p->dx_row, p->in_channels);
    with_factor(stream, [&](auto factor) { convolve<decltype(factor)>(stream, conv); });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
