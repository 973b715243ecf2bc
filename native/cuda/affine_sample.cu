// Augmentation in one pass: sample under an affine map, change brightness and contrast, normalise.
//
// Where an output pixel reads the input is the same for every channel, so a thread owns one output pixel of one
// image: it works out the four corners and their weights once, and then walks the channels' planes. Neighbouring
// threads are neighbours in an output row: they write whole lines, and read pixels that lie close together.
#include "each_vector.cuh"

namespace medmamba::cuda {

namespace {

// Clamped to 0..limit; a NaN becomes 0, so that it is a valid place.
__device__ __forceinline__ float inside(float position, float limit) { return fminf(fmaxf(position, 0.0f), limit); }

// `unit` is what the input's 1 is stored as.
template <class Value>
__global__ void __launch_bounds__(threads_per_block)
sample_kernel(mm_affine_sample_params p, int64_t pixels, float unit) {
    const int64_t in_plane = p.in_height * p.in_width, out_plane = p.out_height * p.out_width;
    const float last_row = (float)(p.in_height - 1), last_column = (float)(p.in_width - 1);
    const int64_t threads = threads_of_grid();
    for (int64_t pixel = thread_of_grid(); pixel < pixels; pixel += threads) {
        const int64_t image = pixel / out_plane, place = pixel - image * out_plane;
        const int64_t out_row = place / p.out_width, out_column = place - out_row * p.out_width;
        const float* matrix = p.matrix + image * 6;
        const float i = (float)out_row + 0.5f, j = (float)out_column + 0.5f;
        const float y = inside(matrix[0] * i + matrix[1] * j + matrix[2] - 0.5f, last_row);
        const float x = inside(matrix[3] * i + matrix[4] * j + matrix[5] - 0.5f, last_column);
        const int32_t y0 = (int32_t)y, x0 = (int32_t)x;
        const float down = y - (float)y0, across = x - (float)x0;
        const int64_t corner = y0 * p.in_width + x0;
        // At the border two of the corners are the same pixel.
        const int64_t below = (float)y0 < last_row ? p.in_width : 0, right = (float)x0 < last_column ? 1 : 0;
        const float gain = p.gain[image], offset = p.offset[image];
        for (int64_t channel = 0; channel < p.channels; ++channel) {
            const int64_t plane = image * p.channels + channel;
            const Value* from = static_cast<const Value*>(p.x) + plane * in_plane + corner;
            const float a = from[0], b = from[right], c = from[below], d = from[below + right];
            const float top = a + across * (b - a), bottom = c + across * (d - c);
            const float value = ((top + down * (bottom - top)) / unit) * gain + offset;
            const float clamped = value < 0.0f ? 0.0f : value > 1.0f ? 1.0f : value;  // NaN stays
            p.y[plane * out_plane + place] = clamped * p.channel_scale[channel] + p.channel_shift[channel];
        }
    }
}

}  // namespace

mm_status affine_sample(mm_stream* stream, const mm_affine_sample_params* p) {
    if (p->x_dtype != MM_UINT8 && p->x_dtype != MM_FLOAT32)
        return stream->fail(MM_INVALID_ARGUMENT, "affine_sample: images must be uint8 or float32");
    if (p->in_height < 1 || p->in_width < 1)
        return stream->fail(MM_INVALID_ARGUMENT, "affine_sample: images of %lld x %lld pixels have nothing to sample",
                            (long long)p->in_height, (long long)p->in_width);
    if (p->in_height >= INT32_MAX / p->in_width)
        return stream->fail(MM_UNSUPPORTED, "affine_sample: images of %lld x %lld pixels are too large",
                            (long long)p->in_height, (long long)p->in_width);
    const int64_t pixels = p->batch * p->out_height * p->out_width;
    const bool bytes = p->x_dtype == MM_UINT8;
    return launch(stream, "affine_sample", bytes ? sample_kernel<uint8_t> : sample_kernel<float>,
                  blocks_for_pass(stream, pixels), threads_per_block, 0, *p, pixels, bytes ? 255.0f : 1.0f);
}

}  // namespace medmamba::cuda
