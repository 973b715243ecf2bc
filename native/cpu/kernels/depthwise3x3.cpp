// Depthwise 3x3 convolution: every channel is convolved with a filter of its own, so lanes are channels and
// nothing is summed across them.
//
//     pre[p] = bias + sum over taps of  weight[tap] x[p + tap],    y = silu(pre)
//     dpre = dy silu'(pre),   dx[p] = sum of weight[tap] dpre[p - tap],   dweight[tap] = sum of dpre[p] x[p + tap]
//
// A line of output slides along three lines of input: a column of three pixels is loaded once and adds to the
// three outputs it belongs to, one of which it completes. Lines outside the image are a zero that is read
// over and over.
//
//        line y-1   . a .       a, b, c  into the sums of  x-1 (complete),  x,  x+1 (begins)
//        line y     . b .
//        line y+1   . c .       9 multiply-adds, 3 loads and 1 store for each output
//
// Backward, a task owns one register of channels of one image and walks its lines: it recomputes pre, keeps
// dpre of the last three lines (which stay in the first-level cache) and slides over them with the mirrored
// filter. Its share of dweight and dbias is the image's; the images are added in order.
#include "each_vector.h"
#include "partial_sums.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

constexpr int64_t channels_per_task = 4 * lanes;
constexpr int taps = 9;

struct Image {
    int64_t height, width;
};

// One line of pixels at one register of channels.
struct Line {
    const float* pixels;
    int64_t step;  // floats between pixels
};

const float zeros[lanes] = {};

Line line_at(const Image& image, const float* pixels, int64_t row, int64_t y) {
    if (y < 0 || y >= image.height) return {zeros, 0};
    return {pixels + y * image.width * row, row};
}

struct Filter {
    vfloat weight[taps], bias;
};

// Weights and bias as (10, channels) with whole registers of channels, zero behind the last.
struct Filters {
    const float* values;
    int64_t channels;

    Filters(mm_stream* stream, const float* weight, const float* bias, int64_t count)
        : channels(ceil_div(count, lanes) * lanes) {
        float* packed = stream->scratch.take((taps + 1) * channels);
        std::fill_n(packed, (taps + 1) * channels, 0.0f);
        for (int64_t c = 0; c < count; ++c) {
            for (int t = 0; t < taps; ++t) packed[t * channels + c] = weight[c * taps + t];
            if (bias) packed[taps * channels + c] = bias[c];
        }
        values = packed;
    }

    Filter at(int64_t channel) const {
        Filter filter;
        for (int t = 0; t < taps; ++t) filter.weight[t] = load(values + t * channels + channel);
        filter.bias = load(values + taps * channels + channel);
        return filter;
    }
};

Filter mirrored(const Filter& filter) {
    Filter other;
    for (int t = 0; t < taps; ++t) other.weight[t] = filter.weight[taps - 1 - t];
    other.bias = vfloat{};
    return other;
}

// Convolves one line. `In` and `Out` say how much of the register there is (Whole or Part) to read and write.
template <class In, class Out>
void convolve_line(const Filter& filter, Line above, Line middle, Line below, int64_t width, bool with_silu, float* y,
                   int64_t y_row, In in, Out out) {
    const vfloat bias = filter.bias;
    vfloat w[taps];
    for (int t = 0; t < taps; ++t) w[t] = filter.weight[t];
    const auto write = [&](vfloat pre) {
        store(y, with_silu ? silu(pre) : pre, out);
        y += y_row;
    };
    const float *a_at = above.pixels, *b_at = middle.pixels, *c_at = below.pixels;
    vfloat current = bias, next = bias;  // sums of this column's output and of the one to its right
    for (int64_t x = 0; x < width; ++x, a_at += above.step, b_at += middle.step, c_at += below.step) {
        const vfloat a = load(a_at, in), b = load(b_at, in), c = load(c_at, in);
        if (x > 0) write(current + w[2] * a + w[5] * b + w[8] * c);
        current = next + w[1] * a + w[4] * b + w[7] * c;
        next = bias + w[0] * a + w[3] * b + w[6] * c;
    }
    write(current);
}

// dpre of one line, and what the line adds to the sums of dweight (nine) and dbias.
template <class Count>
void backward_line(const Filter& filter, Line above, Line middle, Line below, Line dy, int64_t width, bool with_silu,
                   float* dpre, vfloat (&sums)[taps + 1], Count count) {
    vfloat line_sums[taps + 1] = {}, window[taps] = {};
    window[1] = load(above.pixels, count);
    window[4] = load(middle.pixels, count);
    window[7] = load(below.pixels, count);
    for (int64_t x = 0; x < width; ++x) {
        const bool inside = x + 1 < width;
        const int64_t right = inside ? x + 1 : 0;  // a pixel that can be read, if not one that is used
        const vfloat a = load(above.pixels + right * above.step, count);
        const vfloat b = load(middle.pixels + right * middle.step, count);
        const vfloat c = load(below.pixels + right * below.step, count);
        window[2] = inside ? a : vfloat{};
        window[5] = inside ? b : vfloat{};
        window[8] = inside ? c : vfloat{};
        vfloat d = load(dy.pixels + x * dy.step, count);
        if (with_silu) {
            vfloat pre = filter.bias;
            for (int t = 0; t < taps; ++t) pre += filter.weight[t] * window[t];
            d *= silu_slope(pre);
        }
        store(dpre + x * lanes, d);
        for (int t = 0; t < taps; ++t) line_sums[t] += d * window[t];
        line_sums[taps] += d;
        for (int t = 0; t < taps; t += 3) {
            window[t] = window[t + 1];
            window[t + 1] = window[t + 2];
        }
    }
    for (int t = 0; t <= taps; ++t) sums[t] += line_sums[t];
}

struct Backward {
    Image image;
    Filter filter;
    const float *x, *dy;  // at the register's first channel
    float* dx;            // optional
    int64_t x_row, dy_row, dx_row;
    bool with_silu;
};

// One image at one register of channels. `dpre` holds three lines of `width` registers.
template <class Count>
void backward_image(const Backward& task, float* dpre, float* sums_out, int64_t sums_row, Count count) {
    const Image image = task.image;
    const Filter reversed = mirrored(task.filter);
    const int64_t line_floats = image.width * lanes;
    vfloat sums[taps + 1] = {};
    const auto kept = [&](int64_t y) {
        return y < 0 || y >= image.height ? Line{zeros, 0} : Line{dpre + y % 3 * line_floats, lanes};
    };
    for (int64_t y = 0; y <= image.height; ++y) {
        if (y < image.height)
            backward_line(task.filter, line_at(image, task.x, task.x_row, y - 1),
                          line_at(image, task.x, task.x_row, y), line_at(image, task.x, task.x_row, y + 1),
                          line_at(image, task.dy, task.dy_row, y), image.width, task.with_silu,
                          dpre + y % 3 * line_floats, sums, count);
        if (task.dx && y > 0)  // the line above has both its neighbours now
            convolve_line(reversed, kept(y - 2), kept(y - 1), kept(y), image.width, false,
                          task.dx + (y - 1) * image.width * task.dx_row, task.dx_row, Whole{}, count);
    }
    for (int t = 0; t <= taps; ++t) store(sums_out + t * sums_row, sums[t]);
}

}  // namespace

mm_status depthwise3x3_forward(mm_stream* stream, const mm_depthwise3x3_forward_params* p) {
    const Image image{p->height, p->width};
    const int64_t pixels = p->height * p->width, channels = p->channels;
    if (p->batch <= 0 || pixels <= 0 || channels <= 0) return MM_OK;
    const int64_t x_row = row_stride(p->x_row, channels), y_row = row_stride(p->y_row, channels);
    const Filters filters(stream, p->weight, p->bias, channels);
    const int64_t lines = std::max<int64_t>(1, elements_per_task / (p->width * std::min(channels_per_task, channels)));
    const int64_t bands = ceil_div(p->height, lines), blocks = ceil_div(channels, channels_per_task);

    stream->pool.run(p->batch * bands * blocks, [&](int64_t task, int) {
        const int64_t block = task % blocks * channels_per_task;
        const int64_t first = task / blocks % bands * lines, last = std::min(p->height, first + lines);
        const int64_t pixel = task / (blocks * bands) * pixels;
        each_vector(std::min(channels_per_task, channels - block), [&](int64_t i, auto count) {
            const int64_t channel = block + i;
            const Filter filter = filters.at(channel);
            const float* x = p->x + pixel * x_row + channel;
            float* y = p->y + pixel * y_row + channel;
            for (int64_t line = first; line < last; ++line)
                convolve_line(filter, line_at(image, x, x_row, line - 1), line_at(image, x, x_row, line),
                              line_at(image, x, x_row, line + 1), p->width, p->silu, y + line * p->width * y_row,
                              y_row, count, count);
        });
    });
    return MM_OK;
}

mm_status depthwise3x3_backward(mm_stream* stream, const mm_depthwise3x3_backward_params* p) {
    const int64_t pixels = p->height * p->width, channels = p->channels;
    if (channels <= 0) return MM_OK;
    const Filters filters(stream, p->weight, p->bias, channels);
    const int64_t registers = filters.channels / lanes;
    const int64_t images = pixels > 0 ? p->batch : 0;
    float* sums = stream->scratch.take(images * (taps + 1) * filters.channels);

    stream->pool.run(images * registers, [&](int64_t task, int worker) {
        const int64_t index = task / registers, channel = task % registers * lanes;
        Backward backward{};
        backward.image = {p->height, p->width};
        backward.filter = filters.at(channel);
        backward.x_row = row_stride(p->x_row, channels);
        backward.dy_row = row_stride(p->dy_row, channels);
        backward.dx_row = row_stride(p->dx_row, channels);
        backward.x = p->x + index * pixels * backward.x_row + channel;
        backward.dy = p->dy + index * pixels * backward.dy_row + channel;
        backward.dx = p->dx ? p->dx + index * pixels * backward.dx_row + channel : nullptr;
        backward.with_silu = p->silu;

        Scratch& scratch = stream->worker_scratch[worker];
        const Scratch::Scope scope(scratch);
        float* dpre = scratch.take(3 * p->width * lanes);
        float* own = sums + index * (taps + 1) * filters.channels + channel;
        each_vector(std::min<int64_t>(lanes, channels - channel), [&](int64_t, auto count) {
            backward_image(backward, dpre, own, filters.channels, count);
        });
    });
    if (!p->dweight && !p->dbias) return MM_OK;
    add_partial_sums<taps + 1>(stream, sums, images, filters.channels, [&](int64_t channel, const double* totals) {
        if (channel >= channels) return;
        for (int t = 0; p->dweight && t < taps; ++t) p->dweight[channel * taps + t] = (float)totals[t];
        if (p->dbias) p->dbias[channel] = (float)totals[taps];
    });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
