// What every operation needs of its stream: errors in words, memory for its own length, and permission to launch.
#include "stream.cuh"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

mm_status mm_stream::fail(mm_status status, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}

mm_status mm_stream::check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return MM_OK;
    cudaGetLastError();  // told here: it must not be found again by the next launch
    const mm_status status = error == cudaErrorMemoryAllocation ? MM_OUT_OF_MEMORY : MM_DEVICE_ERROR;
    return fail(status, "%s: %s (%s)", what, cudaGetErrorString(error), cudaGetErrorName(error));
}

mm_status mm_stream::use() { return check(cudaSetDevice(device), "cudaSetDevice"); }

mm_status mm_stream::wait() {
    if (const mm_status ready = use(); ready != MM_OK) return ready;
    const mm_status done = check(cudaStreamSynchronize(stream), "waiting for the GPU");
    if (done != MM_OK) return done;
    const medmamba::cuda::LabelError wrong = *label_error;
    if (!wrong.operation) return MM_OK;
    label_error->operation = nullptr;
    return fail(MM_INVALID_ARGUMENT, "%s: label %" PRId64 " of row %" PRId64 " is not in 0..%" PRId64,
                wrong.operation, wrong.label, wrong.row, wrong.classes - 1);
}

namespace medmamba::cuda {

Workspace::Workspace(mm_stream* stream, int64_t floats) : stream_(stream) {
    if (floats <= 0) return;
    status_ = stream->use();
    if (status_ != MM_OK) return;
    const size_t bytes = (size_t)floats * sizeof(float);
    const cudaError_t error = cudaMallocAsync(&data_, bytes, stream->stream);
    if (error == cudaSuccess) return;
    data_ = nullptr;
    cudaGetLastError();
    size_t free_bytes = 0, total_bytes = 0;
    if (error != cudaErrorMemoryAllocation || cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) {
        status_ = stream->check(error, "memory for an operation");
    } else {
        status_ = stream->fail(MM_OUT_OF_MEMORY,
                               "an operation needs %.1f MiB for itself, the device has %.1f MiB free",
                               (double)bytes / (1 << 20), (double)free_bytes / (1 << 20));
    }
}

// An error of giving back is an earlier error of the device: whoever waits for the stream is told.
Workspace::~Workspace() {
    if (data_ && cudaFreeAsync(data_, stream_->stream) != cudaSuccess) cudaGetLastError();
}

// A kernel may have 48 KB of shared memory, and more only after it has been asked for.
mm_status prepare_launch(mm_stream* stream, const char* what, const void* kernel, size_t shared_bytes) {
    constexpr size_t without_asking = 48 << 10;
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    if (shared_bytes <= without_asking) return MM_OK;
    if (shared_bytes > (size_t)stream->shared_bytes_per_block)
        return stream->fail(MM_UNSUPPORTED, "%s needs %zu bytes of shared memory, the GPU has %d", what, shared_bytes,
                            stream->shared_bytes_per_block);
    return stream->check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes),
                         what);
}

}  // namespace medmamba::cuda
