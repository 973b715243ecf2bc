// Graphs: work that is queued on a stream while it is captured is kept instead of done, and done whenever the graph
// is launched, in the order of its queueing.
//
// As with CUDA, what cannot be captured ends the capture: waiting for the stream that is captured, or, in all but
// relaxed mode, cudaMalloc, cudaFree and waiting for anything on the thread that captures. From then on whatever is
// queued on the stream is an error, and so is the end of the capture. Memory nodes are not emulated:
// cudaMallocAsync on a stream that is captured is an error too. A stream that waits for the captured one becomes a part
// of the capture, which cannot end until the captured one has waited for it in turn.
//
// graph.cpp and runtime.cpp call each other, and are meant to: they are two chapters of one API, CUDA's runtime, in
// which whatever is queued has to ask whether it is captured, and whatever is captured can fail as calls fail.
#pragma once

#include <functional>

#include "runtime.h"

namespace medmamba::cuda::emulator {

struct Node {
    const void* kernel;  // null: a copy or the like
    std::function<void(Stream*)> work;
};

bool stream_is_capturing(const Stream* stream);

// Adds a node to the graph that the stream is captured into. Sets what cudaGetLastError() answers.
cudaError_t capture(Stream* stream, Node node);

// Whether what is queued on the stream is done at once, and not when a graph is launched or somebody waits for it.
bool runs_at_once(const Stream* stream);
// Keeps a node for then, or does it now: the stream's dice say which.
void put_off(Stream* stream, Node node);

template <class Work>
cudaError_t now_or_captured(Stream* stream, const Work& work) {
    if (stream_is_capturing(stream)) return capture(stream, {nullptr, work});
    if (!runs_at_once(stream)) return put_off(stream, {nullptr, work}), cudaSuccess;
    work(stream);
    return cudaSuccess;
}

// What cudaStreamWaitEvent does within a capture: `stream` waits for what was queued on `other` as the `last`.
cudaError_t wait_within_capture(Stream* stream, Stream* other, uint64_t last);

// Whether the calling thread captures in a mode that forbids the call `name`; if so, the capture is over.
bool forbidden_while_capturing(const char* name);
// Whether the stream is captured, so that it cannot be asked for `name`; if so, the capture is over.
bool invalidated_as_unsupported(Stream* stream, const char* name);
void drop_capture(Stream* stream);

// Later launches of `executable` do `work` in the place of `node`, which has to be of the same kernel.
cudaError_t replace(cudaGraphExec_t executable, cudaGraphNode_t node, Node work);

}  // namespace medmamba::cuda::emulator
