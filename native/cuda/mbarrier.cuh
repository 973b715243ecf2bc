// Barriers in shared memory that count arrivals and bytes (mbarrier): how a warp that starts copies and the warps that use
// them tell each other where they are, without the whole block meeting. Hopper (sm_90) and newer.
//
// A barrier is made for so many arrivals, and then is in one phase after another: a phase is complete once all of them have
// come, and all bytes that were announced during it have been written. Phases are told apart by parity: wait(barrier, 0)
// returns once the first is complete, the third, ..., wait(barrier, 1) once the second is. Of a barrier that is new,
// wait(barrier, 1) returns at once: as if the phase in front of the first were complete.
#pragma once

#include "device.cuh"

#if defined(__CUDACC__)

namespace medmamba::cuda {

struct MBarrier {
    uint64_t state;
};

// The address within shared memory, as PTX and the descriptors of wgmma take it.
__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
    return (uint32_t)__cvta_generic_to_shared(pointer);
}

// By one thread, which then calls fence_barrier_init(); others use the barrier after the __syncthreads() that follows.
__device__ __forceinline__ void barrier_init(MBarrier& barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)), "r"(arrivals) : "memory");
}

// Barriers that the thread has initialised become visible to TMA.
__device__ __forceinline__ void fence_barrier_init() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// What the thread has written to shared memory becomes visible to TMA and wgmma, and comes before what they do later.
__device__ __forceinline__ void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// One of the phase's arrivals.
__device__ __forceinline__ void arrive(MBarrier& barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&barrier)) : "memory");
}

// The same, after announcing so many bytes (below 2^20) that copies will write.
__device__ __forceinline__ void arrive_expecting(MBarrier& barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)), "r"(bytes)
                 : "memory");
}

// Returns once the phase of this parity is complete; what was written for it is there. The hardware sleeps for a while in
// every try.
__device__ __forceinline__ void wait(MBarrier& barrier, unsigned parity) {
    const uint32_t address = shared_address(&barrier);
    uint32_t complete = 0;
    while (!complete)
        asm volatile("{\n"
                     ".reg .pred complete;\n"
                     "mbarrier.try_wait.parity.shared::cta.b64 complete, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, complete;\n"
                     "}"
                     : "=r"(complete)
                     : "r"(address), "r"(parity)
                     : "memory");
}

}  // namespace medmamba::cuda
#endif
