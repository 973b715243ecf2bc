// Conversions between the five dtypes. The loops are plain, and the compiler vectorises them.
//
// To an integer a float is truncated; where its value has no place in the integer it becomes the nearest that
// has, and NaN becomes 0, so that the result does not depend on the processor. Integers among themselves keep
// their low bits. bfloat16 is the upper half of a float32, rounded to nearest even.
#include <cstring>
#include <limits>
#include <type_traits>

#include "../../backend/dtype.h"
#include "each_vector.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

struct BFloat16 {
    uint16_t upper;
};

inline float to_float(BFloat16 x) {
    const uint32_t word = (uint32_t)x.upper << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
}

inline BFloat16 to_bfloat16(float x) {
    uint32_t word;
    std::memcpy(&word, &x, sizeof word);
    const uint32_t rounded = word + 0x7fff + ((word >> 16) & 1);
    const bool nan = (word & 0x7fffffff) > 0x7f800000;
    return {(uint16_t)((nan ? word | 0x00400000 : rounded) >> 16)};
}

template <class Integer>
inline Integer truncate(float x) {
    using Limits = std::numeric_limits<Integer>;
    // 255 is a float. 2^31 - 1 and 2^63 - 1 are not: the largest float that fits is the one below 2^31 or 2^63.
    constexpr float low = (float)Limits::min(), high = (float)Limits::max();
    constexpr bool exact = std::is_same_v<Integer, uint8_t>;
    constexpr float fits = exact ? high : high * (1.0f - 1.0f / 16777216.0f);
    float inside = x == x ? x : 0.0f;
    inside = inside < low ? low : inside;
    inside = inside > fits ? fits : inside;
    const Integer value = (Integer)inside;
    return x > fits ? Limits::max() : value;
}

template <class To, class From>
inline To convert(From x) {
    if constexpr (std::is_same_v<From, BFloat16>) {
        return convert<To>(to_float(x));
    } else if constexpr (std::is_same_v<To, BFloat16>) {
        return to_bfloat16((float)x);
    } else if constexpr (std::is_same_v<From, float> && std::is_integral_v<To>) {
        return truncate<To>(x);
    } else {
        return (To)x;
    }
}

template <class To, class From>
mm_status cast_pair(mm_stream* stream, const mm_cast_params* params) {
    parallel_ranges(stream, params->count, elements_per_task, [&](int64_t first, int64_t last, int) {
        const From* x = static_cast<const From*>(params->x);
        To* __restrict y = static_cast<To*>(params->y);
        if constexpr (std::is_same_v<To, From>) {
            std::memcpy(y + first, x + first, (size_t)(last - first) * sizeof(To));
        } else {
            for (int64_t i = first; i < last; ++i) y[i] = convert<To>(x[i]);
        }
    });
    return MM_OK;
}

}  // namespace

mm_status cast(mm_stream* stream, const mm_cast_params* params) {
    return visit_dtype<BFloat16>(stream, "cast", params->x_dtype, [&](auto from) {
        return visit_dtype<BFloat16>(stream, "cast", params->y_dtype, [&](auto to) {
            return cast_pair<decltype(to), decltype(from)>(stream, params);
        });
    });
}

}  // namespace medmamba::cpu::MM_SIMD
