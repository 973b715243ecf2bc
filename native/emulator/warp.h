// CUDA's barriers, warp operations and integer atomics, by their names.
#pragma once

#include <cstring>
#include <type_traits>

#include "block.h"

#define MM_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(MM_PLACE) { medmamba::cuda::emulator::barrier({file, line}); }
inline void __syncwarp(unsigned mask = 0xffffffffu, MM_PLACE) {
    medmamba::cuda::emulator::sync_warp(mask, {file, line});
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline unsigned __activemask() { return medmamba::cuda::emulator::lanes_alive(); }

inline unsigned __ballot_sync(unsigned mask, int predicate, MM_PLACE) {
    return medmamba::cuda::emulator::ballot(mask, predicate != 0, {file, line});
}
inline int __any_sync(unsigned mask, int predicate, MM_PLACE) {
    return medmamba::cuda::emulator::ballot(mask, predicate != 0, {file, line}) != 0;
}
inline int __all_sync(unsigned mask, int predicate, MM_PLACE) {
    return medmamba::cuda::emulator::ballot(mask, predicate == 0, {file, line}) == 0;
}

namespace medmamba::cuda::emulator {

// Lanes are taken in segments of `width`, a power of two; a lane outside of the segment is the calling one.
template <class T>
T shuffle_value(unsigned mask, T value, int source, Place place) {
    static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8),
                  "CUDA shuffles words of 4 or 8 bytes");
    uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    word = shuffle(mask, word, source, place);
    std::memcpy(&value, &word, sizeof value);
    return value;
}

}  // namespace medmamba::cuda::emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, MM_PLACE) {
    const int lane = medmamba::cuda::emulator::lane();
    return medmamba::cuda::emulator::shuffle_value(mask, value, (lane & -width) + (source & (width - 1)),
                                                   {file, line});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, MM_PLACE) {
    const int lane = medmamba::cuda::emulator::lane(), source = lane ^ bits;
    const bool inside = source < (lane & -width) + width;
    return medmamba::cuda::emulator::shuffle_value(mask, value, inside ? source : lane, {file, line});
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32, MM_PLACE) {
    const int lane = medmamba::cuda::emulator::lane();
    const bool inside = (unsigned)(lane & (width - 1)) >= distance;
    return medmamba::cuda::emulator::shuffle_value(mask, value, inside ? lane - (int)distance : lane, {file, line});
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32, MM_PLACE) {
    const int lane = medmamba::cuda::emulator::lane();
    const bool inside = (unsigned)(lane & (width - 1)) + distance < (unsigned)width;
    return medmamba::cuda::emulator::shuffle_value(mask, value, inside ? lane + (int)distance : lane, {file, line});
}

#undef MM_PLACE

// One thread runs at a time, so that an atomic operation is a plain one. Integers only: a sum of floats has an order.
template <class T, class Change>
T medmamba_atomic(T* address, Change change) {
    static_assert(std::is_integral_v<T>, "no floating-point atomics");
    const T before = *address;
    *address = change(before);
    return before;
}
template <class T>
T atomicAdd(T* address, T value) {
    return medmamba_atomic(address, [=](T before) { return (T)(before + value); });
}
template <class T>
T atomicMax(T* address, T value) {
    return medmamba_atomic(address, [=](T before) { return before > value ? before : value; });
}
template <class T>
T atomicMin(T* address, T value) {
    return medmamba_atomic(address, [=](T before) { return before < value ? before : value; });
}
template <class T>
T atomicOr(T* address, T value) {
    return medmamba_atomic(address, [=](T before) { return before | value; });
}
template <class T>
T atomicExch(T* address, T value) {
    return medmamba_atomic(address, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* address, T expected, T value) {
    return medmamba_atomic(address, [=](T before) { return before == expected ? value : before; });
}
