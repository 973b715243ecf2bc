// The CUDA backend's stream, and the way to launch a kernel on it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../backend/backend.h"
#include "beside.cuh"
#include "device.cuh"
#include "graphs.cuh"
#include "memory_pool.cuh"

namespace medmamba::cuda {

// How matrix products and convolutions multiply. Sums are float32 here too, and all other arithmetic always; with
// bf16 the activations inside a block are stored as bfloat16.
enum class Precision { float32, tf32, bf16 };

// What a kernel found wrong with labels, which only the device can see: the first finding, until somebody waits for
// the stream and is told. `operation` is a string of the host that the kernel hands back, null while nothing is
// wrong.
struct LabelError {
    const char* operation;
    int64_t label, row, classes;
};

}  // namespace medmamba::cuda

struct mm_stream {
    int device = 0;
    int multiprocessors = 0;
    int shared_bytes_per_block = 0;  // the most that a kernel may ask for
    bool has_tensor_cores = false;   // that multiply in bf16 and tf32
    bool has_wgmma = false;          // code for sm_90a, on a GPU of 9.0 whose driver describes tensors for it
    medmamba::cuda::Precision precision = medmamba::cuda::Precision::float32;
    cudaStream_t stream = nullptr;
    cudaEvent_t reached = nullptr;         // of who waits for `stream`
    cudaStream_t memory_stream = nullptr;  // for memory that outlives an operation: never captured, never behind
    medmamba::cuda::MemoryPool memory;
    medmamba::cuda::Graphs graphs;
    medmamba::cuda::Beside beside;
    medmamba::cuda::LabelError* label_error = nullptr;  // host memory that kernels can write
    bool waits_for_each = false;                            // operation: MEDMAMBA_CUDA_SYNC
    char last_error[640] = "";

    // Keeps the sentence and returns the status, so that an operation can `return stream->fail(...)`.
    __attribute__((format(printf, 3, 4))) mm_status fail(mm_status status, const char* format, ...);

    // The calling thread's CUDA calls are for this stream's device from here on.
    mm_status use();

    // Returns when everything queued so far has run. The thread sleeps meanwhile: waiting for a stream itself would keep
    // a processor busy.
    cudaError_t sleep_until_done();

    // The same; what went wrong meanwhile is told here.
    mm_status wait();

    // MM_OK, or the CUDA error as a status with a sentence that names `what`.
    mm_status check(cudaError_t error, const char* what);

    // After `what` has been queued: with MEDMAMBA_CUDA_SYNC=1 it has run, and an error is its own.
    mm_status queued(const char* what);

    // A failure beside the thread that runs operations, in a sentence of the calling thread's own: it would cross the
    // operations' sentences. The last of both is `told_error`.
    __attribute__((format(printf, 3, 4))) mm_status fail_aside(mm_status status, const char* format, ...);
    mm_status check_aside(cudaError_t error, const char* what);
    const char* told_error() const;
};

namespace medmamba::cuda {

// Device memory for the length of an operation, in stream order: given back when the object ends, which is when it
// is queued to be free, not when it is. `status` tells whether there was any. While a graph is captured the memory
// is the graph's; an operation that needs some cannot be a varying one.
class Workspace {
public:
    Workspace(mm_stream* stream, int64_t floats);
    ~Workspace();
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

    float* data() const { return data_; }
    mm_status status() const { return status_; }

private:
    mm_stream* stream_;
    float* data_ = nullptr;
    mm_status status_ = MM_OK;
};

mm_status prepare_launch(mm_stream* stream, const char* what, const void* kernel, size_t shared_bytes);

// Queues kernel(arguments...) with `shared_bytes` of dynamic shared memory (sizeof the struct that it asks for).
// `what` names the operation in an error. An empty grid is no launch. While a graph's varying call is changed, the
// kernel is not queued: its arguments become those of the graph's kernel.
template <class... Parameters, class... Arguments>
mm_status launch(mm_stream* stream, const char* what, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                 size_t shared_bytes, Arguments... arguments) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return MM_OK;
    const mm_status ready = prepare_launch(stream, what, (const void*)kernel, shared_bytes);
    if (ready != MM_OK) return ready;
    if (stream->graphs.changing()) {
        cudaGraphExec_t executable;
        cudaGraphNode_t node;
        const mm_status found = stream->graphs.next_kernel(stream, what, &executable, &node);
        if (found != MM_OK) return found;
        const cudaError_t set =
            set_kernel_node(executable, node, what, kernel, grid, block, shared_bytes, Parameters(arguments)...);
        return stream->check(set, what);
    }
#if defined(__CUDACC__)
    kernel<<<grid, block, shared_bytes, stream->stream>>>(Parameters(arguments)...);
#else
    emulator::launch(what, kernel, grid, block, shared_bytes, stream->stream, Parameters(arguments)...);
#endif
    if (const mm_status launched = stream->check(cudaGetLastError(), what); launched != MM_OK) return launched;
    return stream->graphs.capturing() ? stream->graphs.captured_kernel(stream, what) : stream->queued(what);
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A row stride of zero means densely packed rows.
inline int64_t row_stride(int64_t stride, int64_t width) { return stride ? stride : width; }

// Every operation of the table, as in backend.h.
#define MM_DECLARE_KERNEL(name) mm_status name(mm_stream* stream, const mm_##name##_params* params);
MM_OPERATIONS(MM_DECLARE_KERNEL)
#undef MM_DECLARE_KERNEL

}  // namespace medmamba::cuda
