// Augmentation in one pass: sample under an affine map, change brightness and contrast, normalise.
//
// Where an output row reads the input is the same for every channel, so a task owns some output rows of one image:
// for each it works out the corners and weights of its pixels once, `lanes` pixels at a time, and then walks
// the channels' planes. The four corners of a pixel are scalar loads: they are what the time goes into.
#include "each_vector.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// One output row: for each pixel the offsets of its four corners in a plane (at the border two of them are the same
// pixel), and how far between them it lies.
struct SampledRow {
    int32_t *top_left, *top_right, *bottom_left, *bottom_right;
    float *row_weight, *column_weight;
};

SampledRow take_row(Scratch& scratch, int64_t width) {
    const int64_t padded = ceil_div(width, lanes) * lanes;  // whole vectors are written
    return {scratch.take<int32_t>(padded), scratch.take<int32_t>(padded), scratch.take<int32_t>(padded),
            scratch.take<int32_t>(padded), scratch.take(padded),          scratch.take(padded)};
}

// Clamped to 0..limit; a NaN becomes 0, so that it is a valid place.
vfloat inside(vfloat position, float limit) { return min(max(position, vfloat{}), broadcast(limit)); }

void store_offsets(int32_t* p, vint v) { std::memcpy(p, &v, sizeof v); }

void locate(const mm_affine_sample_params* p, const float* matrix, int64_t out_row, const SampledRow& row) {
    const float i = (float)out_row + 0.5f;
    const float last_row = (float)(p->in_height - 1), last_column = (float)(p->in_width - 1);
    const int32_t in_width = (int32_t)p->in_width;
    vfloat j;
    for (int lane = 0; lane < lanes; ++lane) j[lane] = (float)lane + 0.5f;
    for (int64_t first = 0; first < p->out_width; first += lanes, j += (float)lanes) {
        const vfloat y = inside(matrix[0] * i + matrix[1] * j + matrix[2] - 0.5f, last_row);
        const vfloat x = inside(matrix[3] * i + matrix[4] * j + matrix[5] - 0.5f, last_column);
        const vint y0 = __builtin_convertvector(y, vint), x0 = __builtin_convertvector(x, vint);
        const vfloat y_floor = __builtin_convertvector(y0, vfloat), x_floor = __builtin_convertvector(x0, vfloat);
        const vint corner = y0 * in_width + x0;
        const vint below = (y_floor < last_row) & in_width, right = (x_floor < last_column) & 1;
        store_offsets(row.top_left + first, corner);
        store_offsets(row.top_right + first, corner + right);
        store_offsets(row.bottom_left + first, corner + below);
        store_offsets(row.bottom_right + first, corner + below + right);
        store(row.row_weight + first, y - y_floor);
        store(row.column_weight + first, x - x_floor);
    }
}

// The values of `lanes` pixels at one of their corners. Bytes are gathered as integers and converted together:
// one conversion a value took longer than all the rest.
vfloat gather(const uint8_t* plane, const int32_t* offsets) {
    int32_t values[lanes];
    for (int lane = 0; lane < lanes; ++lane) values[lane] = plane[offsets[lane]];
    vint v;
    std::memcpy(&v, values, sizeof v);
    return __builtin_convertvector(v, vfloat);
}
vfloat gather(const float* plane, const int32_t* offsets) {
    float values[lanes];
    for (int lane = 0; lane < lanes; ++lane) values[lane] = plane[offsets[lane]];
    return load(values);
}

template <class Value>
vfloat interpolate(const Value* plane, const SampledRow& row, int64_t j) {
    const vfloat a = gather(plane, row.top_left + j), b = gather(plane, row.top_right + j);
    const vfloat c = gather(plane, row.bottom_left + j), d = gather(plane, row.bottom_right + j);
    const vfloat across = load(row.column_weight + j);
    const vfloat top = a + across * (b - a), bottom = c + across * (d - c);
    return top + load(row.row_weight + j) * (bottom - top);
}

template <class Value>
void sample_rows(const mm_affine_sample_params* p, int64_t image, int64_t first, int64_t last, float unit,
                 const SampledRow& row) {
    const int64_t in_plane = p->in_height * p->in_width, out_plane = p->out_height * p->out_width;
    const float gain = p->gain[image], offset = p->offset[image];
    for (int64_t i = first; i < last; ++i) {
        locate(p, p->matrix + image * 6, i, row);
        for (int64_t channel = 0; channel < p->channels; ++channel) {
            const int64_t plane = image * p->channels + channel;
            const float scale = p->channel_scale[channel], shift = p->channel_shift[channel];
            const Value* x = static_cast<const Value*>(p->x) + plane * in_plane;
            float* y = p->y + plane * out_plane + i * p->out_width;
            each_vector(p->out_width, [&](int64_t j, auto part) {
                const vfloat v = (interpolate(x, row, j) / unit) * gain + offset;
                const vfloat clamped = min(broadcast(1.0f), max(vfloat{}, v));
                store(y + j, clamped * scale + shift, part);
            });
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
    if (p->out_height == 0 || p->out_width == 0 || p->channels == 0) return MM_OK;

    const int64_t rows_of_task = std::min(p->out_height, rows_per_task(p->out_width * p->channels));
    const int64_t tasks_of_image = ceil_div(p->out_height, rows_of_task);
    stream->pool.run(p->batch * tasks_of_image, [&](int64_t task, int worker) {
        Scratch::Scope scope(stream->worker_scratch[(size_t)worker]);
        const SampledRow row = take_row(stream->worker_scratch[(size_t)worker], p->out_width);
        const int64_t first = task % tasks_of_image * rows_of_task;
        const int64_t last = std::min(p->out_height, first + rows_of_task);
        if (p->x_dtype == MM_UINT8)
            sample_rows<uint8_t>(p, task / tasks_of_image, first, last, 255.0f, row);
        else
            sample_rows<float>(p, task / tasks_of_image, first, last, 1.0f, row);
    });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
