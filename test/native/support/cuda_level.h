// With MM_TEST_CUDA a kernel's test calls the CUDA backend's operations instead of a SIMD level's: on the emulator, or,
// with MM_TEST_GPU, as on a GPU (test/native/gpu).
//
// What the CPU's tests do with one thread and with two is done on the emulator with threads in two different orders, and
// on a GPU twice.
#pragma once

#include "../../../native/cuda/column_moments.cuh"
#include "../../../native/cuda/product_sm90.cuh"
#include "../../../native/cuda/scan.cuh"
#include "../../../native/cuda/scan_runs.cuh"
#include "../../../native/cuda/stream.cuh"

#if defined(MM_TEST_GPU)
#include "../gpu/level.h"
#else
#include "emulated_level.h"
#endif

namespace medmamba::cpu {
namespace on_cuda = medmamba::cuda;
}
#define MM_SIMD on_cuda

struct TestStream : mm_stream {
    explicit TestStream(int run) {
        prepare_run(run);
        cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0);
        cudaDeviceGetAttribute(&shared_bytes_per_block, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0);
        int major = 0, minor = 0;
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0);
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0);
        has_tensor_cores = major >= 8;
        has_wgmma = medmamba::cuda::multiplies_by_wgmma(major, minor);
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

inline int64_t moment_count(int64_t rows, int64_t channels) { return medmamba::cuda::moment_count(rows, channels); }
inline int64_t checkpoint_count(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t states) {
    return medmamba::cuda::scan4_checkpoint_count(batch, height, width, channels, states);
}

inline int64_t copy_count(int64_t batch, int64_t height, int64_t width, int64_t channels, mm_dtype dtype) {
    return medmamba::cuda::scan4_copy_count(batch, height, width, channels, dtype);
}

inline bool multiply_in_bfloat16(TestStream&) { return false; }  // its tests are elsewhere
inline bool multiply_by_amx(TestStream&) { return false; }
