// 3x3 convolution and the gradient of its input: a product of pixels with weights (tile.cuh, product.cuh).
//
//     y[pixel, o] = bias[o] + sum over tap, i of  f(x)[pixel + tap, i] * weight[o, i, tap]
//     dx[pixel, i] =          sum over tap, o of  dy[pixel - tap, o] * weight[o, i, tap]
//
// The second is the first with the roles of the channels exchanged and the taps mirrored, so both are one function
// that differs in how weights are packed. Rows of the product are the pixels of all images, its columns output
// channels, its k runs over the taps and within each over the channels, padded to chunks of 16 bytes. A row of A is
// never materialised: the thread that copies a chunk knows of each of its pixels where it lies and which taps fall
// inside the image (nine bits), and lets the copy write zeros for those that do not.
//
// Where f is not the identity, a chunk of float32 does not go by asynchronous copy but through the registers of its
// thread: loaded before the panel in front is multiplied, put through f and stored after that. So a BatchNorm costs a
// few instructions a chunk and no pass over memory, and padding is zero after f. For bfloat16 that would be twice the
// work of rounding as well, for each of the nine taps: there f is a pass of its own, and what it writes is half as
// wide. Hopper multiplies bfloat16 as product_sm90.cu does it.
#include <type_traits>

#include "conv3x3_input.cuh"
#include "matrix_operand.cuh"
#include "product.cuh"
#include "product_sm90.cuh"

namespace medmamba::cuda {

namespace {

template <class T, bool with_function>
struct Pixels {
    using Element = T;
    static constexpr bool k_along = true, is_direct = !with_function;
    ConvInput<T> input;

    template <class Chunks>
    class Address {
    public:
        __device__ __forceinline__ Address(const Pixels& operand, int64_t, int64_t row0, int64_t k0)
            : input_(operand.input) {
            const int k = (int)k0 + Chunks::offset();
            tap_ = k / input_.padded_channels;
            channel_ = k % input_.padded_channels;
            const int64_t pixel = row0 + Chunks::line(0);
            centre_ = input_.x + pixel * input_.row;
            const PixelPlace step = input_.image.place(Chunks::pass);
            PixelPlace place = input_.image.place(pixel);
#pragma unroll
            for (int j = 0; j < Chunks::count; ++j) {
                inside_[j] = pixel + j * Chunks::pass < input_.pixels ? taps_inside(place) : 0u;
                place = input_.image.after(place, step);
            }
        }

        __device__ __forceinline__ const T* from(int j) const {
            const int64_t tap = (tap_ / 3 - 1) * input_.image.width + tap_ % 3 - 1;  // in pixels
            return centre_ + (tap + j * Chunks::pass) * input_.row + channel_;
        }
        __device__ __forceinline__ bool is_inside(int j) const { return inside_[j] >> tap_ & 1; }
        __device__ __forceinline__ int count(int j) const { return is_inside(j) ? channels() : 0; }
        __device__ __forceinline__ int vector() const { return input_.vector; }
        __device__ __forceinline__ void advance() {
            channel_ += k_step<T>;
            for (; channel_ >= input_.padded_channels; channel_ -= input_.padded_channels) ++tap_;
        }
        __device__ __forceinline__ auto function() const { return ChunkFunction(input_, channel_, channels()); }

    private:
        __device__ __forceinline__ int channels() const {
            return tap_ < 9 ? chunk_count<T>(input_.channels - channel_) : 0;
        }
        __device__ __forceinline__ unsigned taps_inside(PixelPlace place) const {
            const auto [height, width] = input_.image;
            const unsigned columns = (place.x > 0 ? 1u : 0u) | 2u | (place.x + 1 < width ? 4u : 0u);
            return (place.y > 0 ? columns : 0u) | columns << 3 | (place.y + 1 < height ? columns : 0u) << 6;
        }

        const ConvInput<T>& input_;
        const T* centre_;                 // the first of the thread's pixels
        unsigned inside_[Chunks::count];  // bit t: tap t of the pixel is in the image
        int tap_, channel_;               // of the chunk that is next
    };
};

// weight[k * k_stride + n * n_stride + (mirrored ? 8 - tap : tap)], where k are the channels summed over, n those
// written
struct ConvWeight {
    const float* weight;
    int64_t k_channels, n_channels, k_stride, n_stride;
    bool mirrored;
};

constexpr int pack_n = 32, pack_threads = 9 * pack_n;

template <int pack_k>
struct PackShared {
    float weight[pack_n][pack_k * 9 + 1];  // an odd distance, so that the threads of a column read different banks
};

// (tap, padded k, padded n), zeros in the padding. A block turns a chunk x 32 channels over in shared memory: it
// reads runs of 9 pack_k or 9 pack_n floats, whichever lie together, and writes rows of 32.
template <class T>
__global__ void __launch_bounds__(pack_threads) pack_weights(ConvWeight w, int64_t padded_k, int64_t padded_n,
                                                             T* packed) {
    constexpr int pack_k = chunk<T>;
    auto& shared = shared_memory<PackShared<pack_k>>();
    const int64_t blocks_of_n = (padded_n + pack_n - 1) / pack_n;
    const int64_t k0 = blockIdx.x / blocks_of_n * pack_k, n0 = blockIdx.x % blocks_of_n * pack_n;
    const bool k_together = w.k_stride < w.n_stride;
    for (int i = (int)threadIdx.x; i < pack_k * pack_n * 9; i += pack_threads) {
        const int tap = i % 9, channel = i / 9;
        const int k = k_together ? channel % pack_k : channel / pack_n;
        const int n = k_together ? channel / pack_k : channel % pack_n;
        const bool inside = k0 + k < w.k_channels && n0 + n < w.n_channels;
        shared.weight[n][k * 9 + tap] = inside ? w.weight[(k0 + k) * w.k_stride + (n0 + n) * w.n_stride + tap] : 0.0f;
    }
    __syncthreads();
    const int n = (int)threadIdx.x % pack_n, tap = (int)threadIdx.x / pack_n;
    const int from_tap = w.mirrored ? 8 - tap : tap;
    if (n0 + n >= padded_n) return;
    for (int k = 0; k < pack_k; ++k)
        packed[(tap * padded_k + k0 + k) * padded_n + n0 + n] = rounded<T>(shared.weight[n][k * 9 + from_tap]);
}

template <class T>
mm_status convolve(mm_stream* stream, const char* what, const ConvInput<T>& input, const ConvWeight& weight,
                   const Epilogue& epilogue) {
    if constexpr (std::is_same_v<T, BFloat16>) {
        const auto [height, width] = input.image;
        const auto rows = PixelRows::of_images(input.data(), input.row, input.channels, width, height,
                                               input.pixels / ((int64_t)height * width));
        if (fits_sm90(stream, rows))
            return multiply_sm90(stream, what, rows,
                                 {weight.weight, MM_FLOAT32, weight.k_channels, 9, weight.n_channels, 1, weight.k_stride,
                                  weight.n_stride, 0, weight.mirrored},
                                 epilogue);
    }
    constexpr int pack_k = chunk<T>;
    const int64_t padded_k = input.padded_channels, padded_n = ceil_div(weight.n_channels, chunk<T>) * chunk<T>;
    const Workspace packed(stream, 9 * padded_k * padded_n * (int64_t)sizeof(T) / (int64_t)sizeof(float));
    if (packed.status() != MM_OK) return packed.status();
    const dim3 blocks((unsigned)(padded_k / pack_k * ceil_div(padded_n, pack_n)));
    const mm_status status = launch(stream, what, pack_weights<T>, blocks, dim3(pack_threads),
                                    sizeof(PackShared<pack_k>), weight, padded_k, padded_n, stored<T>(packed.data()));
    if (status != MM_OK) return status;
    const int64_t k = 9 * padded_k;
    const Matrix<T, T, false> b(packed.data(), padded_n, 0, padded_n, k);
    if constexpr (std::is_same_v<T, float>) {
        if (input.has_function()) return multiply<true>(stream, what, 1, k, Pixels<T, true>{input}, b, epilogue);
    }
    return multiply<true>(stream, what, 1, k, Pixels<T, false>{input}, b, epilogue);
}

}  // namespace

mm_status conv3x3_forward(mm_stream* stream, const mm_conv3x3_forward_params* p) {
    if (p->batch <= 0 || p->height <= 0 || p->width <= 0 || p->in_channels <= 0 || p->out_channels <= 0) return MM_OK;
    const char* what = "conv3x3_forward";
    const int64_t pixels = p->batch * p->height * p->width;
    const StoredRows x{p->x, p->x_dtype, row_stride(p->x_row, p->in_channels), 0, 1, pixels, p->in_channels,
                       p->input_scale, p->input_shift, p->input_relu != 0};
    const ConvWeight weight{p->weight, p->in_channels, p->out_channels, 9, 9 * p->in_channels, false};
    const Epilogue epilogue{p->y, p->y_dtype, row_stride(p->y_row, p->out_channels), 0, pixels, p->out_channels, p->bias,
                        false, p->relu != 0, p->output_scale, p->output_shift, {p->moments}};
    return with_input(stream, what, p->batch, p->height, p->width, x, MM_FLOAT32,
                      [&](const auto& input) { return convolve(stream, what, input, weight, epilogue); });
}

mm_status conv3x3_backward_data(mm_stream* stream, const mm_conv3x3_backward_data_params* p) {
    if (p->batch <= 0 || p->height <= 0 || p->width <= 0 || p->in_channels <= 0 || p->out_channels <= 0) return MM_OK;
    const char* what = "conv3x3_backward_data";
    const int64_t pixels = p->batch * p->height * p->width;
    const StoredRows dy{p->dy, p->y_dtype, row_stride(p->dy_row, p->out_channels), 0, 1, pixels, p->out_channels};
    const ConvWeight weight{p->weight, p->out_channels, p->in_channels, 9 * p->in_channels, 9, true};
    Epilogue epilogue{p->dx, p->x_dtype, row_stride(p->dx_row, p->in_channels), 0, pixels, p->in_channels};
    epilogue.moments = moments_of(p->moments, p->in_channels);
    return with_input(stream, what, p->batch, p->height, p->width, dy, MM_FLOAT32,
                      [&](const auto& input) { return convolve(stream, what, input, weight, epilogue); });
}

}  // namespace medmamba::cuda
