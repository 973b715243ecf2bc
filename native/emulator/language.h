// CUDA C++ as a host compiler reads it: qualifiers that mean nothing here, vector types, a thread's place,
// intrinsics.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "runtime.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

struct uint3 {
    unsigned x, y, z;
};

// Of the thread that runs; the scheduler sets them.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

#define MM_VECTOR_TYPES(type, name)                                                                        \
    struct alignas(2 * sizeof(type)) name##2 { type x, y; };                                               \
    struct name##3 { type x, y, z; };                                                                      \
    struct alignas(4 * sizeof(type) > 16 ? 16 : 4 * sizeof(type)) name##4 { type x, y, z, w; };            \
    inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                       \
    inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                            \
    inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
MM_VECTOR_TYPES(float, float)
MM_VECTOR_TYPES(double, double)
MM_VECTOR_TYPES(int, int)
MM_VECTOR_TYPES(unsigned short, ushort)
MM_VECTOR_TYPES(unsigned char, uchar)
MM_VECTOR_TYPES(long long, longlong)
#undef MM_VECTOR_TYPES
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace medmamba::cuda::emulator {

template <class To, class From>
To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

}  // namespace medmamba::cuda::emulator

inline unsigned __float_as_uint(float x) { return medmamba::cuda::emulator::same_bits<unsigned>(x); }
inline int __float_as_int(float x) { return medmamba::cuda::emulator::same_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return medmamba::cuda::emulator::same_bits<float>(x); }
inline float __int_as_float(int x) { return medmamba::cuda::emulator::same_bits<float>(x); }
inline long long __double_as_longlong(double x) { return medmamba::cuda::emulator::same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return medmamba::cuda::emulator::same_bits<double>(x); }

inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fadd_rn(float x, float y) { volatile float sum = x + y; return sum; }
inline float __fmul_rn(float x, float y) { volatile float product = x * y; return product; }
inline double __dadd_rn(double x, double y) { volatile double sum = x + y; return sum; }
inline double __dmul_rn(double x, double y) { volatile double product = x * y; return product; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline int __float2int_rz(float x) {
    return x != x ? 0 : x >= 0x1p31f ? INT32_MAX : x < -0x1p31f ? INT32_MIN : (int)x;
}
inline int __float2int_rn(float x) { return __float2int_rz(rintf(x)); }
inline int __float2int_rd(float x) { return __float2int_rz(floorf(x)); }
inline long long __float2ll_rz(float x) {
    return x != x ? INT64_MIN : x >= 0x1p63f ? INT64_MAX : x < -0x1p63f ? INT64_MIN : (long long)x;
}
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((uint64_t)x * y >> 32); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
    return (unsigned long long)((unsigned __int128)x * y >> 64);
}

// Loads and stores with a hint about caches.
template <class T>
T __ldg(const T* pointer) { return *pointer; }
template <class T>
T __ldcs(const T* pointer) { return *pointer; }
template <class T>
T __ldcg(const T* pointer) { return *pointer; }
template <class T>
void __stcs(T* pointer, T value) { *pointer = value; }
template <class T>
void __stcg(T* pointer, T value) { *pointer = value; }

#define MM_MIN_MAX(type)                                              \
    inline type min(type x, type y) { return y < x ? y : x; }         \
    inline type max(type x, type y) { return x < y ? y : x; }
MM_MIN_MAX(int)
MM_MIN_MAX(unsigned)
MM_MIN_MAX(long)
MM_MIN_MAX(unsigned long)
MM_MIN_MAX(long long)
MM_MIN_MAX(unsigned long long)
#undef MM_MIN_MAX
inline float min(float x, float y) { return fminf(x, y); }
inline float max(float x, float y) { return fmaxf(x, y); }
inline double min(double x, double y) { return fmin(x, y); }
inline double max(double x, double y) { return fmax(x, y); }
