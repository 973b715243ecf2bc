// One register of floats, whatever its width, over the compiler's vector extensions.
//
// A kernel file is compiled once for each level (portable; AVX2 and AVX-512; NEON) with that level's flags; everything
// that depends on the width lives in the namespace `medmamba::cpu::MM_SIMD`, so that the copies do not
// collide. Kernels write `a * b + c` and let the compiler contract it to a fused multiply-add where there is
// one: results of different levels agree to rounding, results of one level agree to the bit.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#define MM_SIMD avx512
#include <immintrin.h>
#elif defined(__AVX2__)
#define MM_SIMD avx2
#include <immintrin.h>
#elif defined(MM_NEON)  // which every 64-bit ARM has: there is no flag to tell it by
#define MM_SIMD neon
#include <arm_neon.h>
#else
#define MM_SIMD portable
#endif

namespace medmamba::cpu::MM_SIMD {

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX2__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif

typedef float vfloat __attribute__((vector_size(lanes * 4)));
typedef int32_t vint __attribute__((vector_size(lanes * 4)));

inline vfloat load(const float* p) {
    vfloat v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
inline void store(float* p, vfloat v) { std::memcpy(p, &v, sizeof v); }
inline vfloat broadcast(float x) { return x - vfloat{}; }

// The first `count` (0..lanes) floats; the other lanes are zero, and memory behind them is not touched.
inline vfloat load_partial(const float* p, int64_t count) {
#if defined(__AVX512F__)
    return (vfloat)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#else
    vfloat v{};
    std::memcpy(&v, p, (size_t)count * 4);
    return v;
#endif
}
inline void store_partial(float* p, vfloat v, int64_t count) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
#else
    std::memcpy(p, &v, (size_t)count * 4);
#endif
}

inline vint bits(vfloat v) { return (vint)v; }
inline vfloat from_bits(vint v) { return (vfloat)v; }
// A NaN in b is the result, a NaN in a is lost: what must not hide a NaN writes max(limit, x), min(limit, x).
// a > b ? a : b, so b where either is NaN. The compiler does not see one instruction in the comparison.
inline vfloat max(vfloat a, vfloat b) {
#if defined(__AVX512F__)
    return (vfloat)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vfloat)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return a > b ? a : b;
#endif
}
inline vfloat min(vfloat a, vfloat b) {
#if defined(__AVX512F__)
    return (vfloat)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vfloat)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return a < b ? a : b;
#endif
}
inline vfloat abs(vfloat a) { return from_bits(bits(a) & 0x7fffffff); }
inline vfloat sqrt(vfloat a) {
    for (int i = 0; i < lanes; ++i) a[i] = std::sqrt(a[i]);
    return a;
}

// Sum of all lanes, the upper half onto the lower until one is left: a fixed tree.
inline float sum(vfloat v) {
    typedef float quad __attribute__((vector_size(16)));
#if defined(__AVX512F__)
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256((__m512)v), _mm512_extractf32x8_ps((__m512)v, 1));
    quad a = (quad)_mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
#elif defined(__AVX2__)
    quad a = (quad)_mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
#else
    quad a = v;
#endif
    a += __builtin_shufflevector(a, a, 2, 3, 2, 3);
    return a[0] + a[1];
}

// 2^f for |f| <= 1/2, by a minimax polynomial.
inline vfloat exp2_fraction(vfloat f) {
    vfloat p = broadcast(1.5403530e-4f);
    p = p * f + 1.3333558e-3f;
    p = p * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    return p * f + 1.0f;
}

// To the nearest integer; without AVX-512 only for |x| < 2^22.
inline vfloat round_to_integer(vfloat x) {
#if defined(__AVX512F__)
    return (vfloat)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    const vfloat to_integer = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds away the fraction
    return (x + to_integer) - to_integer;
#endif
}

// p * 2^n for an integer n; without AVX-512 only for n from -127, whose result is 0, to 128.
inline vfloat times_power_of_two(vfloat p, vfloat n) {
#if defined(__AVX512F__)
    return (vfloat)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    // Two halves of the exponent, so that n = 128 overflows to infinity instead of wrapping.
    const vint whole = __builtin_convertvector(n, vint), half = whole >> 1;
    const vfloat scaled = p * from_bits((half + 127) << 23) * from_bits((whole - half + 127) << 23);
    return n < -126.0f ? vfloat{} : scaled;
#endif
}

// 2^x, at most 2 ulp; 0 below -126 (the normal range), infinity from 128 on.
// x = n + f, n an integer, |f| <= 1/2: 2^f by a polynomial, 2^n by adding n to the exponent.
inline vfloat exp2(vfloat x) {
#if !defined(__AVX512F__)
    x = min(broadcast(128.0f), max(broadcast(-127.0f), x));
#endif
    const vfloat n = round_to_integer(x);
    return times_power_of_two(exp2_fraction(x - n), n);
}

// e^x, at most 2 ulp, 0 for -infinity. What is left of x after n ln 2 is taken in two steps, the first exact:
// the rounding of a product x log2(e) alone would cost 5 bits at |x| = 88.
inline vfloat exp(vfloat x) {
#if defined(__AVX512F__)
    x = min(broadcast(89.0f), max(broadcast(-104.0f), x));  // without it a remainder of 1e38 would overflow
#else
    x = min(broadcast(89.0f), max(broadcast(-88.0f), x));
#endif
    const vfloat n = round_to_integer(x * 1.44269504f);
    const vfloat remainder = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    return times_power_of_two(exp2_fraction(remainder * 1.44269504f), n);
}

// Natural logarithm of a positive normal number, 1 ulp or so (polynomial of Cephes' logf).
inline vfloat log(vfloat x) {
    const vint raw = bits(x);
    vint exponent = ((raw >> 23) & 0xff) - 126;
    vfloat m = from_bits((raw & 0x007fffff) | 0x3f000000);  // [0.5, 1)
    const vint low = m < 0.707106781f;
    exponent += low;  // a true lane is -1
    m = low ? m + m : m;
    const vfloat f = m - 1.0f, z = f * f;
    vfloat p = broadcast(7.0376836292e-2f);
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    const vfloat e = __builtin_convertvector(exponent, vfloat);
    vfloat y = p * f * z + e * -2.12194440e-4f;
    y = y - 0.5f * z;
    return f + y + e * 0.693359375f;
}

// log(1 + x) for x >= 0 without losing what 1 + x rounds away.
inline vfloat log1p(vfloat x) {
    const vfloat u = x + 1.0f;
    return log(u) + (x - (u - 1.0f)) / u;
}

inline vfloat softplus(vfloat x) { return max(x, vfloat{}) + log1p(exp(-abs(x))); }
inline vfloat sigmoid(vfloat x) { return 1.0f / (1.0f + exp(-x)); }
inline vfloat silu(vfloat x) { return x / (1.0f + exp(-x)); }

// d silu(x) / dx, with s = sigmoid(x).
inline vfloat silu_slope(vfloat x) {
    const vfloat s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

}  // namespace medmamba::cpu::MM_SIMD
