// The end of the block in one pass: left and right halves interleaved channel by channel, plus the input.
//
// Rows are dense and a row has twice the channels of a half, so pair j of an image's halves, counted over all
// its pixels, is channels 2j and 2j + 1 of the whole: rows play no part, only the image does (for DropPath).
// A thread weaves four pairs, which share a factor and so are of one image: 16 bytes of each half (8 of bfloat16), 32 of
// the whole. Bound by memory.
#include "each_vector.cuh"

namespace medmamba::cuda {

namespace {

__device__ __forceinline__ float scale_of(const float* path_scale, int64_t pair, int64_t pairs_per_image) {
    return path_scale ? path_scale[pair / pairs_per_image] : 1.0f;
}

// Of `width` pairs, the first and the second `width` floats of the woven side.
template <int width>
__device__ __forceinline__ float& woven(Floats<width> (&whole)[2], int place) {
    return whole[place / width].lane[place % width];
}

template <class Branch>
__global__ void __launch_bounds__(threads_per_block)
forward_kernel(mm_shuffle_residual_forward_params p, int64_t pairs_per_image, bool vectorized) {
    each_vector(p.batch * pairs_per_image, vectorized, [&](int64_t i, auto width) {
        constexpr int pairs = decltype(width)::value;
        const float path_scale = scale_of(p.path_scale, i, pairs_per_image);
        const auto left = load(stored<Branch>(p.left) + i, width), right = load(stored<Branch>(p.right) + i, width);
        Floats<pairs> whole[2] = {load(p.x + 2 * i, width), load(p.x + 2 * i + pairs, width)};
        for (int j = 0; j < pairs; ++j) {
            woven(whole, 2 * j) += left.lane[j];
            woven(whole, 2 * j + 1) += right.lane[j] * path_scale;
        }
        store(p.y + 2 * i, whole[0]);
        store(p.y + 2 * i + pairs, whole[1]);
    });
}

template <class Branch>
__global__ void __launch_bounds__(threads_per_block)
backward_kernel(mm_shuffle_residual_backward_params p, int64_t pairs_per_image, bool vectorized) {
    each_vector(p.batch * pairs_per_image, vectorized, [&](int64_t i, auto width) {
        constexpr int pairs = decltype(width)::value;
        const float path_scale = scale_of(p.path_scale, i, pairs_per_image);
        Floats<pairs> whole[2] = {load(p.dy + 2 * i, width), load(p.dy + 2 * i + pairs, width)};
        auto left = load(stored<Branch>(p.left) + i, width), right = left;
        for (int j = 0; j < pairs; ++j) {
            left.lane[j] = left.lane[j] > 0.0f ? woven(whole, 2 * j) : 0.0f;
            right.lane[j] = woven(whole, 2 * j + 1) * path_scale;
        }
        store(p.dx + 2 * i, whole[0]);
        store(p.dx + 2 * i + pairs, whole[1]);
        store(stored<Branch>(p.dleft) + i, left);
        store(stored<Branch>(p.dright) + i, right);
    });
}

mm_status check_channels(mm_stream* stream, int64_t channels) {
    if (channels % 2 == 0) return MM_OK;
    return stream->fail(MM_INVALID_ARGUMENT, "shuffle_residual: %lld channels do not split in two halves",
                        (long long)channels);
}

}  // namespace

mm_status shuffle_residual_forward(mm_stream* stream, const mm_shuffle_residual_forward_params* params) {
    const mm_status status = check_channels(stream, params->channels);
    if (status != MM_OK) return status;
    const int64_t pairs = params->pixels * (params->channels / 2);
    const bool vectorized = vector_width(params->path_scale ? pairs : 0, params->left, params->right, params->x,
                                         params->y) >= 4;
    const char* what = "shuffle_residual_forward";
    return with_storage(stream, what, params->branch_dtype, [&](auto branch) {
        return launch(stream, what, forward_kernel<decltype(branch)>,
                      blocks_for_elements(stream, params->batch * pairs, vectorized), threads_per_block, 0, *params,
                      pairs, vectorized);
    });
}

mm_status shuffle_residual_backward(mm_stream* stream, const mm_shuffle_residual_backward_params* params) {
    const mm_status status = check_channels(stream, params->channels);
    if (status != MM_OK) return status;
    const int64_t pairs = params->pixels * (params->channels / 2);
    const bool vectorized = vector_width(params->path_scale ? pairs : 0, params->left, params->dy, params->dleft,
                                         params->dright, params->dx) >= 4;
    const char* what = "shuffle_residual_backward";
    return with_storage(stream, what, params->branch_dtype, [&](auto branch) {
        return launch(stream, what, backward_kernel<decltype(branch)>,
                      blocks_for_elements(stream, params->batch * pairs, vectorized), threads_per_block, 0, *params,
                      pairs, vectorized);
    });
}

}  // namespace medmamba::cuda
