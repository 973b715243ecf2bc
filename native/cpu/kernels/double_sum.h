// Long sums of floats, kept in double and taken in an order that depends on the count alone.
//
// A loss or a gradient norm adds up to 10^8 floats: in float the last of them would be lost. The sum is cut in
// ranges of fixed size, a range is one task, and the ranges' sums are added one after the other.
#pragma once

#include "each_vector.h"

namespace medmamba::cpu::MM_SIMD {

// Two registers of doubles take one register of floats.
struct DoubleSum {
    typedef double vdouble __attribute__((vector_size(lanes * 4)));
    vdouble low{}, high{};

    void add(vfloat v) {
        low += low_half(v);
        high += high_half(v);
    }
    // The product of two floats is exact in double.
    void add_product(vfloat a, vfloat b) {
        low += low_half(a) * low_half(b);
        high += high_half(a) * high_half(b);
    }
    double total() const {
        const vdouble both = low + high;
        double sum = 0.0;
        for (int i = 0; i < lanes / 2; ++i) sum += both[i];
        return sum;
    }

private:
#if defined(__AVX512F__)
    static vdouble low_half(vfloat v) { return (vdouble)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)v)); }
    static vdouble high_half(vfloat v) { return (vdouble)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)v, 1)); }
#elif defined(__AVX2__)
    static vdouble low_half(vfloat v) { return (vdouble)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)v)); }
    static vdouble high_half(vfloat v) { return (vdouble)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)v, 1)); }
#else
    static vdouble low_half(vfloat v) { return vdouble{v[0], v[1]}; }
    static vdouble high_half(vfloat v) { return vdouble{v[2], v[3]}; }
#endif
};

// The sum over ranges of at most `grain` of [0, count) of range_sum(first, last).
template <class RangeSum>
double ordered_sum(mm_stream* stream, int64_t count, int64_t grain, RangeSum&& range_sum) {
    const int64_t ranges = ceil_div(count, grain);
    double* sums = stream->scratch.take<double>(ranges);
    parallel_ranges(stream, count, grain,
                    [&](int64_t first, int64_t last, int) { sums[first / grain] = range_sum(first, last); });
    double total = 0.0;
    for (int64_t range = 0; range < ranges; ++range) total += sums[range];
    return total;
}

}  // namespace medmamba::cpu::MM_SIMD
