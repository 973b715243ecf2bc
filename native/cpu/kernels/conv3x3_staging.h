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
// Channels are staged a block at a time, so that a band and the panel of weights in use share the
// second-level cache.
#pragma once

#include "packing.h"

namespace medmamba::cpu::MM_SIMD {

constexpr int64_t band_pixels = 448;    // at most, where a line is not longer than that
constexpr int64_t channel_block = 96;   // at most; weights of a panel: 9 * 96 * 48 floats = 166 KB
constexpr int64_t conv_tasks = 32;      // aimed at, so that the last ones to finish cost little
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

inline Bands cut_bands(int64_t batch, int64_t height, int64_t width) {
    const int64_t pixels = height * width;
    int64_t limit = std::min(band_pixels, std::max(least_pixels, ceil_div(batch * pixels, conv_tasks)));
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
};

// Channels [first, first + count) of the band into `staged`, pixels `stride` apart.
inline void stage_band(const Bands& bands, const Band& band, const ConvInput& input, int64_t first, int64_t count,
                       float* staged, int64_t stride) {
    const int64_t width = band.width, line_floats = (width + 2) * stride;
    const auto clear = [](float* p, int64_t floats) {
        for (int64_t i = 0; i < floats; i += lanes) store(p + i, vfloat{});  // stride is whole registers
    };
    for (int64_t image = 0; image < band.images; ++image) {
        for (int64_t line = -1; line <= band.lines; ++line, staged += line_floats) {
            const int64_t y = band.first_line + line;
            if (y < 0 || y >= bands.height) {
                clear(staged, line_floats);
                continue;
            }
            clear(staged, stride);
            clear(staged + line_floats - stride, stride);
            const float* x = input.x + (((band.first_image + image) * bands.height + y) * width) * input.row + first;
            each_vector(count, [&](int64_t i, auto part) {
                const vfloat scale = input.scale ? load(input.scale + first + i, part) : vfloat{};
                const vfloat shift = input.scale ? load(input.shift + first + i, part) : vfloat{};
                const float* from = x + i;
                float* to = staged + stride + i;
                for (int64_t pixel = 0; pixel < width; ++pixel, from += input.row, to += stride) {
                    vfloat value = load(from, part);
                    if (input.scale) value = value * scale + shift;
                    if (input.relu) value = max(vfloat{}, value);  // in this order, NaN stays NaN
                    store(to, value);
                }
            });
        }
    }
}

}  // namespace medmamba::cpu::MM_SIMD
