// What a 3x3 convolution and the gradient of its weights read: f(x) = relu?(x * scale + shift) at a pixel, zero
// outside the image. Channels are counted in chunks of four, so that a chunk never lies in two taps; those behind the
// last are zero as well.
#pragma once

#include "stream.cuh"
#include "tile.cuh"

namespace medmamba::cuda {

struct ConvInput {
    const float* x;
    int64_t row;
    const float *scale, *shift;  // (channels), both or neither
    bool relu;
    int height, width, channels, padded_channels;
    int64_t pixels;  // of all images
    bool aligned, affine_aligned;

    ConvInput(const float* x, int64_t row, int64_t batch, int64_t height, int64_t width, int64_t channels,
              const float* scale = nullptr, const float* shift = nullptr, bool relu = false)
        : x(x), row(row), scale(scale), shift(shift), relu(relu), height((int)height), width((int)width),
          channels((int)channels), padded_channels((int)(ceil_div(channels, chunk) * chunk)),
          pixels(batch * height * width), aligned(is_aligned(x, row)),
          affine_aligned(is_aligned(scale) && is_aligned(shift)) {}

    bool has_function() const { return scale || relu; }
};

// f at one chunk of channels.
struct ChunkFunction {
    float4 scale, shift;
    bool relu;

    __device__ __forceinline__ ChunkFunction() {}
    __device__ __forceinline__ ChunkFunction(const ConvInput& input, int channel, int count)
        : scale{1, 1, 1, 1}, shift{0, 0, 0, 0}, relu(input.relu) {
        if (!input.scale) return;
        scale = load_chunk(input.scale + channel, count, input.affine_aligned);
        shift = load_chunk(input.shift + channel, count, input.affine_aligned);
    }

    __device__ __forceinline__ float4 operator()(float4 v) const {
        const auto f = [&](float x, float a, float b) {
            const float y = fmaf(x, a, b);
            return relu && y < 0 ? 0.0f : y;  // NaN stays
        };
        return float4{f(v.x, scale.x, shift.x), f(v.y, scale.y, shift.y), f(v.z, scale.z, shift.z),
                      f(v.w, scale.w, shift.w)};
    }
};

}  // namespace medmamba::cuda
