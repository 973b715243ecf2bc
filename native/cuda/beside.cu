#include "beside.cuh"

#include "stream.cuh"

namespace medmamba::cuda {

cudaError_t Beside::open() {
    cudaError_t error = cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&begun_, cudaEventDisableTiming);
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&done_, cudaEventDisableTiming);
    return error;
}

// An error is an earlier error of the device.
void Beside::close() {
    if (stream_ && cudaStreamSynchronize(stream_) != cudaSuccess) cudaGetLastError();
    for (cudaEvent_t* event : {&begun_, &done_}) {
        if (*event && cudaEventDestroy(*event) != cudaSuccess) cudaGetLastError();
        *event = nullptr;
    }
    if (stream_ && cudaStreamDestroy(stream_) != cudaSuccess) cudaGetLastError();
    stream_ = nullptr;
}

mm_status Beside::begin(mm_stream* stream) {
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    if (first_) return stream->fail(MM_INVALID_ARGUMENT, "work beside the stream has begun already");
    cudaError_t error = cudaEventRecord(begun_, stream->stream);
    if (error == cudaSuccess) error = cudaStreamWaitEvent(stream_, begun_, 0);
    if (error != cudaSuccess) return stream->check(error, "work beside the stream");
    first_ = stream->stream;
    stream->stream = stream_;
    return MM_OK;
}

mm_status Beside::end(mm_stream* stream) {
    if (!first_) return stream->fail(MM_INVALID_ARGUMENT, "no work beside the stream has begun");
    stream->stream = first_;
    first_ = nullptr;
    pending_ = true;
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    return stream->check(cudaEventRecord(done_, stream_), "work beside the stream");
}

mm_status Beside::join(mm_stream* stream) {
    if (!pending_) return MM_OK;
    pending_ = false;
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    return stream->check(cudaStreamWaitEvent(stream->stream, done_, 0), "joining the work beside the stream");
}

}  // namespace medmamba::cuda
