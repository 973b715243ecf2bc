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
    const float* bias;
    bool relu;
    float* y;
    int64_t y_row;
};

// Channels [k0, k0 + k) of one panel: (tap, k, width), columns from the last on zero.
void pack_weights(const ConvWeight& w, int64_t k0, int64_t k, int64_t n0, int64_t columns, float* panel) {
    const int64_t width = packed_width(columns), plane = k * width;
    const int64_t tap_plane = w.mirrored ? -plane : plane;
    float* first_tap = w.mirrored ? panel + 8 * plane : panel;
    for (int64_t i = 0; i < k; ++i) {
        const float* from = w.weight + (k0 + i) * w.k_stride + n0 * w.n_stride;
        float* to = first_tap + i * width;
        for (int64_t j = 0; j < columns; ++j, from += w.n_stride)
            for (int64_t tap = 0; tap < 9; ++tap) to[tap * tap_plane + j] = from[tap];
        for (int64_t j = columns; j < width; ++j)
            for (int64_t tap = 0; tap < 9; ++tap) to[tap * tap_plane + j] = 0.0f;
    }
}

void convolve(mm_stream* stream, const Convolution& conv) {
    const int64_t k_channels = conv.k_channels, n_channels = conv.n_channels;
    const Bands bands = cut_bands(conv.batch, conv.height, conv.width);
    const int64_t k_block = even_piece(k_channels, channel_block, 16), k_blocks = ceil_div(k_channels, k_block);
    const int64_t panels = ceil_div(n_channels, panel_columns);

    // Blocks of input channels, in each the panels: the order in which a task reads them.
    const int64_t packed_columns = packed_width(n_channels);
    float* packed = stream->scratch.take(9 * k_channels * packed_columns);
    const auto packed_panel = [&](int64_t k0, int64_t k, int64_t panel) {
        return packed + 9 * (k0 * packed_columns + k * panel * panel_columns);
    };
    stream->pool.run(k_blocks * panels, [&](int64_t task, int) {
        const int64_t k0 = task / panels * k_block, k = std::min(k_block, k_channels - k0);
        const int64_t panel = task % panels, n0 = panel * panel_columns;
        pack_weights(conv.weight, k0, k, n0, std::min(panel_columns, n_channels - n0), packed_panel(k0, k, panel));
    });

    // All panels in one task stage a band once; fewer make more tasks.
    const int64_t splits = std::min(panels, ceil_div(conv_tasks, bands.count));
    const int64_t task_panels = ceil_div(panels, splits);
    const int64_t tasks_per_band = ceil_div(panels, task_panels);
    const int64_t stride = staged_stride(k_block);
    int64_t taps[9];
    for (int64_t tap = 0; tap < 9; ++tap) taps[tap] = (tap / 3 * bands.padded_width() + tap % 3) * stride;

    stream->pool.run(bands.count * tasks_per_band, [&](int64_t task, int worker) {
        Scratch& scratch = stream->worker_scratch[worker];
        const Scratch::Scope scope(scratch);
        const Band band = band_at(bands, task / tasks_per_band);
        const int64_t first_panel = task % tasks_per_band * task_panels;
        const int64_t last_panel = std::min(panels, first_panel + task_panels);
        float* staged = scratch.take(bands.staged_pixels() * stride);
        const int64_t pixels = band.pixels();
        const float** rows = scratch.take<const float*>(pixels);
        for (int64_t line = 0, pixel = 0; line < band.images * band.lines; ++line)
            for (int64_t x = 0; x < band.width; ++x) rows[pixel++] = staged + (band.staged_line(line) + x) * stride;

        TileProduct tile{};
        tile.offsets = taps;
        tile.segments = 9;
        tile.step = 1;
        tile.c_row = conv.y_row;
        for (int64_t k0 = 0; k0 < k_channels; k0 += k_block) {
            const int64_t k = std::min(k_block, k_channels - k0);
            const bool last = k0 + k == k_channels;
            stage_band(bands, band, conv.input, k0, k, staged, stride);
            tile.length = k;
            tile.accumulate = k0 > 0;
            tile.relu = last && conv.relu;
            for (int64_t panel = first_panel; panel < last_panel; ++panel) {
                const int64_t n0 = panel * panel_columns;
                tile.b = packed_panel(k0, k, panel);
                tile.columns = std::min(panel_columns, n_channels - n0);
                tile.bias = last && conv.bias ? conv.bias + n0 : nullptr;
                float* y = conv.y + band.first_pixel * conv.y_row + n0;
                for (int64_t pixel = 0; pixel < pixels; pixel += tile_rows) {
                    tile.a = rows + pixel;
                    tile.c = y + pixel * conv.y_row;
                    multiply_tile(tile, std::min<int64_t>(tile_rows, pixels - pixel));
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
    conv.relu = p->relu;
    conv.y = p->y;
    conv.y_row = row_stride(p->y_row, p->out_channels);
    convolve(stream, conv);
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
    convolve(stream, conv);
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
