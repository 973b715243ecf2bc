#include "graph.h"

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "model.h"
#include "stream.h"

namespace medmamba::cuda::emulator {

struct Graph {
    std::vector<std::unique_ptr<Node>> nodes;
};

// A graph made ready to launch: nodes of its own, in the order of the graph's.
struct Executable {
    std::vector<const Node*> places;
    std::vector<Node> nodes;
    uint64_t launched = 0;
};

struct Capture {
    Stream* stream;
    std::map<Stream*, uint64_t> others{};  // that have waited for it, and what of them it has waited for
    cudaStreamCaptureMode mode;
    std::thread::id thread;
    unsigned long long id;
    bool invalidated = false;
    cudaGraphNode_t last = nullptr;
    std::unique_ptr<Graph> graph = std::make_unique<Graph>();
};

namespace {

// What the calling thread captures in a mode that forbids it calls; one at a time is enough here.
thread_local Capture* of_this_thread = nullptr;
thread_local cudaStreamCaptureMode mode_of_this_thread = cudaStreamCaptureModeGlobal;

cudaError_t failed(cudaError_t error, const char* sentence) {
    set_last_error(error, "%s", sentence);
    return error;
}

constexpr const char* already_over = "an earlier error has ended the stream's capture";

void end(Stream* stream) {
    if (of_this_thread == stream->capture) of_this_thread = nullptr;
    for (const auto& [other, joined] : stream->capture->others) {
        other->capture = nullptr;
        other->put_off.clear();
        other->done = other->queued;
    }
    delete stream->capture;
    stream->capture = nullptr;
}

bool all_joined(const Capture& capture) {
    for (const auto& [other, joined] : capture.others)
        if (joined < other->queued) return false;
    return true;
}

}  // namespace

bool stream_is_capturing(const Stream* stream) { return stream->capture != nullptr; }

void drop_capture(Stream* stream) {
    Capture* capture = stream->capture;
    if (!capture) return;
    if (capture->stream == stream) return end(stream);
    capture->others.erase(stream);
}

bool runs_at_once(const Stream* stream) { return !stream->capture && !stream->is_beside; }

void put_off(Stream* stream, Node node) {
    stream->put_off.push_back(std::move(node));
    ++stream->queued;
    if (stream->dice.below(2)) catch_up(stream, stream->queued);
}

void catch_up(Stream* stream, uint64_t last) {
    const size_t count = last > stream->done ? (size_t)(last - stream->done) : 0;
    std::vector<Node> due(std::make_move_iterator(stream->put_off.begin()),
                          std::make_move_iterator(stream->put_off.begin() + (ptrdiff_t)count));
    stream->put_off.erase(stream->put_off.begin(), stream->put_off.begin() + (ptrdiff_t)count);
    stream->done += count;
    for (Node& node : due) {
        if (stream->capture) {
            capture(stream->capture->stream, std::move(node));
        } else {
            node.work(stream);
        }
    }
}

cudaError_t wait_within_capture(Stream* stream, Stream* other, uint64_t last) {
    Capture* capture = other->capture;
    if (stream->capture && stream->capture != capture)
        return failed(cudaErrorStreamCaptureMerge, "a captured stream waits for one of another capture");
    if (capture->stream == stream) return capture->others[other] = last, catch_up(other, last), cudaSuccess;
    if (!stream->capture) {
        stream->capture = capture;
        stream->is_beside = true;
        capture->others[stream] = stream->queued;
    }
    return cudaSuccess;
}

cudaError_t capture(Stream* stream, Node node) {
    Capture& capture = *stream->capture;
    if (capture.invalidated) return failed(cudaErrorStreamCaptureInvalidated, already_over);
    if (capture.stream != stream) return put_off(stream, std::move(node)), cudaSuccess;
    capture.graph->nodes.push_back(std::make_unique<Node>(std::move(node)));
    capture.last = capture.graph->nodes.back().get();
    return cudaSuccess;
}

bool forbidden_while_capturing(const char* name) {
    if (!of_this_thread || mode_of_this_thread == cudaStreamCaptureModeRelaxed) return false;
    of_this_thread->invalidated = true;
    set_last_error(cudaErrorStreamCaptureUnsupported, "%s is called by a thread that captures a stream", name);
    return true;
}

bool invalidated_as_unsupported(Stream* stream, const char* name) {
    if (!stream || !stream->capture) return false;
    stream->capture->invalidated = true;
    set_last_error(cudaErrorStreamCaptureUnsupported, "%s on a stream that is captured", name);
    return true;
}

cudaError_t replace(cudaGraphExec_t executable, cudaGraphNode_t node, Node work) {
    for (size_t i = 0; i < executable->places.size(); ++i) {
        if (executable->places[i] != node) continue;
        if (executable->nodes[i].kernel != work.kernel)
            return failed(cudaErrorInvalidValue, "a kernel node is given the arguments of another kernel");
        executable->nodes[i] = std::move(work);
        return cudaSuccess;
    }
    return failed(cudaErrorInvalidValue, "the node is none of the graph");
}

}  // namespace medmamba::cuda::emulator

using namespace medmamba::cuda::emulator;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    static thread_local unsigned long long captures = 0;
    if (stream->capture) return failed(cudaErrorIllegalState, "the stream is captured already");
    stream->capture = new Capture{stream, {}, mode, std::this_thread::get_id(), ++captures};
    if (mode != cudaStreamCaptureModeRelaxed) of_this_thread = stream->capture;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    *graph = nullptr;
    Capture* capture = stream->capture;
    if (!capture || capture->stream != stream) return failed(cudaErrorIllegalState, "the stream is not captured");
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
        return failed(cudaErrorStreamCaptureWrongThread, "a capture ends on another thread than it began on");
    const bool invalidated = capture->invalidated, joined = all_joined(*capture);
    if (!invalidated && joined) *graph = capture->graph.release();
    end(stream);
    if (!joined) return failed(cudaErrorStreamCaptureUnjoined, "a capture ends with a stream that it has not waited for");
    return invalidated ? failed(cudaErrorStreamCaptureInvalidated, already_over) : cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
    std::swap(*mode, mode_of_this_thread);
    return cudaSuccess;
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long* id,
                                     cudaGraph_t* graph, const cudaGraphNode_t** dependencies,
                                     const cudaGraphEdgeData** edges, size_t* dependency_count) {
    if (!driver_has(11030)) return cudaErrorCallRequiresNewerDriver;
    Capture* capture = stream->capture;
    *status = !capture               ? cudaStreamCaptureStatusNone
              : capture->invalidated ? cudaStreamCaptureStatusInvalidated
                                     : cudaStreamCaptureStatusActive;
    if (*status != cudaStreamCaptureStatusActive) return cudaSuccess;
    if (id) *id = capture->id;
    if (graph) *graph = capture->graph.get();
    if (dependencies) *dependencies = &capture->last;
    if (edges) *edges = nullptr;
    if (dependency_count) *dependency_count = capture->last ? 1 : 0;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    *executable = new Executable;
    for (const auto& node : graph->nodes) {
        (*executable)->places.push_back(node.get());
        (*executable)->nodes.push_back(*node);
    }
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    if (invalidated_as_unsupported(stream, "cudaGraphLaunch")) return cudaErrorNotSupported;
    for (const Node& node : executable->nodes) {
        node.work(stream);
        if (const cudaError_t error = cudaPeekAtLastError(); error != cudaSuccess) return error;
    }
    executable->launched = queue_work();
    return cudaSuccess;
}

// Of one that runs, CUDA says no more than that what happens then is undefined.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    if (!has_run(executable->launched)) {
        std::fprintf(stderr, "medmamba emulator: a graph is destroyed while it runs\n");
        std::abort();
    }
    delete executable;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
