// The 3x3 convolutions as their tests describe them: an operation's inputs, said once, of which each function makes the
// parameter struct of the operation or of a gradient; and the full convolution in double.
#pragma once

#include "kernel_case.h"

struct Image {
    int64_t batch, height, width;
    int64_t pixels() const { return batch * height * width; }
};

struct Conv3x3 {
    Image image;
    int64_t in_channels, out_channels;
    int64_t x_row = 0, y_row = 0;  // of dx and dy, too
    const float *x = nullptr, *weight = nullptr, *bias = nullptr, *dy = nullptr;
    const float *input_scale = nullptr, *input_shift = nullptr;
    bool input_relu = false, relu = false;
    int32_t x_dtype = MM_FLOAT32, y_dtype = MM_FLOAT32;
    const float *output_scale = nullptr, *output_shift = nullptr;

    mm_conv3x3_forward_params forward(float* y) const {
        return {image.batch, image.height, image.width, in_channels, out_channels, x_row,   y_row,   input_relu,   relu,
                x,           input_scale,  input_shift, weight,      bias,         y,       x_dtype, y_dtype, output_scale,
                output_shift, nullptr};
    }
    mm_conv3x3_backward_data_params backward_data(float* dx) const {
        return {image.batch, image.height, image.width, in_channels, out_channels, y_row,
                x_row,       dy,           weight,      dx,          x_dtype,      y_dtype,      {}};
    }
    mm_conv3x3_backward_weight_params backward_weight(float* dweight, float* dbias) const {
        return {image.batch, image.height, image.width, in_channels, out_channels, x_row, y_row,   input_relu,
                x,           input_scale,  input_shift, dy,          dweight,      dbias, x_dtype, y_dtype};
    }
};

struct Depthwise3x3 {
    Image image;
    int64_t channels;
    int64_t x_row = 0, y_row = 0;  // of dx and dy, too
    const float *x = nullptr, *weight = nullptr, *bias = nullptr, *dy = nullptr;
    bool silu = false;
    int32_t dtype = MM_FLOAT32;

    mm_depthwise3x3_forward_params forward(float* y) const {
        return {image.batch, image.height, image.width, channels, x_row, y_row, silu, x, weight, bias, y, dtype};
    }
    mm_depthwise3x3_backward_params backward(float* dx, float* dweight, float* dbias) const {
        return {image.batch, image.height, image.width, channels, x_row, y_row,   x_row, silu,
                x,           weight,       bias,        dy,       dx,    dweight, dbias, dtype};
    }
};

// Calls visit(output pixel, input pixel, tap) for every pair of pixels inside the same image.
template <class Visit>
void each_tap(const Image& images, Visit visit) {
    for (int64_t image = 0; image < images.batch; ++image)
        for (int64_t y = 0; y < images.height; ++y)
            for (int64_t x = 0; x < images.width; ++x)
                for (int64_t tap = 0; tap < 9; ++tap) {
                    const int64_t sy = y + tap / 3 - 1, sx = x + tap % 3 - 1;
                    if (sy < 0 || sy >= images.height || sx < 0 || sx >= images.width) continue;
                    visit((image * images.height + y) * images.width + x,
                          (image * images.height + sy) * images.width + sx, tap);
                }
}

// Convolution without bias, and its gradients, of x(pixel, channel), dy(pixel, channel) and weight(index).
struct NaiveConv3x3 {
    Doubles y, dx, dweight;

    template <class X, class Weight, class DY>
    NaiveConv3x3(const Image& image, int64_t in, int64_t out, X x, Weight weight, DY dy)
        : y((size_t)(image.pixels() * out)), dx((size_t)(image.pixels() * in)), dweight((size_t)(out * in * 9)) {
        each_tap(image, [&](int64_t to, int64_t from, int64_t tap) {
            for (int64_t i = 0; i < in; ++i) {
                const double value = x(from, i);
                for (int64_t o = 0; o < out; ++o) {
                    const int64_t w = (o * in + i) * 9 + tap;
                    const double d = dy(to, o), of_weight = weight(w);
                    y[(size_t)(to * out + o)] += value * of_weight;
                    dx[(size_t)(from * in + i)] += d * of_weight;
                    dweight[(size_t)w] += d * value;
                }
            }
        });
    }
};
