// The norms as their tests describe them: inputs, said once, of which each function makes the parameter struct of one
// operation.
#pragma once

#include "kernel_case.h"

struct LayerNorm {
    int64_t rows, channels;
    int64_t x_row, y_row, gate_row, dy_row, dgate_row;  // that of dx is that of x
    float eps;
    const float *x, *weight, *bias, *gate, *dy;  // gate: optional
    int32_t x_dtype = MM_FLOAT32, y_dtype = MM_FLOAT32;

    mm_layer_norm_forward_params forward(float* y, float* statistics) const {
        return {rows, channels, x_row, y_row, gate_row,   eps,     x,
                weight, bias,   gate,  y,     statistics, x_dtype, y_dtype, 0, nullptr};
    }
    mm_layer_norm_backward_params backward(const float* statistics, float* dx, float* dweight, float* dbias,
                                           float* dgate, bool accumulate_dx) const {
        return {rows, channels, x_row, dy_row, x_row, gate_row, dgate_row, accumulate_dx, x,       weight,
                bias, statistics, gate, dy,    dx,    dweight,  dbias,     dgate,         x_dtype, y_dtype};
    }
};

struct BatchNorm {
    int64_t rows, channels;
    int64_t x_row, y_row, dy_row;  // that of dx is that of x
    float eps;
    const float *x, *weight, *bias, *dy;
    int32_t x_dtype = MM_FLOAT32, y_dtype = MM_FLOAT32;

    // What is kept of a batch; without running statistics.
    mm_batch_norm_statistics_params of_batch(float* statistics, float* scale, float* shift) const {
        return {rows,    channels, x_row,   eps,        0.1f,  x,     weight, bias,
                nullptr, nullptr,  nullptr, statistics, scale, shift, x_dtype, nullptr, nullptr};
    }
    mm_channel_affine_params applied(const float* scale, const float* shift, float* y, bool relu) const {
        return {rows, channels, x_row, y_row, relu, x, scale, shift, y, x_dtype, y_dtype};
    }
    mm_batch_norm_backward_params backward(const float* statistics, const float* scale, const float* shift, float* dx,
                                           float* dweight, float* dbias, bool training, bool relu,
                                           bool accumulate_dx) const {
        return {rows,  channels, x_row, dy_row, x_row,   training, relu,    accumulate_dx, x, statistics,
                scale, shift,    dy,    dx,     dweight, dbias,    x_dtype, y_dtype, nullptr, nullptr};
    }
};
