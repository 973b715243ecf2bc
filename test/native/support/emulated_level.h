// The emulator for a kernel's test: all memory of the test comes from it, so that a kernel cannot read or write behind the
// end of an array.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <new>

#include "../../../native/cuda/stream.cuh"
#include "../../../native/emulator/memory.h"
#include "../../../native/emulator/stream.h"

inline bool simd_level_runs_here() {
    std::printf("CUDA, emulated\n");
    return true;
}

// Threads and blocks run in the order that `run` gives.
inline void prepare_run(int run) {
    medmamba::cuda::emulator::accept_host_memory();
    medmamba::cuda::emulator::set_seed((uint64_t)run);
}

// The emulator does that with all memory.
inline void fill_scratch_with_nan(mm_stream&) {}

void* operator new(size_t bytes) {
    if (void* pointer = medmamba::cuda::emulator::allocate_device(bytes)) return pointer;
    throw std::bad_alloc();
}
void operator delete(void* pointer) noexcept {
    if (!pointer || medmamba::cuda::emulator::release_device(pointer)) return;
    std::fprintf(stderr, "something was written behind the end of the memory at %p\n", pointer);
    std::abort();
}
void operator delete(void* pointer, size_t) noexcept { operator delete(pointer); }
