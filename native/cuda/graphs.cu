#include "graphs.cuh"

#include <algorithm>

#include "stream.cuh"

// An error is an earlier error of the device.
mm_graph::~mm_graph() {
    if (done && cudaEventDestroy(done) != cudaSuccess) cudaGetLastError();
    if (executable && cudaGraphExecDestroy(executable) != cudaSuccess) cudaGetLastError();
    if (graph && cudaGraphDestroy(graph) != cudaSuccess) cudaGetLastError();
}

namespace medmamba::cuda {

namespace {

cudaError_t instantiate(mm_graph* captured) {
#if CUDART_VERSION >= 12000
    return cudaGraphInstantiate(&captured->executable, captured->graph, 0);
#else
    return cudaGraphInstantiate(&captured->executable, captured->graph, nullptr, nullptr, 0);
#endif
}

}  // namespace

// The mode leaves other threads alone, which allocate memory meanwhile, on a stream of its own.
mm_status Graphs::begin(mm_stream* stream) {
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    if (capturing_) return stream->fail(MM_INVALID_ARGUMENT, "a graph is being captured already");
    destroy_ended();
    const cudaError_t error = cudaStreamBeginCapture(stream->stream, cudaStreamCaptureModeThreadLocal);
    if (error != cudaSuccess) return stream->check(error, "beginning to capture a graph");
    capturing_ = std::make_unique<mm_graph>();
    varying_call_ = -1;
    return MM_OK;
}

mm_status Graphs::end(mm_stream* stream, mm_graph** graph) {
    if (!capturing_) return stream->fail(MM_INVALID_ARGUMENT, "no graph is being captured");
    std::unique_ptr<mm_graph> captured = std::move(capturing_);
    if (graph) *graph = nullptr;
    cudaError_t error = cudaStreamEndCapture(stream->stream, &captured->graph);
    stream->beside.forget();
    if (!graph) {
        cudaGetLastError();  // it is thrown away: whoever does that knows why
        release_memory(stream);
        return MM_OK;
    }
    if (error == cudaSuccess) error = instantiate(captured.get());
    if (error != cudaSuccess) {
        release_memory(stream);
        return stream->check(error, "capturing a graph");
    }
    *graph = captured.get();
    graphs_.push_back(std::move(captured));
    return MM_OK;
}

mm_status Graphs::vary(mm_stream* stream, int64_t call) {
    if (!capturing_) return stream->fail(MM_INVALID_ARGUMENT, "no graph is being captured");
    varying_call_ = call;
    if (call >= 0 && (size_t)call >= capturing_->varying.size()) capturing_->varying.resize((size_t)call + 1);
    return MM_OK;
}

mm_status Graphs::captured_kernel(mm_stream* stream, const char* what) {
    if (varying_call_ < 0) return MM_OK;
    // What is queued next would wait for these nodes: on one stream, the one that was queued last.
    cudaStreamCaptureStatus status;
    unsigned long long id;
    cudaGraph_t graph;
    const cudaGraphNode_t* last = nullptr;
    size_t count = 0;
#if CUDART_VERSION >= 13000
    const cudaGraphEdgeData* edges = nullptr;
    const cudaError_t error = cudaStreamGetCaptureInfo(stream->stream, &status, &id, &graph, &last, &edges, &count);
#else
    const cudaError_t error = cudaStreamGetCaptureInfo_v2(stream->stream, &status, &id, &graph, &last, &count);
#endif
    if (error != cudaSuccess) return stream->check(error, what);
    if (status != cudaStreamCaptureStatusActive || count != 1)
        return stream->fail(MM_INTERNAL, "%s: the graph has %zu last nodes, not one", what, count);
    capturing_->varying[(size_t)varying_call_].push_back(*last);
    return MM_OK;
}

mm_status Graphs::change(mm_stream* stream, mm_graph* graph, int64_t call) {
    if (graph && (call < 0 || (size_t)call >= graph->varying.size()))
        return stream->fail(MM_INVALID_ARGUMENT, "the graph has %zu varying calls", graph->varying.size());
    const bool all = !changing_ || changed_kernels_ == changing_->varying[changing_call_].size();
    changing_ = graph;
    changing_call_ = graph ? (size_t)call : 0;
    changed_kernels_ = 0;
    if (all) return MM_OK;
    return stream->fail(MM_INVALID_ARGUMENT, "an operation has fewer kernels than when it was captured");
}

mm_status Graphs::next_kernel(mm_stream* stream, const char* what, cudaGraphExec_t* executable,
                              cudaGraphNode_t* node) {
    const std::vector<cudaGraphNode_t>& kernels = changing_->varying[changing_call_];
    if (changed_kernels_ == kernels.size())
        return stream->fail(MM_INVALID_ARGUMENT, "%s has more kernels than when it was captured", what);
    *executable = changing_->executable;
    *node = kernels[changed_kernels_++];
    return MM_OK;
}

mm_status Graphs::launch(mm_stream* stream, mm_graph* graph) {
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    destroy_ended();
    cudaError_t error = cudaSuccess;
    if (!graph->done) error = cudaEventCreateWithFlags(&graph->done, cudaEventDisableTiming);
    if (error == cudaSuccess) error = cudaGraphLaunch(graph->executable, stream->stream);
    if (error == cudaSuccess) error = cudaEventRecord(graph->done, stream->stream);
    return error == cudaSuccess ? stream->queued("a graph") : stream->check(error, "launching a graph");
}

void Graphs::destroy(mm_stream* stream, mm_graph* graph) {
    const auto found =
        std::find_if(graphs_.begin(), graphs_.end(), [&](const auto& kept) { return kept.get() == graph; });
    if (found == graphs_.end()) return;
    ending_.push_back(std::move(*found));
    graphs_.erase(found);
    destroy_ended();
    release_memory(stream);
}

// CUDA does not say what becomes of a graph that is destroyed while it runs: so it is kept until it has.
// Within a capture nobody may ask.
void Graphs::destroy_ended() {
    if (capturing()) return;
    const auto has_ended = [](const std::unique_ptr<mm_graph>& graph) {
        const cudaError_t error = graph->done ? cudaEventQuery(graph->done) : cudaSuccess;
        if (error != cudaSuccess) cudaGetLastError();
        return error != cudaErrorNotReady;
    };
    ending_.erase(std::remove_if(ending_.begin(), ending_.end(), has_ended), ending_.end());
}

namespace {

// Within the capture of a stream the thread may do nothing that could wait for the device, unless it says that it knows
// that this is no part of the capture.
template <class Work>
cudaError_t beside_capture(Work&& work) {
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    cudaError_t error = cudaThreadExchangeStreamCaptureMode(&mode);
    if (error != cudaSuccess) return error;
    error = work();
    const cudaError_t restored = cudaThreadExchangeStreamCaptureMode(&mode);
    return error == cudaSuccess ? restored : error;
}

// On another stream, because here it would become a part of the graph.
cudaError_t allocate_beside(mm_stream* stream, size_t bytes, float** memory) {
    return beside_capture([&] {
        const cudaError_t error = stream->memory.take((void**)memory, bytes, stream->memory_stream);
        return error == cudaSuccess ? cudaStreamSynchronize(stream->memory_stream) : error;
    });
}

}  // namespace

// CUDA loads kernels when they are first used, which may wait for the device. To ask for a kernel's attributes loads it.
cudaError_t Graphs::load_kernel(const void* kernel) const {
    if (!capturing()) return cudaSuccess;
    cudaFuncAttributes attributes;
    return beside_capture([&] { return cudaFuncGetAttributes(&attributes, kernel); });
}

// A piece that is not much too large, otherwise a new one.
float* Graphs::take(mm_stream* stream, size_t bytes, cudaError_t* error) {
    Piece* best = nullptr;
    for (Piece& piece : memory_) {
        const bool fits = !piece.taken && piece.bytes >= bytes && piece.bytes / 2 <= bytes;
        if (fits && (!best || piece.bytes < best->bytes)) best = &piece;
    }
    if (!best) {
        float* memory = nullptr;
        *error = allocate_beside(stream, bytes, &memory);
        if (*error != cudaSuccess) return nullptr;
        memory_.push_back({memory, bytes, false});
        best = &memory_.back();
    }
    best->taken = true;
    return best->memory;
}

void Graphs::give_back(float* memory) {
    for (Piece& piece : memory_)
        if (piece.memory == memory) piece.taken = false;
}

// In stream order: graphs that were launched find it still.
void Graphs::release_memory(mm_stream* stream) {
    if (!graphs_.empty()) return;
    for (const Piece& piece : memory_) stream->memory.give_back(piece.memory, stream->stream);
    memory_.clear();
}

void Graphs::close(mm_stream* stream) {
    graphs_.clear();
    ending_.clear();
    release_memory(stream);
}

}  // namespace medmamba::cuda
