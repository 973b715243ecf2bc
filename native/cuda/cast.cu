// Conversions between the five dtypes, a thread an element: threads beside each other touch elements beside each
// other, so that the wider of the two sides goes through memory in whole lines. Bound by memory.
//
// To an integer a float is truncated; where its value has no place in the integer it becomes the nearest that
// has, and NaN becomes 0, as on the CPU. Integers among themselves keep their low bits. bfloat16 is the upper half
// of a float32, rounded to nearest even.
#include <cstring>
#include <limits>
#include <type_traits>

#include "../backend/dtype.h"
#include "each_vector.cuh"

namespace medmamba::cuda {

namespace {

// As rounded<BFloat16>(x), but a NaN keeps its upper bits, as on the CPU.
__device__ __forceinline__ BFloat16 to_bfloat16(float x) {
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    const uint32_t rounded = word + 0x7fff + ((word >> 16) & 1);
    const bool nan = (word & 0x7fffffff) > 0x7f800000;
    return {(uint16_t)((nan ? word | 0x00400000 : rounded) >> 16)};
}

template <class Integer>
struct Range {
    static constexpr Integer lowest = std::numeric_limits<Integer>::min();
    static constexpr Integer highest = std::numeric_limits<Integer>::max();
    // 255 is a float. 2^31 - 1 and 2^63 - 1 are not: the first float that does not fit is 2^31 or 2^63.
    static constexpr float low = (float)lowest;
    static constexpr float beyond = std::is_same_v<Integer, uint8_t> ? 256.0f : (float)highest;
};

template <class Integer>
__device__ __forceinline__ Integer truncate(float x) {
    if (!(x == x)) return 0;
    if (x <= Range<Integer>::low) return Range<Integer>::lowest;
    if (x >= Range<Integer>::beyond) return Range<Integer>::highest;
    return (Integer)x;
}

template <class To, class From>
__device__ __forceinline__ To convert(From x) {
    if constexpr (std::is_same_v<To, From>) {
        return x;
    } else if constexpr (std::is_same_v<From, BFloat16>) {
        return convert<To>(to_float(x));
    } else if constexpr (std::is_same_v<To, BFloat16>) {
        return to_bfloat16((float)x);
    } else if constexpr (std::is_same_v<From, float>) {
        return truncate<To>(x);
    } else {
        return (To)x;
    }
}

template <class To, class From>
__global__ void __launch_bounds__(threads_per_block) cast_kernel(int64_t count, const From* x, To* y) {
    const int64_t threads = threads_of_grid();
    for (int64_t i = thread_of_grid(); i < count; i += threads) y[i] = convert<To>(x[i]);
}

template <class To, class From>
mm_status cast_pair(mm_stream* stream, const mm_cast_params* params) {
    return launch(stream, "cast", cast_kernel<To, From>, blocks_for_pass(stream, params->count), threads_per_block, 0,
                  params->count, static_cast<const From*>(params->x), static_cast<To*>(params->y));
}

}  // namespace

mm_status cast(mm_stream* stream, const mm_cast_params* params) {
    return visit_dtype<BFloat16>(stream, "cast", params->x_dtype, [&](auto from) {
        return visit_dtype<BFloat16>(stream, "cast", params->y_dtype, [&](auto to) {
            return cast_pair<decltype(to), decltype(from)>(stream, params);
        });
    });
}

}  // namespace medmamba::cuda
