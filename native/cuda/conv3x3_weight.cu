// Gradient of the weights of a 3x3 convolution: a sum over all pixels.
//
//     dweight[o, i, tap] = sum over pixels of  f(x)[pixel + tap, i] * dy[pixel, o],   dbias[o] = sum of dy[pixel, o]
//
// As a product (tile.cuh, product.cuh), rows are (tap, i) with i padded to chunks of 16 bytes, columns o, and k the
// pixels of all images: both operands have k across their lines, so chunks of channels are what is copied. A thread
// copies the same chunk of channels for the same tap throughout and walks down the pixels, counting their place in
// the image along. Where f is not the identity chunks of float32 pass through registers, as in conv3x3.cu.
//
// The weights are few and the pixels many: product.cuh cuts the pixels into ranges. Their sums are added in order by
// a kernel that also turns (tap, i, o) into PyTorch's (o, i, tap), 32 x 4 channels a block, over in shared memory.
#include <type_traits>

#include "conv3x3_input.cuh"
#include "matrix_operand.cuh"
#include "product.cuh"

namespace medmamba::cuda {

namespace {

template <class T, bool with_function>
struct ShiftedPixels {
    using Element = T;
    static constexpr bool k_along = false, is_direct = !with_function;
    ConvInput<T> input;

    template <class Chunks>
    class Address {
    public:
        __device__ __forceinline__ Address(const ShiftedPixels& operand, int64_t, int64_t row0, int64_t k0)
            : input_(operand.input) {
            const int row = (int)row0 + Chunks::offset();
            const int tap = row / input_.padded_channels, channel = row % input_.padded_channels;
            channels_ = tap < 9 ? chunk_count<T>(input_.channels - channel) : 0;
            down_ = tap / 3 - 1;
            right_ = tap % 3 - 1;
            const int64_t pixel = k0 + Chunks::line(0);
            pixels_left_ = input_.pixels - pixel;
            from_ = input_.x + (pixel + (int64_t)down_ * input_.image.width + right_) * input_.row + channel;
            step_ = input_.image.place(k_step<T>);
            const PixelPlace pass = input_.image.place(Chunks::pass);
            places_[0] = input_.image.place(pixel);
#pragma unroll
            for (int j = 1; j < Chunks::count; ++j) places_[j] = input_.image.after(places_[j - 1], pass);
            find_inside();
            if constexpr (with_function) function_ = ChunkFunction(input_, channel, channels_);
        }

        __device__ __forceinline__ const T* from(int j) const { return from_ + j * Chunks::pass * input_.row; }
        __device__ __forceinline__ bool is_inside(int j) const { return inside_ >> j & 1; }
        __device__ __forceinline__ int count(int j) const { return is_inside(j) ? channels_ : 0; }
        __device__ __forceinline__ int vector() const { return input_.vector; }
        __device__ __forceinline__ void advance() {
            from_ += k_step<T> * input_.row;
            pixels_left_ -= k_step<T>;
#pragma unroll
            for (int j = 0; j < Chunks::count; ++j) places_[j] = input_.image.after(places_[j], step_);
            find_inside();
        }
        __device__ __forceinline__ const ChunkFunction& function() const { return function_; }

    private:
        __device__ __forceinline__ void find_inside() {
            inside_ = 0;
#pragma unroll
            for (int j = 0; j < Chunks::count; ++j)
                if (j * Chunks::pass < pixels_left_ &&
                    input_.image.contains(places_[j].x + right_, places_[j].y + down_))
                    inside_ |= 1u << j;
        }

        const ConvInput<T>& input_;
        const T* from_;
        int64_t pixels_left_;
        unsigned inside_;              // bit j: the pixel of chunk j is in an image, and so is its tap
        int channels_, down_, right_;  // of the thread's chunks: how many channels there are, and the tap
        PixelPlace step_, places_[Chunks::count];
        ChunkFunction function_;
    };
};

constexpr int transpose_i = 4, transpose_o = 32, transpose_threads = 9 * transpose_o;

struct TransposeShared {
    float weight[transpose_o][transpose_i * 9 + 1];  // an odd distance, so that the threads of a column write different banks
};

// dweight[o, i, tap] = sum over ranges of sums[range, tap, i, o]
__global__ void __launch_bounds__(transpose_threads) write_weights(const float* sums, int64_t ranges,
                                                              int64_t padded_channels, int64_t in_channels,
                                                              int64_t out_channels, float* dweight) {
    auto& shared = shared_memory<TransposeShared>();
    const int64_t blocks_of_o = (out_channels + transpose_o - 1) / transpose_o;
    const int64_t i0 = blockIdx.x / blocks_of_o * transpose_i, o0 = blockIdx.x % blocks_of_o * transpose_o;
    const int64_t range_floats = 9 * padded_channels * out_channels;
    const int o = (int)threadIdx.x % transpose_o, tap = (int)threadIdx.x / transpose_o;
    for (int i = 0; i < transpose_i && o0 + o < out_channels; ++i) {
        const float* from = sums + (tap * padded_channels + i0 + i) * out_channels + o0 + o;
        float sum = from[0];
        for (int64_t range = 1; range < ranges; ++range) sum += from[range * range_floats];
        shared.weight[o][i * 9 + tap] = sum;
    }
    __syncthreads();
    for (int index = (int)threadIdx.x; index < transpose_o * transpose_i * 9; index += transpose_threads) {
        const int row = index / (transpose_i * 9), place = index % (transpose_i * 9);
        if (o0 + row < out_channels && i0 + place / 9 < in_channels)
            dweight[((o0 + row) * in_channels + i0) * 9 + place] = shared.weight[row][place];
    }
}

// Sums over a range of pixels of 32 channels of dy: eight warps take every eighth pixel each.
constexpr int bias_rows = 8;
constexpr int64_t bias_range = 1024;

struct BiasShared {
    float sums[bias_rows][32];
};

template <class T>
__global__ void __launch_bounds__(bias_rows * 32) sum_bias(const T* dy, int64_t dy_row, int64_t pixels,
                                                           int64_t channels, float* sums) {
    auto& shared = shared_memory<BiasShared>();
    const int64_t blocks = (channels + 31) / 32, range = blockIdx.x / blocks;
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    const int64_t channel = blockIdx.x % blocks * 32 + lane, first = range * bias_range;
    const int64_t last = first + bias_range < pixels ? first + bias_range : pixels;
    float sum = 0;
    if (channel < channels)
        for (int64_t pixel = first + warp; pixel < last; pixel += bias_rows)
            sum += to_float(dy[pixel * dy_row + channel]);
    shared.sums[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || channel >= channels) return;
    for (int other = 1; other < bias_rows; ++other) sum += shared.sums[other][lane];
    sums[range * channels + channel] = sum;
}

mm_status bias_gradient(mm_stream* stream, const char* what, const mm_conv3x3_backward_weight_params* p,
                        int64_t pixels) {
    const int64_t ranges = ceil_div(pixels, bias_range), channels = p->out_channels;
    const Workspace sums(stream, ranges * channels);
    if (sums.status() != MM_OK) return sums.status();
    const mm_status status = with_storage(stream, what, p->y_dtype, [&](auto element) {
        using T = decltype(element);
        return launch(stream, what, sum_bias<T>, dim3((unsigned)(ranges * ceil_div(channels, 32))),
                      dim3(bias_rows * 32), sizeof(BiasShared), stored<T>(p->dy), row_stride(p->dy_row, channels),
                      pixels, channels, sums.data());
    });
    const Epilogue epilogue = partial_sums(p->dbias, 1, channels);
    return status == MM_OK ? add_ranges(stream, what, sums.data(), ranges, 1, epilogue) : status;
}

// sums (ranges of the cut, 9, padded channels of x, channels of dy), and from them dweight.
template <class T>
mm_status weight_gradient(mm_stream* stream, const char* what, const ConvInput<T>& input,
                          const Matrix<T, T, false>& dy, float* dweight) {
    const int64_t in_channels = input.channels, out_channels = dy.rows, rows = 9 * (int64_t)input.padded_channels;
    const Cut cut = cut_product(1, rows, out_channels, input.pixels, k_step<T>);
    const Workspace sums(stream, cut.ranges * rows * out_channels);
    if (sums.status() != MM_OK) return sums.status();
    const Epilogue partial = partial_sums(sums.data(), rows, out_channels);
    const auto with = [&](auto pixels) { return multiply_cut<false>(stream, what, cut, pixels, dy, partial); };
    const auto with_function = [&] {
        if constexpr (std::is_same_v<T, float>) return with(ShiftedPixels<T, true>{input});
        return MM_INTERNAL;  // it has been applied already
    };
    const mm_status status = input.has_function() ? with_function() : with(ShiftedPixels<T, false>{input});
    if (status != MM_OK) return status;
    const int64_t blocks = ceil_div(in_channels, transpose_i) * ceil_div(out_channels, transpose_o);
    return launch(stream, what, write_weights, dim3((unsigned)blocks), dim3(transpose_threads), sizeof(TransposeShared),
                  sums.data(), cut.ranges, (int64_t)input.padded_channels, in_channels, out_channels, dweight);
}

mm_status weight_gradient(mm_stream* stream, const char* what, const mm_conv3x3_backward_weight_params* p) {
    const int64_t pixels = p->batch * p->height * p->width, dy_row = row_stride(p->dy_row, p->out_channels);
    const StoredRows x{p->x, p->x_dtype, row_stride(p->x_row, p->in_channels), 0, 1, pixels, p->in_channels,
                       p->input_scale, p->input_shift, p->input_relu != 0};
    return with_input(stream, what, p->batch, p->height, p->width, x, p->y_dtype, [&](const auto& input) {
        using T = typename std::decay_t<decltype(input)>::Element;
        if constexpr (std::is_same_v<T, float>) {
            return weight_gradient(stream, what, input,
                                   Matrix<T, T, false>(p->dy, dy_row, 0, p->out_channels, pixels), p->dweight);
        } else {
            const BFloat16Rows dy(stream, what, {p->dy, p->y_dtype, dy_row, 0, 1, pixels, p->out_channels});
            if (dy.status() != MM_OK) return dy.status();
            return weight_gradient(stream, what, input,
                                   Matrix<T, T, false>(dy.data(), dy.row(), 0, p->out_channels, pixels), p->dweight);
        }
    });
}

}  // namespace

mm_status conv3x3_backward_weight(mm_stream* stream, const mm_conv3x3_backward_weight_params* p) {
    const char* what = "conv3x3_backward_weight";
    const int64_t in_channels = p->in_channels, out_channels = p->out_channels;
    if (in_channels <= 0 || out_channels <= 0) return MM_OK;
    if (p->batch <= 0 || p->height <= 0 || p->width <= 0) {  // a sum of nothing
        const auto zero = [&](float* values, int64_t count) {
            return stream->check(cudaMemsetAsync(values, 0, (size_t)count * sizeof(float), stream->stream), what);
        };
        const mm_status status = zero(p->dweight, out_channels * in_channels * 9);
        return status == MM_OK && p->dbias ? zero(p->dbias, out_channels) : status;
    }
    const mm_status status = weight_gradient(stream, what, p);
    return status == MM_OK && p->dbias ? bias_gradient(stream, what, p, p->batch * p->height * p->width) : status;
}

}  // namespace medmamba::cuda
