// Graphs on the emulator: it does what CUDA does while a stream is captured, and refuses what CUDA refuses then.
#include <string>

#include "../../native/cuda/device.cuh"
#include "../../native/emulator/stream.h"
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

// A second stream that waits for the captured one is a part of the graph, and has to be waited for in turn.
void test_two_streams() {
    Emulated e, other;
    cudaEvent_t begun, done, elsewhere;
    for (cudaEvent_t* event : {&begun, &done, &elsewhere}) cudaEventCreateWithFlags(event, cudaEventDisableTiming);
    const auto on_other = [&](float factor, float* y) {
        emulator::launch("scaled", scaled, dim3(1), dim3(4), 0, other.stream, (const float*)e.x, factor, y);
    };
    const auto fork = [&] {
        cudaEventRecord(begun, e.stream);
        cudaStreamWaitEvent(other.stream, begun, 0);
    };
    const auto join = [&] {
        cudaEventRecord(done, other.stream);
        cudaStreamWaitEvent(e.stream, done, 0);
    };
    int late = 0;
    for (int round = 0; round < 32; ++round) {
        other.y[0] = 0;
        fork();
        on_other(5, other.y);
        late += other.y[0] == 0;
        join();
        check::that(other.y[0] == 5, "what is beside is done once it is joined");
    }
    check::that(late > 0 && late < 32, "and before, it may be or not");

    cudaGraph_t graph;
    cudaGraphExec_t executable;
    other.y[0] = 0;
    e.begin();
    fork();
    on_other(7, other.y);
    e.launch(2);
    join();
    check::that(cudaStreamEndCapture(e.stream, &graph) == cudaSuccess && other.y[0] == 0, "two streams are captured");
    cudaGraphInstantiate(&executable, graph);
    cudaGraphLaunch(executable, e.stream);
    check::that(other.y[0] == 7 && e.y[0] == 2, "and a launch does the work of both");
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);

    cudaEventRecord(elsewhere, other.stream);
    e.begin();
    check::that(cudaStreamWaitEvent(e.stream, elsewhere, 0) == cudaErrorStreamCaptureIsolation,
                "a capture waits for nothing outside of it");
    cudaStreamEndCapture(e.stream, &graph);
    e.begin();
    fork();
    on_other(7, other.y);
    check::that(cudaStreamEndCapture(e.stream, &graph) == cudaErrorStreamCaptureUnjoined && !graph,
                "a capture does not end with a stream that it has not waited for");
    cudaGetLastError();
    check::that(e.launch(3) == cudaSuccess && e.y[0] == 3, "and the stream is as before");
    for (cudaEvent_t event : {begun, done, elsewhere}) cudaEventDestroy(event);
}

}  // namespace

int main() {
    test_capture_and_launch();
    test_two_streams();
    test_misuse();
    return check::report();
}
