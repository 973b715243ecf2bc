// Graphs: the emulator refuses what CUDA refuses while a stream is captured, and the CUDA backend's six functions
// do what backend.h says of them.
#include <cmath>
#include <string>

#include "../../native/cuda/device.cuh"
#include "../../native/cuda/stream.cuh"
#include "../../native/emulator/memory.h"
#include "../../native/emulator/stream.h"
#include "support/backend_stream.h"
#include "support/check.h"

using namespace medmamba::cuda;

namespace {

__global__ void scaled(const float* x, float factor, float* y) { y[threadIdx.x] = x[threadIdx.x] * factor; }
__global__ void never_used(const float* x, float, float* y) { y[threadIdx.x] = x[threadIdx.x]; }
__global__ void other(const float* x, float factor, float* y) { y[threadIdx.x] = x[threadIdx.x] + factor; }

struct Emulated {
    cudaStream_t stream;
    float *x, *y;
    Emulated() {
        cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        cudaMalloc(&x, 4 * sizeof(float));
        cudaMalloc(&y, 4 * sizeof(float));
        for (int i = 0; i < 4; ++i) x[i] = (float)(i + 1), y[i] = 0;
        cudaFuncAttributes attributes;
        for (const auto kernel : {scaled, other}) cudaFuncGetAttributes(&attributes, (const void*)kernel);
    }
    ~Emulated() {
        cudaStreamDestroy(stream);
        cudaFree(x);
        cudaFree(y);
        cudaGetLastError();
    }
    cudaError_t launch(float factor) {
        emulator::launch("scaled", scaled, dim3(1), dim3(4), 0, stream, (const float*)x, factor, y);
        return cudaGetLastError();
    }
    cudaError_t begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal) {
        return cudaStreamBeginCapture(stream, mode);
    }
};

void test_capture_and_launch() {
    Emulated e;
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    check::that(e.begin() == cudaSuccess && e.begin() == cudaErrorIllegalState, "one capture at a time");
    e.launch(2);
    cudaStreamCaptureStatus status;
    unsigned long long id;
    const cudaGraphNode_t* last;
    const cudaGraphEdgeData* edges;
    size_t count;
    cudaStreamGetCaptureInfo(e.stream, &status, &id, &graph, &last, &edges, &count);
    const cudaGraphNode_t node = *last;
    cudaMemcpyAsync(e.x, e.y, 4 * sizeof(float), cudaMemcpyDeviceToDevice, e.stream);
    check::that(count == 1 && node != *last, "what was queued last is what comes next depends on");
    check::that(cudaStreamEndCapture(e.stream, &graph) == cudaSuccess, "a capture ends");
    check::that(e.y[3] == 0 && e.x[3] == 4, "captured work is not done");
    cudaGraphInstantiate(&executable, graph);
    for (int launch = 0; launch < 3; ++launch) cudaGraphLaunch(executable, e.stream);
    check::that(e.x[3] == 32 && e.x[0] == 8, "launched work is done in order, each time");

    const auto replace = [&](const char* what, void (*kernel)(const float*, float, float*)) {
        const float* x = e.x;
        return emulator::replace_kernel(executable, node, what, kernel, dim3(1), dim3(4), 0, x, 3.0f, e.y);
    };
    const cudaError_t changed = replace("scaled", scaled);
    cudaGraphLaunch(executable, e.stream);
    check::that(changed == cudaSuccess && e.x[0] == 24, "later launches have the new arguments");
    check::that(replace("other", other) == cudaErrorInvalidValue, "a node keeps its kernel");
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
}

// What ends a capture: from then on all is an error until it is ended, and then the stream is as before.
template <class Misuse>
void invalidates(const char* what, cudaError_t expected, Misuse&& misuse) {
    Emulated e;
    e.begin();
    e.launch(1);
    check::that(misuse(e) == expected, what);
    check::that(e.launch(1) == cudaErrorStreamCaptureInvalidated, std::string(what) + ", then a launch");
    cudaGraph_t graph;
    check::that(cudaStreamEndCapture(e.stream, &graph) == cudaErrorStreamCaptureInvalidated && !graph,
                std::string(what) + ", then the end");
    cudaGetLastError();
    check::that(e.launch(5) == cudaSuccess && e.y[1] == 10, std::string(what) + ", and after it");
}

void test_misuse() {
    float* memory = nullptr;
    invalidates("waiting for the stream", cudaErrorStreamCaptureUnsupported,
                [](Emulated& e) { return cudaStreamSynchronize(e.stream); });
    const Emulated another;
    invalidates("waiting for another stream", cudaErrorStreamCaptureUnsupported,
                [&](Emulated&) { return cudaStreamSynchronize(another.stream); });
    invalidates("cudaMalloc", cudaErrorStreamCaptureUnsupported, [&](Emulated&) { return cudaMalloc(&memory, 4); });
    invalidates("cudaFree", cudaErrorStreamCaptureUnsupported, [](Emulated& e) { return cudaFree(e.y); });
    invalidates("the first use of a kernel", cudaErrorStreamCaptureUnsupported, [](Emulated& e) {
        emulator::launch("never_used", never_used, dim3(1), dim3(4), 0, e.stream, (const float*)e.x, 1.0f, e.y);
        return cudaGetLastError();
    });
    invalidates("a memory node", cudaErrorNotSupported,
                [&](Emulated& e) { return cudaMallocAsync(&memory, 4, e.stream); });

    Emulated e;
    cudaEvent_t event;
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    e.begin(cudaStreamCaptureModeRelaxed);
    check::that(cudaMalloc(&memory, 4) == cudaSuccess && cudaFree(memory) == cudaSuccess,
                "relaxed: the rest of CUDA goes on");
    cudaEventRecord(event, e.stream);
    check::that(cudaEventSynchronize(event) == cudaErrorCapturedEvent, "an event of a capture cannot be waited for");
    cudaGetLastError();
    emulator::launch("scaled", scaled, dim3(1), dim3(2000), 0, e.stream, (const float*)e.x, 1.0f, e.y);
    check::that(cudaGetLastError() == cudaErrorInvalidConfiguration, "an impossible launch is told at its capture");
    cudaGraph_t graph;
    cudaStreamEndCapture(e.stream, &graph);
    cudaGraphDestroy(graph);
    cudaEventDestroy(event);
}

void test_varying_calls() {
    Backend b;
    mm_graph* graph = nullptr;
    b.table->graph_begin(b.stream);
    check::that(b.failed_with(b.table->graph_begin(b.stream), MM_INVALID_ARGUMENT, "already"), "one graph at a time");
    b.affine(2, b.x, b.y);  // y = 2 x + 1
    b.table->graph_vary(b.stream, 0);
    b.affine(3, b.y, b.y);  // y = 3 y + 1
    b.table->graph_vary(b.stream, -1);
    b.affine(1, b.y, b.x);  // x = y + 1
    check::that(b.table->graph_end(b.stream, &graph) == MM_OK && b.x[0] == 1, "a graph is captured");
    b.table->graph_launch(b.stream, graph);
    check::that(b.x[0] == 11 && b.x[3] == 29, "a graph runs its operations");

    check::that(b.table->graph_change(b.stream, graph, 0) == MM_OK && b.affine(0, b.y, b.y) == MM_OK &&
                    b.table->graph_change(b.stream, nullptr, -1) == MM_OK,
                "a varying call is changed");
    check::that(b.x[0] == 11 && b.y[0] == 10, "a change runs nothing");
    b.table->graph_launch(b.stream, graph);
    check::that(b.x[0] == 2 && b.x[3] == 2, "a launch has the new numbers");

    check::that(b.failed_with(b.table->graph_change(b.stream, graph, 1), MM_INVALID_ARGUMENT, "1 varying calls"),
                "there is no second varying call");
    b.table->graph_change(b.stream, graph, 0);
    check::that(b.failed_with(b.table->graph_change(b.stream, nullptr, -1), MM_INVALID_ARGUMENT, "fewer kernels"),
                "a call that is not changed after all");
    b.table->graph_change(b.stream, graph, 0);
    b.affine(1, b.y, b.y);
    check::that(b.failed_with(b.affine(1, b.y, b.y), MM_INVALID_ARGUMENT, "more kernels"), "two operations for one");
    b.table->graph_change(b.stream, nullptr, -1);
    b.table->graph_change(b.stream, graph, 0);
    check::that(b.failed_with(b.gradient_norm(), MM_UNSUPPORTED, "cannot vary"), "memory of an operation");
    b.table->graph_change(b.stream, nullptr, -1);
    b.table->graph_destroy(b.stream, graph);
}

void test_memory_of_operations() {
    Backend b;
    const size_t before = emulator::device_bytes_in_use();
    const auto capture = [&](int operations) {
        mm_graph* graph = nullptr;
        b.table->graph_begin(b.stream);
        for (int i = 0; i < operations; ++i) b.gradient_norm();
        b.table->graph_end(b.stream, &graph);
        return graph;
    };
    mm_graph* first = capture(1);
    const size_t one = emulator::device_bytes_in_use();
    mm_graph* second = capture(3);
    check::that(one > before && emulator::device_bytes_in_use() == one, "operations and graphs share their memory");
    b.table->graph_destroy(b.stream, first);
    b.table->graph_launch(b.stream, second);
    check::that(std::fabs(b.y[0] - std::sqrt(30.0f)) < 1e-5f, "it is there while a graph is");
    b.table->graph_destroy(b.stream, second);
    check::that(emulator::device_bytes_in_use() == before, "and is given back with the last");
    b.table->graph_begin(b.stream);
    b.gradient_norm();
    check::that(b.table->graph_end(b.stream, nullptr) == MM_OK && emulator::device_bytes_in_use() == before,
                "what is thrown away leaves nothing");
    capture(1);  // goes with the stream
}

// The functions that wait fail, and so does the end; the stream goes on.
void test_waiting_while_capturing() {
    Backend b;
    float host[4] = {};
    mm_graph* graph = nullptr;
    b.table->graph_begin(b.stream);
    check::that(b.failed_with(b.table->synchronize(b.stream), MM_DEVICE_ERROR, "captured"), "synchronize");
    check::that(b.table->graph_end(b.stream, &graph) == MM_DEVICE_ERROR && !graph, "a capture that was broken");
    b.table->graph_begin(b.stream);
    check::that(b.table->upload(b.stream, b.x, host, 16) == MM_DEVICE_ERROR, "upload");
    b.table->graph_end(b.stream, nullptr);
    check::that(b.affine(2, b.x, b.y) == MM_OK && b.table->synchronize(b.stream) == MM_OK, "after that");
    check::that(b.y[3] == 9, "after that, the result");
}

// The first thing that the process asks of the GPU: every kernel is loaded within the capture.
void test_first_use_in_a_capture() {
    Backend b;
    mm_graph* graph = nullptr;
    b.table->graph_begin(b.stream);
    const mm_status status = b.affine(2, b.x, b.y);
    const mm_status norm = b.gradient_norm();
    check::that(status == MM_OK && norm == MM_OK && b.table->graph_end(b.stream, &graph) == MM_OK,
                "kernels are used for the first time in a capture");
    if (graph) b.table->graph_launch(b.stream, graph);
    check::that(std::fabs(b.y[0] - std::sqrt(30.0f)) < 1e-5f, "and are in the graph");
    b.table->graph_destroy(b.stream, graph);
}

// The emulator aborts when a graph is destroyed that runs.
void test_destroyed_while_it_runs() {
    emulator::set_late(true);
    {
        Backend b;
        const auto capture_and_launch = [&] {
            mm_graph* graph = nullptr;
            b.table->graph_begin(b.stream);
            b.affine(2, b.x, b.y);
            b.table->graph_end(b.stream, &graph);
            b.table->graph_launch(b.stream, graph);
            return graph;
        };
        for (int i = 0; i < 3; ++i) b.table->graph_destroy(b.stream, capture_and_launch());
        check::that(b.table->synchronize(b.stream) == MM_OK && b.y[3] == 9, "a graph runs to its end");
        mm_graph* last = capture_and_launch();
        b.table->synchronize(b.stream);
        b.table->graph_launch(b.stream, last);
        b.table->graph_destroy(b.stream, last);
    }
    emulator::set_late(false);
}

}  // namespace

int main() {
    test_first_use_in_a_capture();
    test_destroyed_while_it_runs();
    test_capture_and_launch();
    test_misuse();
    test_varying_calls();
    test_memory_of_operations();
    test_waiting_while_capturing();
    return check::report();
}
