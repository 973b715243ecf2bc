// The tensor cores of Hopper (sm_90a): a warpgroup, four warps of which the first is a multiple of four, adds to its
// 64 x `columns` sums in registers the product of two matrices of bfloat16 in shared memory, 16 of k at a time.
//
//     wait(barrier)          the matrices are in shared memory
//     wgmma_fence(sums)      the registers of the sums are as they were meant
//     wgmma<columns>(...)    starts a product, and more of them; sums are added in the order in which they were started
//     wgmma_commit()         all that was started since the last one is a group
//     wgmma_wait<n>(sums)    all groups but the last n are done: their matrices have been read; with 0, the sums are there
//
// Between the first wgmma and the wait that it is part of, the thread must neither read nor write the sums. All threads of the
// warpgroup call all of these, with the same matrices.
//
// A thread has columns / 2 sums. With lane = 4 * group + index, of the warpgroup's warp w:
//
//     sums[4 j + 2 i + h] = D[16 w + 8 i + group][8 j + 2 index + h]
#pragma once

#include "mbarrier.cuh"
#include "storage.cuh"

namespace medmamba::cuda {

// A matrix in shared memory for wgmma: k runs along lines of 128 bytes, and lines lie one behind the other from a multiple of
// 1024 bytes on, their 16-byte parts swizzled as TMA writes them: part p of line l is at place p ^ (l % 8). The PTX ISA calls
// it K-major, with a swizzle of 128 bytes. Bits of the descriptor, addresses and distances without their last four bits:
//
//     0-13   where the matrix begins: 32 bytes further for the next 16 of k, which swizzling takes care of
//     16-29  from 8 of k to the next, which this layout has no use for: 1
//     32-45  from 8 lines to the next 8: 1024 bytes
//     62-63  1: a swizzle of 128 bytes
__device__ __forceinline__ uint64_t wgmma_matrix(const void* first_line) {
    const uint64_t eight_lines = 1024 >> 4, swizzle_128 = 1;
    return (shared_address(first_line) & 0x3ffff) >> 4 | uint64_t(1) << 16 | eight_lines << 32 | swizzle_128 << 62;
}
constexpr uint64_t wgmma_next_k = 2 * 16 >> 4;  // to add to a descriptor for the next 16 of k

}  // namespace medmamba::cuda

#if defined(__CUDACC__)

// Whether the code that is compiled is for sm_90a. (On newer GPUs there is no wgmma.)
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define MM_HAS_WGMMA 1
#else
#define MM_HAS_WGMMA 0
#endif

namespace medmamba::cuda {

// No instruction: the compiler does not move what it does with the sums to the other side.
template <int count>
__device__ __forceinline__ void hold(float (&sums)[count]) {
#pragma unroll
    for (int i = 0; i < count; ++i) asm volatile("" : "+f"(sums[i])::"memory");
}

template <int count>
__device__ __forceinline__ void wgmma_fence(float (&sums)[count]) {
    hold(sums);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int groups_left, int count>
__device__ __forceinline__ void wgmma_wait(float (&sums)[count]) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups_left) : "memory");
    hold(sums);
}

// sums += A B, A (64, 16) and B (16, columns), both as wgmma_matrix describes them: lines are rows of A and columns of B.
template <int columns>
__device__ void wgmma(float (&sums)[columns / 2], uint64_t a, uint64_t b);

// The assembler wants every register by its name; here they are, by eights.
#define MM_EIGHT(i)                                                                                          \
    "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3]), "+f"(sums[i + 4]),               \
        "+f"(sums[i + 5]), "+f"(sums[i + 6]), "+f"(sums[i + 7])
#define MM_24 MM_EIGHT(0), MM_EIGHT(8), MM_EIGHT(16)
#define MM_32 MM_24, MM_EIGHT(24)
#define MM_48 MM_32, MM_EIGHT(32), MM_EIGHT(40)
#define MM_64 MM_48, MM_EIGHT(48), MM_EIGHT(56)
#define MM_96 MM_64, MM_EIGHT(64), MM_EIGHT(72), MM_EIGHT(80), MM_EIGHT(88)
#define MM_NAMES_24 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23"
#define MM_NAMES_32 MM_NAMES_24 ",%24,%25,%26,%27,%28,%29,%30,%31"
#define MM_NAMES_48 MM_NAMES_32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
#define MM_NAMES_64 MM_NAMES_48 ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define MM_NAMES_96                                                                                          \
    MM_NAMES_64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,"  \
                "%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"

// Behind the descriptors: the sums are added to what is there, A and B are taken as they are, and k runs along their lines.
#define MM_WGMMA(columns, count, a_name, b_name)                                                             \
    template <>                                                                                              \
    __device__ __forceinline__ void wgmma<columns>(float (&sums)[count], uint64_t a, uint64_t b) {           \
        asm volatile("wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16 {" MM_NAMES_##count     \
                     "}, " a_name ", " b_name ", 1, 1, 1, 0, 0;"                                             \
                     : MM_##count                                                                            \
                     : "l"(a), "l"(b));                                                                      \
    }
MM_WGMMA(48, 24, "%24", "%25")
MM_WGMMA(64, 32, "%32", "%33")
MM_WGMMA(96, 48, "%48", "%49")
MM_WGMMA(128, 64, "%64", "%65")
MM_WGMMA(192, 96, "%96", "%97")
#undef MM_WGMMA
#undef MM_NAMES_24
#undef MM_NAMES_32
#undef MM_NAMES_48
#undef MM_NAMES_64
#undef MM_NAMES_96
#undef MM_24
#undef MM_32
#undef MM_48
#undef MM_64
#undef MM_96
#undef MM_EIGHT

}  // namespace medmamba::cuda
#endif
