// What every operation needs of its stream: errors in words, memory for its own length, and permission to launch.
#include "stream.cuh"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

namespace {

// What was told of a stream on this thread beside its operations, while nothing has failed there since.
struct Aside {
    const mm_stream* stream = nullptr;
    char sentence[640] = "";
};
thread_local Aside aside;

// After these every call of the process fails, on whichever stream: the context is lost.
bool is_sticky(cudaError_t error) {
    switch (error) {
        case cudaErrorECCUncorrectable:
        case cudaErrorIllegalAddress:
        case cudaErrorLaunchTimeout:
        case cudaErrorAssert:
        case cudaErrorHardwareStackError:
        case cudaErrorIllegalInstruction:
        case cudaErrorMisalignedAddress:
        case cudaErrorInvalidAddressSpace:
        case cudaErrorInvalidPc:
        case cudaErrorLaunchFailure: return true;
        default: return false;
    }
}

mm_status status_of(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? MM_OUT_OF_MEMORY : MM_DEVICE_ERROR;
}

// What to do about an error. It is told of the operation at which it was noticed, which need not be its own.
const char* advice(cudaError_t error, bool waits_for_each) {
    if (!is_sticky(error)) return "";
    return waits_for_each ? "; the GPU is lost to this process, which must be restarted"
                          : "; the GPU is lost to this process, which must be restarted: with MEDMAMBA_CUDA_SYNC=1 "
                            "the error names the operation that made it";
}

}  // namespace

mm_status mm_stream::fail(mm_status status, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    if (aside.stream == this) aside.stream = nullptr;
    return status;
}

mm_status mm_stream::fail_aside(mm_status status, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(aside.sentence, sizeof aside.sentence, format, arguments);
    va_end(arguments);
    aside.stream = this;
    return status;
}

const char* mm_stream::told_error() const { return aside.stream == this ? aside.sentence : last_error; }

mm_status mm_stream::check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return MM_OK;
    cudaGetLastError();  // told here: it must not be found again by the next launch
    return fail(status_of(error), "%s: %s (%s)%s", what, cudaGetErrorString(error), cudaGetErrorName(error),
                advice(error, waits_for_each));
}

mm_status mm_stream::check_aside(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return MM_OK;
    cudaGetLastError();
    return fail_aside(status_of(error), "%s: %s (%s)%s", what, cudaGetErrorString(error), cudaGetErrorName(error),
                      advice(error, waits_for_each));
}

mm_status mm_stream::queued(const char* what) {
    if (!waits_for_each || graphs.capturing()) return MM_OK;
    return check(sleep_until_done(), what);
}

mm_status mm_stream::use() { return check(cudaSetDevice(device), "cudaSetDevice"); }

// A stream that is captured cannot be waited for, which ends the capture; to wait for an event would leave it open.
cudaError_t mm_stream::sleep_until_done() {
    if (graphs.capturing()) return cudaStreamSynchronize(stream);
    const cudaError_t error = cudaEventRecord(reached, stream);
    return error == cudaSuccess ? cudaEventSynchronize(reached) : error;
}

mm_status mm_stream::wait() {
    if (const mm_status ready = use(); ready != MM_OK) return ready;
    const mm_status done = check(sleep_until_done(), "waiting for the GPU");
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
    if (stream->graphs.changing()) {
        status_ = stream->fail(MM_UNSUPPORTED, "an operation that needs memory for itself cannot vary in a graph");
        return;
    }
    cudaError_t error = cudaSuccess;
    if (stream->graphs.capturing())
        data_ = stream->graphs.take(stream, bytes, &error);
    else
        error = stream->memory.take((void**)&data_, bytes, stream->stream);
    if (error == cudaSuccess) return;
    data_ = nullptr;
    cudaGetLastError();
    size_t free_bytes = 0, total_bytes = 0;
    if (error != cudaErrorMemoryAllocation || cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) {
        status_ = stream->check(error, "memory for an operation");
    } else if (const size_t limit = stream->memory.limit()) {
        status_ = stream->fail(MM_OUT_OF_MEMORY,
                               "an operation needs %.1f MiB for itself, more than the limit of %.1f MiB (memoryLimit) "
                               "that was set for this process leaves",
                               (double)bytes / (1 << 20), (double)limit / (1 << 20));
    } else {
        status_ = stream->fail(MM_OUT_OF_MEMORY,
                               "an operation needs %.1f MiB for itself, the device has %.1f MiB free",
                               (double)bytes / (1 << 20), (double)free_bytes / (1 << 20));
    }
}

// An error of giving back is an earlier error of the device: whoever waits for the stream is told.
Workspace::~Workspace() {
    if (!data_) return;
    if (stream_->graphs.capturing())
        stream_->graphs.give_back(data_);
    else if (cudaFreeAsync(data_, stream_->stream) != cudaSuccess)
        cudaGetLastError();
}

// A kernel may have 48 KB of shared memory, and more only after it has been asked for.
mm_status prepare_launch(mm_stream* stream, const char* what, const void* kernel, size_t shared_bytes) {
    constexpr size_t without_asking = 48 << 10;
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    if (const cudaError_t error = stream->graphs.load_kernel(kernel); error != cudaSuccess)
        return stream->check(error, what);
    if (shared_bytes <= without_asking) return MM_OK;
    if (shared_bytes > (size_t)stream->shared_bytes_per_block)
        return stream->fail(MM_UNSUPPORTED, "%s needs %zu bytes of shared memory, the GPU has %d", what, shared_bytes,
                            stream->shared_bytes_per_block);
    return stream->check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes),
                         what);
}

}  // namespace medmamba::cuda
