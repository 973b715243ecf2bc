// native/cuda/mbarrier.cuh, tensor_map.cuh and wgmma.cuh for a host compiler: the same names with the same meaning.
#pragma once

#include "asynchronous.h"
#include "language.h"
#include "wgmma.h"

#define MM_HAS_WGMMA 1
#define MM_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace medmamba::cuda {

struct MBarrier {
    uint64_t state;
};
inline void barrier_init(MBarrier& barrier, int arrivals, MM_PLACE) {
    emulator::barrier_init(&barrier.state, arrivals, {file, line});
}
inline void fence_barrier_init() { emulator::fence_barrier_init(); }
inline void fence_proxy_async() { emulator::fence_proxy_async(); }
inline void arrive(MBarrier& barrier, MM_PLACE) { emulator::arrive(&barrier.state, {file, line}); }
inline void arrive_expecting(MBarrier& barrier, int bytes, MM_PLACE) {
    emulator::arrive_expecting(&barrier.state, bytes, {file, line});
}
inline void wait(MBarrier& barrier, unsigned parity, MM_PLACE) {
    emulator::wait_for_phase(&barrier.state, parity, {file, line});
}

inline void load_box(const CUtensorMap& map, void* to, MBarrier& barrier, int x, int y, int z, int w, MM_PLACE) {
    const int coordinates[] = {x, y, z, w};
    emulator::start_box(&map, to, &barrier.state, coordinates, 4, {file, line});
}
inline void prefetch_tensor_map(const CUtensorMap&) {}

inline uint32_t shared_address(const void* pointer, MM_PLACE) { return emulator::shared_address(pointer, {file, line}); }
template <int count>
void wgmma_fence(float (&)[count]) {
    emulator::wgmma_fence();
}
template <int columns>
void wgmma(float (&sums)[columns / 2], uint64_t a, uint64_t b, MM_PLACE) {
    emulator::wgmma(sums, columns, a, b, {file, line});
}
inline void wgmma_commit() { emulator::wgmma_commit(); }
template <int groups_left, int count>
void wgmma_wait(float (&)[count], MM_PLACE) {
    emulator::wgmma_wait(groups_left, {file, line});
}

}  // namespace medmamba::cuda

#undef MM_PLACE
