// native/cuda/device.cuh for a host compiler: the same names with the same meaning.
#pragma once

#include "block.h"
#include "hopper.h"
#include "language.h"
#include "launch.h"
#include "warp.h"

namespace medmamba::cuda {

constexpr unsigned whole_warp = 0xffffffffu;

template <class T>
T& shared_memory() {
    return *static_cast<T*>(emulator::shared_memory(sizeof(T), alignof(T)));
}

inline int thread_anew() { return (int)threadIdx.x; }

inline float exp2_approx(float x) {
    const float y = exp2f(x);
    return y < 0x1p-126f ? 0.0f : y;
}

template <class T>
T* global_offset(T* pointer, int64_t bytes) {
    return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(pointer) + (uintptr_t)bytes);
}

inline bool has_tensor_cores() { return !emulator::copies_at_once(); }

inline float reciprocal_approx(float x) { return 1.0f / x; }
inline float inverse_root_approx(float x) { return 1.0f / sqrtf(x); }

inline uint32_t bf16_bits(float x) {
    const uint32_t bits = __float_as_uint(x);
    if (x != x) return 0x7fff;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
inline uint32_t pack_bf16(float low, float high) { return bf16_bits(high) << 16 | bf16_bits(low); }

inline uint32_t to_tf32(float x) {
    if (x != x) return 0x7fffffff;
    return (__float_as_uint(x) + 0x1000) & ~0x1fffu;
}

inline void mma_bf16_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                             const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    emulator::multiply(emulator::Tile::bf16_16x8x16, d, a, b, {file, line});
}
inline void mma_tf32_16x8x8(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                            const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    emulator::multiply(emulator::Tile::tf32_16x8x8, d, a, b, {file, line});
}

template <bool transposed, class Element>
void load_matrices(uint32_t (&to)[4], const Element* row, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
    static_assert(sizeof(Element) == 2);
    emulator::load_matrices(transposed, to, row, {file, line});
}

template <int bytes>
void copy_async(void* shared, const void* global, bool valid, const char* file = __builtin_FILE(),
                int line = __builtin_LINE()) {
    static_assert(bytes == 4 || bytes == 8 || bytes == 16);
    emulator::start_copy(shared, global, bytes, valid, {file, line});
}
inline void copy_async_commit() { emulator::commit_copies(); }
template <int groups>
void copy_async_wait() {
    emulator::wait_for_copies(groups);
}

}  // namespace medmamba::cuda
