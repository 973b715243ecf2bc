// How k walks the pixels of a band for the gradient of a 3x3 convolution's weights: where x and dy are brought, and
// which words of them meet for a tap. Rows of A are channels of x, rows of the panel pixels of dy.
//
// The microkernel of registers walks a line at a time, of the lines whose pixels have this tap in the image: word k of
// a row is the staged band (see conv3x3_staging.h) at the tap's distance plus the channel, one staged pixel a step, or
// two in bfloat16, as a word pairs neighbours.
//
// That of AMX asks for words of a row that lie side by side, 16 a step, and lines are as short as 7 pixels. So x is
// transposed, and k walks a whole image, with the border between its lines, where dy is zero. A tap is a distance in
// pixels again, ty * (width + 2) + tx; as odd ones begin in the middle of a word, all words are there twice:
//
//     dy           (0 1)(2 3)(4 5)(6 7) ...      the words that meet for a tap at distance 3:
//     x, even      (0 1)(2 3)(4 5)(6 7) ...          dy (0 1)(2 3)(4 5) ...
//     x, odd       (1 2)(3 4)(5 6)(7 8) ...          x  (3 4)(5 6)(7 8) ...
#pragma once

#include "conv3x3_staging.h"

namespace medmamba::cpu::MM_SIMD {

template <class Factor>
class PixelWalk {
public:
    // Of input channels [first_channel, first_channel + channels).
    PixelWalk(const Bands& bands, const ConvInput& input, int64_t first_channel, int64_t channels, Scratch& scratch)
        : bands_(bands), input_(input), first_channel_(first_channel), channels_(channels),
          stride_(staged_stride(channels)), line_words_(words<Factor>(bands.width)) {
        const int64_t lines = bands.images * bands.lines;
        staged_ = scratch.take(bands.staged_pixels() * stride_);
        dy_ = scratch.take(lines * line_words_ * panel_columns);
        lines_ = scratch.take<Segment>(lines);
        rows_ = scratch.take<const float*>(channels);
        for (int64_t i = 0; i < channels; ++i) rows_[i] = staged_ + i;
    }

    // Brings the band's x to where rows_of_tap() finds it.
    void stage(const Band& band) {
        stage_pixels<Factor>(bands_, band, input_, first_channel_, channels_, staged_, stride_);
    }

    // `columns` channels of the band's dy as a panel: where they lie, if they are one already.
    const float* panel_of(const float* dy, int64_t dy_row, const Band& band, int64_t columns) {
        const int64_t width = packed_width(columns);
        if (Factor::depth == 1 && dy_row == width && columns == width) return dy;
        const int64_t line = band.width * dy_row, line_floats = line_words_ * width;
        for (int64_t i = 0; i < band.images * band.lines; ++i)
            pack_down<Factor>(dy + i * line, dy_row, band.width, columns, dy_ + i * line_floats, width);
        return dy_;
    }

    // Rows of A, a channel each, and in `tile` which of their words meet which rows of a panel `width` words wide.
    const float* const* rows_of_tap(const Band& band, int64_t tap, int64_t width, TileProduct& tile) {
        const int64_t ty = tap / 3, tx = tap % 3;
        // Nor is there a pixel left of the first, or right of the last; half a word cannot be left out.
        const int64_t skipped = Factor::depth == 1 && tx == 0;
        tile.step = Factor::depth * stride_;
        tile.length = tx == 2 ? words<Factor>(band.width - 1) : line_words_ - skipped;
        tile.segments = lines_;
        tile.segment_count = 0;
        for (int64_t line = 0; line < band.images * band.lines; ++line) {
            const int64_t above = band.first_line + line % band.lines + ty - 1;
            if (above >= 0 && above < bands_.height)
                lines_[tile.segment_count++] = {
                    (band.staged_line(line) + ty * bands_.padded_width() + tx + skipped) * stride_,
                    (line * line_words_ + skipped) * width};
        }
        return rows_;
    }

private:
    const Bands& bands_;
    const ConvInput& input_;
    int64_t first_channel_, channels_, stride_;
    int64_t line_words_;  // of dy; a line of odd width ends in half a word
    float *staged_, *dy_;
    Segment* lines_;
    const float** rows_;
};

#if defined(__AVX512F__)

template <>
class PixelWalk<AmxBFloat16> {
public:
    PixelWalk(const Bands& bands, const ConvInput& input, int64_t first_channel, int64_t channels, Scratch& scratch)
        : bands_(bands), input_(input), first_channel_(first_channel), channels_(channels),
          stride_(staged_stride(channels)), dy_words_(words<AmxBFloat16>(bands.lines * bands.padded_width())),
          x_words_(ceil_div(dy_words_ + bands.padded_width() + 1, lanes) * lanes) {  // the last tap's distance more
        staged_ = scratch.take(bands.staged_pixels() * stride_);
        dy_ = scratch.take(bands.images * dy_words_ * panel_columns);
        images_ = scratch.take<Segment>(bands.images);
        rows_ = scratch.take<float*>(2 * channels);
        const int64_t row = staged_stride(bands.images * x_words_);
        float* transposed = scratch.take(2 * channels * row);
        for (int64_t i = 0; i < 2 * channels; ++i) rows_[i] = transposed + i * row;
    }

    void stage(const Band& band) {
        // There is a word at every pixel now, even and odd.
        stage_pixels<AmxBFloat16>(bands_, band, input_, first_channel_, channels_, staged_, stride_);
        const int64_t image_pixels = (band.lines + 2) * (band.width + 2);
        for (int64_t image = 0; image < band.images; ++image)
            for (int64_t odd = 0; odd < 2; ++odd)
                transpose(staged_ + image * image_pixels * stride_, odd, image_pixels, rows_ + odd * channels_,
                          image * x_words_);
    }

    const float* panel_of(const float* dy, int64_t dy_row, const Band& band, int64_t columns) {
        const int64_t width = packed_width(columns), padded_width = band.width + 2;
        for (int64_t image = 0; image < band.images; ++image, dy += band.lines * band.width * dy_row) {
            const auto row = [&](int64_t pixel) {
                const int64_t line = pixel / padded_width, x = pixel % padded_width;
                return line < band.lines && x < band.width ? dy + (line * band.width + x) * dy_row : nullptr;
            };
            pack_across<AmxBFloat16>(row, words<AmxBFloat16>(band.lines * padded_width), columns,
                                     dy_ + image * dy_words_ * width, width);
        }
        return dy_;
    }

    const float* const* rows_of_tap(const Band& band, int64_t tap, int64_t width, TileProduct& tile) {
        const int64_t distance = tap / 3 * (band.width + 2) + tap % 3;
        tile.step = 1;
        tile.length = words<AmxBFloat16>(band.lines * (band.width + 2));
        tile.segments = images_;
        tile.segment_count = band.images;
        for (int64_t image = 0; image < band.images; ++image)
            images_[image] = {image * x_words_ + distance / 2, image * dy_words_ * width};
        return rows_ + (distance % 2) * channels_;
    }

private:
    // Every second of an image's staged pixels, from `first` on, into words [at, at + x_words_) of the channels' rows.
    void transpose(const float* image, int64_t first, int64_t pixels, float* const* rows, int64_t at) {
        for (int64_t i = 0; i < x_words_; i += lanes) {
            for (int64_t j = 0; j < channels_; j += lanes) {
                vfloat square[lanes];
#pragma GCC unroll 16
                for (int word = 0; word < lanes; ++word) {
                    const int64_t pixel = first + 2 * (i + word);
                    square[word] = pixel < pixels ? load(image + pixel * stride_ + j) : vfloat{};
                }
                transpose_square(square);
                const int64_t count = std::min<int64_t>(lanes, channels_ - j);
#pragma GCC unroll 16
                for (int channel = 0; channel < lanes; ++channel)
                    if (channel < count) store(rows[j + channel] + at + i, square[channel]);
            }
        }
    }

    const Bands& bands_;
    const ConvInput& input_;
    int64_t first_channel_, channels_, stride_;
    int64_t dy_words_, x_words_;  // of one image
    float *staged_, *dy_;
    Segment* images_;
    float** rows_;  // of the even words, then of the odd
};

#endif

}  // namespace medmamba::cpu::MM_SIMD
