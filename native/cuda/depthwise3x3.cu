// Depthwise 3x3 convolution: every channel is convolved with a filter of its own, so nothing is summed across lanes.
//
//     pre[p] = bias + sum over taps of  weight[tap] x[p + tap],    y = silu(pre)
//     dpre = dy silu'(pre),   dx[p] = sum of weight[tap] dpre[p - tap],   dweight[tap] = sum of dpre[p] x[p + tap]
//
// A block owns 32 channels, whose filters it puts into shared memory, and some segments: pieces of at most 16 pixels
// of a line, forward of two lines below each other. A thread holds 4 channels (2 backward, 1 where rows are not
// aligned) and walks along its segment. Lanes are channels first, so that a warp reads whole lines of 128 bytes (64 of
// bfloat16); the workers of a block take segments one below the other, so that neighbouring lines come from the
// first-level cache.
//
//        line y-1   . a .       forward: a, b, c go into line y's sums of  x-1 (complete),  x,  x+1 (begins), and b, c, d
//        line y     . b .       into those of line y+1: of four pixels loaded each of the middle ones serves six sums;
//        line y+1   . c .       the next column is loaded before this one is used
//        line y+2   . d .
//
// Backward, the window of 3 x 3 pixels slides in registers: it recomputes pre, and gives the thread's sums of dweight
// and dbias (twenty floats), which are added over the workers of the block and then over the blocks in fixed order.
// dpre goes to memory, and dx is its forward convolution with the mirrored filter.
//
// Forward reads x and writes y once: in float32 that is 8 bytes for some 44 instructions, and memory and instructions
// bind alike; in bfloat16 4 bytes for 24, which an H200 issues in the time that 3.9 bytes take. Backward reads x and
// dy, writes and reads dpre, writes dx; its first half, 71 instructions for 6 bytes of bfloat16, is bound by them.
#include <algorithm>

#include "activation.cuh"
#include "storage.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

namespace {

constexpr int taps = 9, threads = 256, block_channels = 32;
constexpr int64_t longest_segment = 16;
constexpr int lines_together = 2;  // that a thread of the forward pass walks along at once
constexpr int64_t wanted_blocks = 528;  // of the backward pass: four for each multiprocessor of an H200

template <int count>
struct Channels : Floats<count> {
    using Floats<count>::lane;

    static __device__ __forceinline__ Channels all(float value) {
        Channels c;
        for (int i = 0; i < count; ++i) c.lane[i] = value;
        return c;
    }
    template <class T>
    static __device__ __forceinline__ Channels load(const T* p) {
        return {cuda::load(p, Width<count>{})};
    }
    template <class T>
    __device__ __forceinline__ void store(T* p) const {
        cuda::store<count>(p, *this);
    }

    // this + weight * x
    __device__ __forceinline__ Channels plus(const Channels& weight, const Channels& x) const {
        Channels c;
        for (int i = 0; i < count; ++i) c.lane[i] = fmaf(weight.lane[i], x.lane[i], lane[i]);
        return c;
    }
};

// The threads of a block: lanes side by side on its channels, workers on segments.
template <int count>
struct Worker {
    static constexpr int lanes = block_channels / count, workers = threads / lanes;
    static __device__ __forceinline__ int lane_channel() { return (int)threadIdx.x % lanes * count; }
    static __device__ __forceinline__ int index() { return (int)threadIdx.x / lanes; }
};

// Segments are numbered down the image, then along its lines, then over the images.
struct Images {
    int64_t batch, height, width, channels;
    int64_t strips, segments, segment;  // down an image, and along a line; pixels along a line

    Images(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t lines)
        : batch(batch), height(height), width(width), channels(channels), strips(ceil_div(height, lines)),
          segments(ceil_div(width, longest_segment)), segment(segments > 0 ? ceil_div(width, segments) : 0) {}

    __host__ __device__ int64_t all_segments() const { return batch * strips * segments; }
    int64_t channel_blocks() const { return ceil_div(channels, block_channels); }
};

// `lines` lines of an image, as many as there are, and pixels [x0, x1) of each.
template <int lines>
struct Segment {
    int64_t line;   // the first, of all images'
    int y, x0, x1;  // in its image

    __device__ __forceinline__ Segment(const Images& images, int64_t index) {
        y = (int)(index % images.strips) * lines;
        index /= images.strips;
        x0 = (int)(index % images.segments * images.segment);
        x1 = (int)(x0 + images.segment < images.width ? x0 + images.segment : images.width);
        line = index / images.segments * images.height + y;
    }
};

// What a segment's pixels at one x are convolved with: a pixel above them, they, and one below; zero outside the image.
template <int count, int lines, class T>
struct Column {
    decltype(load_packed((const T*)nullptr, Width<count>{})) packed[lines + 2];

    __device__ __forceinline__ Channels<count> pixel(int i) const { return {unpack(packed[i])}; }
    __device__ __forceinline__ void unpack_to(Channels<count> (&pixels)[lines + 2]) const {
        for (int i = 0; i < lines + 2; ++i) pixels[i] = pixel(i);
    }
};

template <int count, int lines, class T>
struct Lines {
    const T* start[lines + 2];  // at x = 0, from the line above the segment's on
    bool exists[lines + 2];
    int width, pixel_bytes;

    __device__ __forceinline__ Lines(const Images& images, const Segment<lines>& segment, const T* x, int64_t row)
        : width((int)images.width), pixel_bytes((int)row * (int)sizeof(T)) {
        for (int i = 0; i < lines + 2; ++i) {
            start[i] = x + (segment.line + i - 1) * images.width * row;
            exists[i] = (unsigned)(segment.y + i - 1) < (unsigned)images.height;
        }
    }

    __device__ __forceinline__ Column<count, lines, T> at(int x) const {
        const bool inside = (unsigned)x < (unsigned)width;
        Column<count, lines, T> column{};
        for (int i = 0; i < lines + 2; ++i)
            if (inside && exists[i])
                column.packed[i] = load_packed(global_offset(start[i], (int64_t)x * pixel_bytes), Width<count>{});
        return column;
    }
};

struct Filters {
    float weight[taps][block_channels], bias[block_channels];

    // The filters of channels [first, first + block_channels), zero behind the last. Ends with a barrier.
    __device__ __forceinline__ void fill(const float* all_weights, const float* all_biases, int64_t first,
                                         int64_t channels, bool mirrored) {
        for (int i = (int)threadIdx.x; i < taps * block_channels; i += threads) {
            const int channel = i / taps, tap = i % taps;
            weight[mirrored ? taps - 1 - tap : tap][channel] =
                first + channel < channels ? all_weights[first * taps + i] : 0.0f;
        }
        for (int i = (int)threadIdx.x; i < block_channels; i += threads)
            bias[i] = all_biases && first + i < channels ? all_biases[first + i] : 0.0f;
        __syncthreads();
    }
};

template <class T>
struct Forward {
    Images images;
    const T* x;
    int64_t x_row;
    const float *weight, *bias;
    bool mirrored, silu;
    T* y;
    int64_t y_row;
};

template <int count, class T>
__global__ void __launch_bounds__(threads) convolve(Forward<T> p) {
    using C = Channels<count>;
    constexpr int lines = lines_together;
    auto& filters = shared_memory<Filters>();
    const int64_t channel_blocks = (p.images.channels + block_channels - 1) / block_channels;
    const int64_t first_channel = blockIdx.x % channel_blocks * block_channels;
    filters.fill(p.weight, p.bias, first_channel, p.images.channels, p.mirrored);

    const int lane_channel = Worker<count>::lane_channel();
    const int64_t channel = first_channel + lane_channel;
    const int64_t index = blockIdx.x / channel_blocks * Worker<count>::workers + Worker<count>::index();
    if (channel >= p.images.channels || index >= p.images.all_segments()) return;

    C weight[taps];
    for (int t = 0; t < taps; ++t) weight[t] = C::load(filters.weight[t] + lane_channel);
    const C bias = C::load(filters.bias + lane_channel);
    const Segment<lines> segment(p.images, index);
    const Lines<count, lines, T> input(p.images, segment, p.x + channel, p.x_row);
    T* y = p.y + segment.line * p.images.width * p.y_row + channel;
    const int64_t y_line = p.images.width * p.y_row;
    const int y_bytes = (int)p.y_row * (int)sizeof(T);  // of a pixel

    C current[lines], next[lines];  // sums of this column's outputs and of those to its right
    for (int i = 0; i < lines; ++i) current[i] = next[i] = bias;
    Column<count, lines, T> ahead = input.at(segment.x0 - 1);
    for (int x = segment.x0 - 1; x <= segment.x1; ++x) {
        const Column<count, lines, T> column = ahead;
        if (x < segment.x1) ahead = input.at(x + 1);
        for (int i = 0; i < lines; ++i) {
            const C a = column.pixel(i), b = column.pixel(i + 1), c = column.pixel(i + 2);
            C out = current[i].plus(weight[2], a).plus(weight[5], b).plus(weight[8], c);
            current[i] = next[i].plus(weight[1], a).plus(weight[4], b).plus(weight[7], c);
            next[i] = bias.plus(weight[0], a).plus(weight[3], b).plus(weight[6], c);
            if (x <= segment.x0 || !input.exists[i + 1]) continue;
            if (p.silu)
                for (int k = 0; k < count; ++k) out.lane[k] = silu<T>(out.lane[k]);
            out.store(global_offset(y + i * y_line, (int64_t)(x - 1) * y_bytes));
        }
    }
}

template <class T>
mm_status queue_convolve(mm_stream* stream, const char* what, const Forward<T>& forward) {
    const int vector =
        vector_width(forward.images.channels, forward.x_row, forward.y_row, forward.x, (const T*)forward.y);
    return with_width<4, 1>(vector, [&](auto width) {
        constexpr int count = decltype(width)::value;
        const int64_t segments = ceil_div(forward.images.all_segments(), Worker<count>::workers);
        return launch(stream, what, convolve<count, T>, dim3((unsigned)(segments * forward.images.channel_blocks())),
                      dim3(threads), sizeof(Filters), forward);
    });
}

template <class T>
struct Backward {
    Images images;
    const T *x, *dy;
    int64_t x_row, dy_row;
    const float *weight, *bias;
    bool silu;
    T* dpre;  // (batch, pixels, channels), optional
    int64_t ranges, range_segments;
    float* sums;  // (ranges, taps + 1, channel blocks * block_channels)
};

template <int count>
struct BackwardShared {
    Filters filters;
    float sums[Worker<count>::workers][(taps + 1) * block_channels];
};

// dpre of a range of segments, and what they add to dweight (nine) and dbias.
template <int count, class T>
__global__ void __launch_bounds__(threads) filter_gradient(Backward<T> p) {
    using C = Channels<count>;
    auto& shared = shared_memory<BackwardShared<count>>();
    const int64_t channel_blocks = (p.images.channels + block_channels - 1) / block_channels;
    const int64_t first_channel = blockIdx.x % channel_blocks * block_channels, range = blockIdx.x / channel_blocks;
    shared.filters.fill(p.weight, p.bias, first_channel, p.images.channels, false);

    const int lane_channel = Worker<count>::lane_channel(), worker = Worker<count>::index();
    const int64_t channel = first_channel + lane_channel;
    C weight[taps], sums[taps + 1];
    for (int t = 0; t < taps; ++t) weight[t] = C::load(shared.filters.weight[t] + lane_channel);
    for (int t = 0; t <= taps; ++t) sums[t] = C::all(0);
    const C bias = C::load(shared.filters.bias + lane_channel);

    const int64_t end = (range + 1) * p.range_segments, all = p.images.all_segments();
    const int64_t last = channel >= p.images.channels ? 0 : end < all ? end : all;
    for (int64_t index = range * p.range_segments + worker; index < last; index += Worker<count>::workers) {
        const Segment<1> segment(p.images, index);
        const Lines<count, 1, T> lines(p.images, segment, p.x + channel, p.x_row);
        const int64_t pixel = segment.line * p.images.width + segment.x0;
        const T* dy = p.dy + pixel * p.dy_row + channel;
        T* dpre = p.dpre ? p.dpre + pixel * p.images.channels + channel : nullptr;
        C window[3][3];  // columns of pixels: those left of x, at x, right of it
        lines.at(segment.x0 - 1).unpack_to(window[0]);
        lines.at(segment.x0).unpack_to(window[1]);
        Column<count, 1, T> ahead = lines.at(segment.x0 + 1);
        auto dy_ahead = load_packed(dy, Width<count>{});
        for (int x = segment.x0; x < segment.x1; ++x) {
            ahead.unpack_to(window[2]);
            C d{unpack(dy_ahead)};
            if (x + 1 < segment.x1) {
                ahead = lines.at(x + 2);
                dy += p.dy_row;
                dy_ahead = load_packed(dy, Width<count>{});
            }
            if (p.silu) {
                C pre = bias;
                for (int t = 0; t < taps; ++t) pre = pre.plus(weight[t], window[t % 3][t / 3]);
                for (int i = 0; i < count; ++i) d.lane[i] *= silu_slope<T>(pre.lane[i]);
            }
            if (dpre) {
                d.store(dpre);
                dpre += p.images.channels;
            }
            for (int t = 0; t < taps; ++t) sums[t] = sums[t].plus(d, window[t % 3][t / 3]);
            sums[taps] = sums[taps].plus(d, C::all(1));
            for (int i = 0; i < 3; ++i) {
                window[0][i] = window[1][i];
                window[1][i] = window[2][i];
            }
        }
    }

    for (int t = 0; t <= taps; ++t) sums[t].store(shared.sums[worker] + t * block_channels + lane_channel);
    __syncthreads();
    for (int i = (int)threadIdx.x; i < (taps + 1) * block_channels; i += threads) {
        float sum = shared.sums[0][i];
        for (int other = 1; other < Worker<count>::workers; ++other) sum += shared.sums[other][i];
        const int64_t row = range * (taps + 1) + i / block_channels;
        p.sums[row * channel_blocks * block_channels + first_channel + i % block_channels] = sum;
    }
}

// dweight and dbias of 32 channels at one of the ten places: eight warps take every eighth range each.
constexpr int adding_warps = 8;

struct AddingShared {
    float sums[adding_warps][32];
};

__global__ void __launch_bounds__(adding_warps * 32)
    add_filter_gradients(const float* sums, int64_t ranges, int64_t channels, float* dweight, float* dbias) {
    auto& shared = shared_memory<AddingShared>();
    const int64_t channel_blocks = (channels + block_channels - 1) / block_channels;
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    const int64_t channel = blockIdx.x % channel_blocks * block_channels + lane, tap = blockIdx.x / channel_blocks;
    float sum = 0;
    for (int64_t range = warp; range < ranges; range += adding_warps)
        sum += sums[(range * (taps + 1) + tap) * channel_blocks * block_channels + channel];
    shared.sums[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || channel >= channels) return;
    for (int other = 1; other < adding_warps; ++other) sum += shared.sums[other][lane];
    if (tap < taps && dweight) dweight[channel * taps + tap] = sum;
    if (tap == taps && dbias) dbias[channel] = sum;
}

template <class T>
mm_status queue_filter_gradient(mm_stream* stream, const char* what, Backward<T> backward, float* dweight,
                                float* dbias) {
    const int64_t channel_blocks = backward.images.channel_blocks(), segments = backward.images.all_segments();
    const bool is_pair = vector_width(backward.images.channels, backward.x_row, backward.dy_row, backward.x,
                                      backward.dy) >= 2;
    const int64_t workers = is_pair ? Worker<2>::workers : Worker<1>::workers;
    const int64_t turns = ceil_div(segments, workers);  // segments that a worker would have if there were one block
    backward.range_segments = std::max<int64_t>(1, ceil_div(turns * channel_blocks, wanted_blocks)) * workers;
    backward.ranges = ceil_div(segments, backward.range_segments);
    const int64_t range_floats = (taps + 1) * channel_blocks * block_channels;
    const Workspace sums(stream, std::max<int64_t>(1, backward.ranges) * range_floats);
    if (sums.status() != MM_OK) return sums.status();
    backward.sums = sums.data();

    const dim3 grid((unsigned)(backward.ranges * channel_blocks));
    const auto queue = [&](auto kernel, size_t shared_bytes) {
        return launch(stream, what, kernel, grid, dim3(threads), shared_bytes, backward);
    };
    const mm_status status = is_pair ? queue(filter_gradient<2, T>, sizeof(BackwardShared<2>))
                                     : queue(filter_gradient<1, T>, sizeof(BackwardShared<1>));
    if (status != MM_OK || (!dweight && !dbias)) return status;
    return launch(stream, what, add_filter_gradients, dim3((unsigned)((taps + 1) * channel_blocks)),
                  dim3(adding_warps * 32), sizeof(AddingShared), backward.sums, backward.ranges,
                  backward.images.channels, dweight, dbias);
}

}  // namespace

mm_status depthwise3x3_forward(mm_stream* stream, const mm_depthwise3x3_forward_params* p) {
    if (p->batch <= 0 || p->height <= 0 || p->width <= 0 || p->channels <= 0) return MM_OK;
    const char* what = "depthwise3x3_forward";
    return with_storage(stream, what, p->x_dtype, [&](auto element) {
        using T = decltype(element);
        const Forward<T> forward{Images(p->batch, p->height, p->width, p->channels, lines_together), stored<T>(p->x),
                                 row_stride(p->x_row, p->channels), p->weight, p->bias, false, p->silu != 0,
                                 stored<T>(p->y), row_stride(p->y_row, p->channels)};
        return queue_convolve(stream, what, forward);
    });
}

namespace {

template <class T>
mm_status backward_of(mm_stream* stream, const mm_depthwise3x3_backward_params* p) {
    const char* what = "depthwise3x3_backward";
    if (p->channels <= 0) return MM_OK;
    const auto at_least_none = [](int64_t count) { return std::max<int64_t>(0, count); };
    const auto images_of = [&](int64_t lines) {
        return Images(at_least_none(p->batch), at_least_none(p->height), at_least_none(p->width), p->channels, lines);
    };
    const Images images = images_of(1);
    const int64_t elements = images.batch * images.height * images.width * images.channels;
    const T* dy = stored<T>(p->dy);
    const int64_t dy_row = row_stride(p->dy_row, p->channels);
    const bool keep_dpre = p->dx && p->silu && elements > 0;  // without SiLU, dpre is dy
    const Workspace dpre(stream, keep_dpre ? ceil_div(elements * (int64_t)sizeof(T), sizeof(float)) : 1);
    if (dpre.status() != MM_OK) return dpre.status();

    if (p->dweight || p->dbias || keep_dpre) {
        Backward<T> backward{images, stored<T>(p->x), dy, row_stride(p->x_row, p->channels), dy_row, p->weight,
                             p->bias, p->silu != 0, keep_dpre ? stored<T>(dpre.data()) : nullptr, 0, 0, nullptr};
        const mm_status status = queue_filter_gradient(stream, what, backward, p->dweight, p->dbias);
        if (status != MM_OK) return status;
    }
    if (!p->dx || elements == 0) return MM_OK;
    const Forward<T> forward{images_of(lines_together), keep_dpre ? stored<T>(dpre.data()) : dy, keep_dpre ? p->channels : dy_row,
                             p->weight, nullptr, true, false, stored<T>(p->dx), row_stride(p->dx_row, p->channels)};
    return queue_convolve(stream, what, forward);
}

}  // namespace

mm_status depthwise3x3_backward(mm_stream* stream, const mm_depthwise3x3_backward_params* p) {
    return with_storage(stream, "depthwise3x3_backward", p->x_dtype,
                        [&](auto element) { return backward_of<decltype(element)>(stream, p); });
}

}  // namespace medmamba::cuda
