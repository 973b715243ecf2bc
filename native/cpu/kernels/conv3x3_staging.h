// A band of the image, staged for a 3x3 convolution, and the weights in panels to go with it.
//
// A task convolves a band: some lines of one image or, where images are small, several whole images. Its
// input is copied once into scratch memory, with the normalisation in front of the convolution and its ReLU
// applied and a border of zeros drawn around each image:
//
//          width + 2 pixels, each `stride` floats
//         0 0 0 0 0 0 0 0
//         0 x x x x x x 0        Tap (ty, tx) of a pixel then lies at the fixed distance
//         0 x x x x x x 0        (ty * (width + 2) + tx) * stride from the pixel up and left of it:
//         0 x x x x x x 0        no patches are written, no border is a special case.
//         0 0 0 0 0 0 0 0
//
// Both kernels leave out taps outside the image all the same; where they multiply by AMX, they multiply the zeros.
//
// Channels are staged a block at a time, so that a band and the panel of weights in use share the
// second-level cache. Distances are in words (factor.h), and a staged pixel is a run of words: in bfloat16 a word
// pairs two neighbours along k, which are channels for the convolution and pixels for its weights' gradient.
#pragma once

#include "packing.h"

namespace medmamba::cpu::MM_SIMD {

constexpr int64_t band_pixels = 448;    // at most, where a line is not longer than that
constexpr int64_t channel_block = 96;   // at most, in words; weights of a panel: 9 * 96 * 48 words = 166 KB
constexpr int64_t least_pixels = 96;    // bands are not made smaller than that for it

// How a batch is cut into bands: `lines` of each image, or `images` whole ones.
struct Bands {
    int64_t batch, height, width;
    int64_t images, lines;          // of one band
    int64_t per_image;              // bands of an image, if a band is part of one
    int64_t count;
    int64_t padded_width() const { return width + 2; }
    int64_t staged_pixels() const { return images * (lines + 2) * padded_width(); }
};

inline Bands cut_bands(int64_t batch, int64_t height, int64_t width, int64_t tasks) {
    const int64_t pixels = height * width;
    int64_t limit = std::min(band_pixels, std::max(least_pixels, ceil_div(batch * pixels, tasks)));
    Bands bands{batch, height, width, 1, height, 1, batch};
    if (pixels <= limit) {
        bands.images = even_piece(batch, std::max<int64_t>(1, limit / pixels), 1);
        bands.count = ceil_div(batch, bands.images);
    } else {
        bands.lines = even_piece(height, std::max<int64_t>(1, limit / width), 1);
        bands.per_image = ceil_div(height, bands.lines);
        bands.count = batch * bands.per_image;
    }
    return bands;
}

// One band: consecutive pixels of the batch, since it has whole lines.
struct Band {
    int64_t first_image, images, first_line, lines, width;
    int64_t first_pixel;
    int64_t pixels() const { return images * lines * width; }

    // Position, in staged pixels, of the pixel up and left of the first pixel of a line of the band.
    int64_t staged_line(int64_t line) const {
        return (line / lines * (lines + 2) + line % lines) * (width + 2);
    }
};

inline Band band_at(const Bands& bands, int64_t index) {
    Band band;
    band.first_image = index / bands.per_image * bands.images;
    band.images = std::min(bands.images, bands.batch - band.first_image);
    band.first_line = index % bands.per_image * bands.lines;
    band.lines = std::min(bands.lines, bands.height - band.first_line);
    band.width = bands.width;
    band.first_pixel = (band.first_image * bands.height + band.first_line) * bands.width;
    return band;
}

// What is convolved: f(x) = x * scale + shift, then ReLU; rows of x are pixels.
struct ConvInput {
    const float* x;
    int64_t row;
    const float *scale, *shift;  // both or neither
    bool relu;

    // f of a register of channels, from `channel` on.
    template <class Part>
    vfloat map(vfloat value, int64_t channel, Part part) const {
        if (scale) value = value * load(scale + channel, part) + load(shift + channel, part);
        return relu ? max(vfloat{}, value) : value;  // in this order, NaN stays NaN
    }
};

// Calls stage_line(x, to) for each staged line, the ones above and below the band included: `x` is the row of its
// first pixel, or NULL outside the image, `to` its first word. Lines are `line_words` apart.
template <class Line>
void each_staged_line(const Bands& bands, const Band& band, const ConvInput& input, float* staged, int64_t line_words,
                      Line&& stage_line) {
    for (int64_t image = 0; image < band.images; ++image) {
        for (int64_t line = -1; line <= band.lines; ++line, staged += line_words) {
            const int64_t y = band.first_line + line;
            const bool inside = y >= 0 && y < bands.height;
            const int64_t pixel = ((band.first_image + image) * bands.height + y) * band.width;
            stage_line(inside ? input.x + pixel * input.row : nullptr, staged);
        }
    }
}

inline void clear_words(float* p, int64_t count) {  // whole registers
    for (int64_t i = 0; i < count; i += lanes) store(p + i, vfloat{});
}

// Channels [first, first + count) of the band into `staged`, pixels `stride` apart; words run along the channels.
template <class Factor>
void stage_channels(const Bands& bands, const Band& band, const ConvInput& input, int64_t first, int64_t count,
                    float* staged, int64_t stride) {
    const int64_t line_words = (band.width + 2) * stride;
    // A pixel takes a few instructions for a register, so what does not change is decided before the first.
    const auto stage = [&](auto f) {
        each_staged_line(bands, band, input, staged, line_words, [&](const float* x, float* to) {
            if (!x) return clear_words(to, line_words);
            clear_words(to, stride);
            clear_words(to + line_words - stride, stride);
            x += first;
            to += stride;
            constexpr int64_t elements = Factor::depth * lanes;
            for (int64_t pixel = 0; pixel < band.width; ++pixel, x += input.row, to += stride) {
                int64_t i = 0;
                for (; i + elements <= count; i += elements)
                    store(to + i / Factor::depth, load_whole_words<Factor>(x, i, f));
                if (i < count) store(to + i / Factor::depth, load_words<Factor>(x, count, i / Factor::depth, f));
            }
        });
    };
    const auto normalised = [&](vfloat v, int64_t channel, auto part) {
        return v * load(input.scale + first + channel, part) + load(input.shift + first + channel, part);
    };
    const auto rectified = [](vfloat v) { return max(vfloat{}, v); };  // in this order, NaN stays NaN
    if (input.scale && input.relu)
        stage([&](vfloat v, int64_t channel, auto part) { return rectified(normalised(v, channel, part)); });
    else if (input.scale)
        stage(normalised);
    else if (input.relu)
        stage([&](vfloat v, int64_t, auto) { return rectified(v); });
    else
        stage([](vfloat v, int64_t, auto) { return v; });
}

// The same, but a word in bfloat16 is a channel of this pixel and of the one right of it: there is a word at every
// pixel, so that a pair can begin at any tap.
template <class Factor>
void stage_pixels(const Bands& bands, const Band& band, const ConvInput& input, int64_t first, int64_t count,
                  float* staged, int64_t stride) {
    if constexpr (Factor::depth == 1) {
        stage_channels<Factor>(bands, band, input, first, count, staged, stride);
    } else {
        const int64_t line_words = (band.width + 2) * stride;
        each_staged_line(bands, band, input, staged, line_words, [&](const float* x, float* to) {
            if (!x) return clear_words(to, line_words);
            each_vector(count, [&](int64_t i, auto part) {
                vfloat left{};
                for (int64_t pixel = 0; pixel < band.width; ++pixel) {
                    const vfloat right = input.map(load(x + first + i + pixel * input.row, part), first + i, part);
                    store(to + pixel * stride + i, Factor::pair_across(left, right));
                    left = right;
                }
                store(to + band.width * stride + i, Factor::pair_across(left, vfloat{}));
                store(to + (band.width + 1) * stride + i, vfloat{});
            });
        });
    }
}

}  // namespace medmamba::cpu::MM_SIMD
