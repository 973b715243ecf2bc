// With MM_TEST_CUDA a kernel's test calls the CUDA backend's operations, on the emulator, instead of a SIMD level's.
//
// What the CPU's tests do with one thread and with two is done here with threads in two different orders. And all
// memory of the test comes from the emulator, so that a kernel cannot read or write behind the end of an array.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <new>

#include "../../../native/cuda/scan.cuh"
#include "../../../native/cuda/scan_runs.cuh"
#include "../../../native/cuda/stream.cuh"
#include "../../../native/emulator/memory.h"
#include "../../../native/emulator/stream.h"

namespace medmamba::cpu {
namespace emulated = medmamba::cuda;
}
#define MM_SIMD emulated

inline bool simd_level_runs_here() {
    std::printf("CUDA, emulated\n");
    return true;
}

// Threads and blocks run in the order that `seed` gives.
struct TestStream : mm_stream {
    explicit TestStream(int seed) {
        medmamba::cuda::emulator::accept_host_memory();
        medmamba::cuda::emulator::set_seed((uint64_t)seed);
        cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0);
        cudaDeviceGetAttribute(&shared_bytes_per_block, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0);
        memory.open(0);
        cudaEventCreateWithFlags(&reached, cudaEventDisableTiming | cudaEventBlockingSync);
        cudaMallocHost(&label_error, sizeof *label_error);
        label_error->operation = nullptr;
    }
    ~TestStream() {
        cudaFreeHost(label_error);
        memory.close();
        cudaEventDestroy(reached);
        cudaStreamDestroy(stream);
    }
};

struct OperationScope {
    explicit OperationScope(TestStream&) {}
};

// What the operation answered, or what its kernels found wrong.
inline mm_status finished(TestStream& stream, mm_status status) { return status == MM_OK ? stream.wait() : status; }

inline int64_t checkpoint_count(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t states) {
    return medmamba::cuda::scan4_checkpoint_count(batch, height, width, channels, states);
}

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
