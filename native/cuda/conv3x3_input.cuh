// What a 3x3 convolution and the gradient of its weights read: f(x) = relu?(x * scale + shift) at a pixel, zero
// outside the image. Channels are counted in chunks of 16 bytes, so that a chunk never lies in two taps; those behind
// the last are zero as well. Where products are of bfloat16, f has been applied already (bfloat16_rows.cuh).
#pragma once

#include "bfloat16_rows.cuh"
#include "tile.cuh"

namespace medmamba::cuda {

// Of a pixel in its image; also so many pixels on, counted the same way.
struct PixelPlace {
    int x, y;
};

// Of the images, which lie in memory one behind the other.
struct ImageSize {
    int height, width;

    __device__ __forceinline__ PixelPlace place(int64_t pixel) const {
        const int64_t line = pixel / width;
        return {(int)(pixel - line * width), (int)(line % height)};
    }
    // Without a division.
    __device__ __forceinline__ PixelPlace after(PixelPlace place, PixelPlace step) const {
        place.x += step.x;
        place.y += step.y;
        if (place.x >= width) place.x -= width, ++place.y;
        if (place.y >= height) place.y -= height;
        return place;
    }
    __device__ __forceinline__ bool contains(int x, int y) const {
        return (unsigned)x < (unsigned)width && (unsigned)y < (unsigned)height;
    }
};

template <class T>
struct ConvInput {
    using Element = T;

    const T* x;
    int64_t row;
    const float *scale, *shift;  // (channels), both or neither
    bool relu;
    ImageSize image;
    int channels, padded_channels;
    int64_t pixels;  // of all images
    int vector, affine_vector;

    ConvInput(const float* x, int64_t row, int64_t batch, int64_t height, int64_t width, int64_t channels,
              const float* scale = nullptr, const float* shift = nullptr, bool relu = false)
        : x(stored<T>(x)), row(row), scale(scale), shift(shift), relu(relu), image{(int)height, (int)width},
          channels((int)channels), padded_channels((int)(ceil_div(channels, chunk<T>) * chunk<T>)),
          pixels(batch * height * width), vector(vector_width(row, this->x)),
          affine_vector(vector_width(scale, shift)) {}

    const float* data() const { return reinterpret_cast<const float*>(x); }  // of the type that is stored
    bool has_function() const { return scale || relu; }
};

// f at one chunk of channels.
struct ChunkFunction {
    Floats<4> scale{{1, 1, 1, 1}}, shift{};
    bool relu;

    __device__ __forceinline__ ChunkFunction() {}
    __device__ __forceinline__ ChunkFunction(const ConvInput<float>& input, int channel, int count)
        : relu(input.relu) {
        if (!input.scale) return;
        scale = load_chunk<4>(input.scale + channel, count, input.affine_vector);
        shift = load_chunk<4>(input.shift + channel, count, input.affine_vector);
    }

    __device__ __forceinline__ Floats<4> operator()(const Floats<4>& x) const {
        Floats<4> y;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const float value = fmaf(x.lane[i], scale.lane[i], shift.lane[i]);
            y.lane[i] = relu && value < 0 ? 0.0f : value;  // NaN stays
        }
        return y;
    }
};

// Calls go(ConvInput): of bfloat16 where the stream multiplies that, or one of the two that are multiplied is
// bfloat16 in memory, and otherwise of float32. `x` has the pixels of all images as rows.
template <class Go>
mm_status with_input(mm_stream* stream, const char* what, int64_t batch, int64_t height, int64_t width,
                     const StoredRows& x, int32_t other_dtype, Go&& go) {
    if (stream->precision != Precision::bf16 && x.dtype != MM_BFLOAT16 && other_dtype != MM_BFLOAT16)
        return go(ConvInput<float>(x.data, x.row, batch, height, width, x.columns, x.scale, x.shift, x.relu));
    const BFloat16Rows rows(stream, what, x);
    if (rows.status() != MM_OK) return rows.status();
    return go(ConvInput<BFloat16>(rows.data(), rows.row(), batch, height, width, x.columns));
}

}  // namespace medmamba::cuda
