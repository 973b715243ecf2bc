// The end of the block in one pass: left and right halves interleaved channel by channel, plus the input.
//
// Rows are dense and a row has twice the channels of a half, so pair j of an image's halves, counted over all
// its pixels, is channels 2j and 2j + 1 of the whole: rows play no part, only the image does (for DropPath).
// Two vectors are woven into two by one shuffle each.
#include <utility>

#include "each_vector.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Lane numbers of shuffled(a, b, ...): those of b follow those of a.
template <int... lane>
using Lanes = std::integer_sequence<int, lane...>;
template <int... lane>
constexpr Lanes<(lane / 2 + lane % 2 * lanes)...> low_pairs(Lanes<lane...>) { return {}; }  // a0 b0 a1 b1 ...
template <int... lane>
constexpr Lanes<(lanes / 2 + lane / 2 + lane % 2 * lanes)...> high_pairs(Lanes<lane...>) { return {}; }
template <int... lane>
constexpr Lanes<2 * lane...> evens(Lanes<lane...>) { return {}; }
template <int... lane>
constexpr Lanes<2 * lane + 1 ...> odds(Lanes<lane...>) { return {}; }
using AllLanes = std::make_integer_sequence<int, lanes>;

template <int... lane>
inline vfloat shuffled(vfloat a, vfloat b, Lanes<lane...>) {
    return __builtin_shufflevector(a, b, lane...);
}

inline vfloat weave_low(vfloat a, vfloat b) { return shuffled(a, b, low_pairs(AllLanes{})); }
inline vfloat weave_high(vfloat a, vfloat b) { return shuffled(a, b, high_pairs(AllLanes{})); }
inline vfloat even_of(vfloat a, vfloat b) { return shuffled(a, b, evens(AllLanes{})); }
inline vfloat odd_of(vfloat a, vfloat b) { return shuffled(a, b, odds(AllLanes{})); }

// Of `part` pairs, the floats that fall in the first and in the second vector of the woven side.
inline Whole first_half(Whole) { return {}; }
inline Whole second_half(Whole) { return {}; }
inline Part first_half(Part part) { return {std::min<int64_t>(lanes, 2 * part.count)}; }
inline Part second_half(Part part) { return {std::max<int64_t>(0, 2 * part.count - lanes)}; }

// Calls pairs(first, count, scale) for runs of pairs that lie in one image.
template <class Pairs>
void each_run(mm_stream* stream, int64_t batch, int64_t pairs_per_image, const float* path_scale, Pairs&& pairs) {
    parallel_ranges(stream, batch * pairs_per_image, elements_per_task / 2, [&](int64_t first, int64_t last, int) {
        while (first < last) {
            const int64_t image = first / pairs_per_image;
            const int64_t end = std::min(last, (image + 1) * pairs_per_image);
            pairs(first, end - first, broadcast(path_scale ? path_scale[image] : 1.0f));
            first = end;
        }
    });
}

}  // namespace

mm_status shuffle_residual_forward(mm_stream* stream, const mm_shuffle_residual_forward_params* params) {
    if (params->channels % 2 != 0) {
        return stream->fail(MM_INVALID_ARGUMENT, "shuffle_residual: %lld channels do not split in two halves",
                            (long long)params->channels);
    }
    each_run(stream, params->batch, params->pixels * (params->channels / 2), params->path_scale,
             [&](int64_t first, int64_t count, vfloat path_scale) {
        const float *left = params->left + first, *right = params->right + first, *x = params->x + 2 * first;
        float* y = params->y + 2 * first;
        each_vector(count, [&](int64_t i, auto part) {
            const auto low = first_half(part);
            const auto high = second_half(part);
            const vfloat a = load(left + i, part), b = load(right + i, part) * path_scale;
            store(y + 2 * i, weave_low(a, b) + load(x + 2 * i, low), low);
            store(y + 2 * i + lanes, weave_high(a, b) + load(x + 2 * i + lanes, high), high);
        });
    });
    return MM_OK;
}

mm_status shuffle_residual_backward(mm_stream* stream, const mm_shuffle_residual_backward_params* params) {
    if (params->channels % 2 != 0) {
        return stream->fail(MM_INVALID_ARGUMENT, "shuffle_residual: %lld channels do not split in two halves",
                            (long long)params->channels);
    }
    each_run(stream, params->batch, params->pixels * (params->channels / 2), params->path_scale,
             [&](int64_t first, int64_t count, vfloat path_scale) {
        const float *left = params->left + first, *dy = params->dy + 2 * first;
        float *dleft = params->dleft + first, *dright = params->dright + first, *dx = params->dx + 2 * first;
        each_vector(count, [&](int64_t i, auto part) {
            const auto low = first_half(part);
            const auto high = second_half(part);
            const vfloat a = load(dy + 2 * i, low), b = load(dy + 2 * i + lanes, high);
            store(dx + 2 * i, a, low);
            store(dx + 2 * i + lanes, b, high);
            store(dleft + i, load(left + i, part) > 0.0f ? even_of(a, b) : vfloat{}, part);
            store(dright + i, odd_of(a, b) * path_scale, part);
        });
    });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
