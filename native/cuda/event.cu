#include "event.cuh"

#include <memory>
#include <new>

struct mm_event {
    cudaEvent_t event = nullptr;
};

namespace medmamba::cuda {

mm_status event_create(mm_stream* stream, mm_event** event) {
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    std::unique_ptr<mm_event> created(new (std::nothrow) mm_event);
    if (!created) return stream->fail(MM_OUT_OF_MEMORY, "not enough host memory");
    const cudaError_t error = cudaEventCreateWithFlags(&created->event, cudaEventBlockingSync);
    const mm_status status = stream->check(error, "cudaEventCreate");
    if (status == MM_OK) *event = created.release();
    return status;
}

void event_destroy(mm_stream* stream, mm_event* event) {
    if (stream->use() != MM_OK || cudaEventDestroy(event->event) != cudaSuccess) cudaGetLastError();
    delete event;
}

mm_status event_record(mm_stream* stream, mm_event* event) {
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    return stream->check(cudaEventRecord(event->event, stream->stream), "cudaEventRecord");
}

mm_status event_elapsed(mm_stream* stream, const mm_event* begin, const mm_event* end, double* seconds) {
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    float milliseconds = 0;
    mm_status status = stream->check(cudaEventSynchronize(end->event), "waiting for the GPU");
    if (status == MM_OK)
        status = stream->check(cudaEventElapsedTime(&milliseconds, begin->event, end->event), "cudaEventElapsedTime");
    *seconds = 1e-3 * milliseconds;
    return status;
}

}  // namespace medmamba::cuda
