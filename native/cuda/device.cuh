// The CUDA that our kernels are written in.
//
// Under nvcc these are CUDA's own names and a few one-line wraps of instructions that have no portable name. Under a
// host compiler, native/emulator/device.h gives the same names the same meaning, with a block's threads as fibers:
// so every kernel runs, and is tested, on machines without a GPU. Hence the rules for kernels:
//
//   - shared memory is one struct, had from shared_memory<T>(): the emulator poisons it and guards its end;
//   - barriers and warp operations are __syncthreads(), __syncwarp(mask), __shfl_*_sync(mask, ...),
//     __ballot_sync(mask, ...), called by every thread that the mask or the block names;
//   - tensor cores and asynchronous copies only through the functions below. A GPU before sm_80 has neither of these
//     tensor cores: what multiplies in float32 does without them, and nothing else is launched there;
//   - no floating-point atomics: a sum has a fixed order, so that results have the same bits on every run.
#pragma once

#if !defined(__CUDACC__)
#include "../emulator/device.h"
#else

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

// Whether the code that is compiled is for Ampere or newer.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define MM_HAS_SM80 0
#else
#define MM_HAS_SM80 1
#endif

namespace medmamba::cuda {

constexpr unsigned whole_warp = 0xffffffffu;

// The block's dynamic shared memory, as the one struct that the kernel was launched for. Uninitialised. Its size goes
// into the PTX as a comment, because nothing else of what the compiler writes tells it (scripts/cuda-resources.mjs).
template <class T>
__device__ __forceinline__ T& shared_memory() {
    asm volatile("// shared memory: %0 bytes" ::"n"(sizeof(T)));
    extern __shared__ __align__(1024) unsigned char bytes[];
    return *reinterpret_cast<T*>(bytes);
}

// A pointer into global memory so many bytes further. Unlike pointer arithmetic, which the compiler takes apart, an
// offset that is a product of two ints makes one instruction with the sum.
template <class T>
__device__ __forceinline__ T* global_offset(T* pointer, int64_t bytes) {
    return static_cast<T*>(__cvta_global_to_generic(__cvta_generic_to_global(pointer) + (size_t)bytes));
}

// threadIdx.x, read anew by every call. What the compiler derives from threadIdx.x itself outside of a loop takes
// registers throughout the loop.
__device__ __forceinline__ int thread_anew() {
    unsigned x;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(x));
    return (int)x;
}

// 2^x by the special function unit: 2 ulp, results below the normal range are 0.
__device__ __forceinline__ float exp2_approx(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// 1 / x by the special function unit: 1 ulp.
__device__ __forceinline__ float reciprocal_approx(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// 1 / sqrt(x) by the special function unit: 2 ulp.
__device__ __forceinline__ float inverse_root_approx(float x) {
    float y;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Whether there are tensor cores for bf16 and tf32, which is known when the kernel is compiled.
__device__ __forceinline__ constexpr bool has_tensor_cores() { return MM_HAS_SM80; }

// Two floats rounded to bfloat16 (nearest even), `low` in the lower half of the word.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
#if MM_HAS_SM80
    uint32_t word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
#else
    const auto upper_bits = [](float x) {
        const uint32_t bits = __float_as_uint(x);
        return x != x ? 0x7fffu : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    };
    return upper_bits(high) << 16 | upper_bits(low);
#endif
}

// A float rounded to TF32 (10 bits of fraction, ties away from zero), as the tensor cores take it.
__device__ __forceinline__ uint32_t to_tf32(float x) {
#if MM_HAS_SM80
    uint32_t word;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(x));
    return word;
#else
    return __float_as_uint(x);  // for mma_tf32_16x8x8 alone
#endif
}

// ---- tensor cores: d += a b on tiles that a warp holds together. With lane = 4 * group + index: -------------------
//
//   bf16, 16x8x16   a[0] = A[group][2 index ..]      a[1] = A[group + 8][2 index ..]      (pairs of columns, packed)
//                   a[2] = A[group][2 index + 8 ..]  a[3] = A[group + 8][2 index + 8 ..]
//                   b[0] = B[2 index ..][group]      b[1] = B[2 index + 8 ..][group]      (pairs of rows, packed)
//   tf32, 16x8x8    a[0] = A[group][index]           a[1] = A[group + 8][index]
//                   a[2] = A[group][index + 4]       a[3] = A[group + 8][index + 4]
//                   b[0] = B[index][group]           b[1] = B[index + 4][group]
//   both            d[0], d[1] = D[group][2 index, 2 index + 1]     d[2], d[3] = D[group + 8][the same]
//
// All 32 lanes call them, on a GPU that has_tensor_cores (stream.cuh); others stop there.
__device__ __forceinline__ void mma_bf16_16x8x16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if MM_HAS_SM80
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    __trap();
#endif
}
__device__ __forceinline__ void mma_tf32_16x8x8(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if MM_HAS_SM80
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    __trap();
#endif
}

// Four 8 x 8 matrices of 16-bit elements from shared memory: lane 8 i + r gives the address of row r of matrix i, 16
// bytes at a multiple of 16. With lane = 4 * group + index, to[i] is row `group`, columns 2 index and 2 index + 1 of
// matrix i; of its transpose, if `transposed`. All 32 lanes call it.
template <bool transposed, class Element>
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], const Element* row) {
    const unsigned address = (unsigned)__cvta_generic_to_shared(row);
    if constexpr (transposed)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                     : "r"(address)
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                     : "r"(address)
                     : "memory");
}

// ---- asynchronous copies from global to shared memory, of the calling thread ------------------------------------
//
// 4, 8 or 16 bytes, both addresses aligned to them; zeros are written instead where `valid` is false (then `global`
// is not read). Copies become visible to the thread after copy_async_wait<N>(), which leaves at most the last N
// committed groups in flight, and to the block after the barrier that follows. GPUs before sm_80 copy at once, through
// registers.
#if MM_HAS_SM80
template <int bytes>
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool valid) {
    static_assert(bytes == 4 || bytes == 8 || bytes == 16);
    const unsigned address = (unsigned)__cvta_generic_to_shared(shared);
    const int size = valid ? bytes : 0;
    if constexpr (bytes == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global),
                     "r"(size) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(global), "n"(bytes),
                     "r"(size) : "memory");
}
__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int groups>
__device__ __forceinline__ void copy_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}
#else
template <int bytes>
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool valid) {
    static_assert(bytes == 4 || bytes == 8 || bytes == 16);
    using Whole = std::conditional_t<bytes == 16, uint4, std::conditional_t<bytes == 8, uint2, uint32_t>>;
    *static_cast<Whole*>(shared) = valid ? *static_cast<const Whole*>(global) : Whole{};
}
__device__ __forceinline__ void copy_async_commit() {}
template <int groups>
__device__ __forceinline__ void copy_async_wait() {}
#endif

}  // namespace medmamba::cuda
#endif
