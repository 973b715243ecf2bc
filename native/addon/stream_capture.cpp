// Graphs of a stream: while one is captured, its calls are kept beside being checked, and queued as a whole at the end.
#include "errors.h"
#include "stream.h"

namespace medmamba::addon {

Napi::Value Stream::has_graphs(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), backend_ && backend_->graph_begin);
}

void Stream::expect_no_capture(Napi::Env env, const std::string& operation, const char* why) const {
    if (!recording_) return;
    throw coded_error(env, code::unsupported, operation + " is not possible while a graph is captured: " + why,
                      operation);
}

void Stream::begin_capture(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    expect_open(env, "beginCapture");
    expect_no_capture(env, "beginCapture", "end that capture first");
    const char* name = "beginCapture";
    if (profile_)
        throw coded_error(env, code::unsupported, "beginCapture: a graph cannot be timed operation by operation", name);
    std::shared_ptr<Pool> pool;
    if (!info[0].IsUndefined()) {
        const Graph* graph = Graph::of(env, info[0]);
        if (!graph || !graph->pool() || graph->stream() != this)
            throw coded_error(env, code::invalid_argument,
                              "beginCapture: memory is shared with a graph of this stream that lives", name);
        pool = graph->pool();
    } else {
        pool = std::make_shared<Pool>(memory_);
    }
    memory_->use_pool(pool);
    recording_.emplace(Recording{std::move(pool), memory_->block_count(), {}, {}});
}

Recording Stream::stop_recording() {
    Recording recording = std::move(*recording_);
    recording_.reset();
    memory_->use_pool(nullptr);
    return recording;
}

Napi::Value Stream::end_capture(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    expect_open(env, "endCapture");
    if (!recording_)
        throw coded_error(env, code::invalid_argument, "endCapture: no graph is being captured", "endCapture");
    Recording recording = stop_recording();
    auto calls = std::make_shared<CapturedCalls>(recording.calls);
    queue_->push("graph", [this, calls] {
        if (const mm_status joined = beside_->join(); joined != MM_OK) return joined;
        calls->capture(backend_, stream_, *beside_);
        return MM_OK;
    });
    return Graph::create(env, link_, std::move(recording), std::move(calls));
}

void Stream::abandon_capture(const Napi::CallbackInfo&) {
    if (recording_) stop_recording();
}

void Stream::launch(Napi::Env env, std::shared_ptr<CapturedCalls> calls, Changes changes) {
    expect_no_capture(env, "launch", "a graph is launched by itself");
    queue_->push("graph", [this, calls = std::move(calls), changes = std::move(changes)] {
        if (const mm_status joined = beside_->join(); joined != MM_OK) return joined;
        calls->launch(backend_, stream_, *beside_, changes);
        return MM_OK;
    });
}

void Stream::destroy(std::shared_ptr<CapturedCalls> calls) {
    queue_->push("graph", [this, calls = std::move(calls)] {
        calls->destroy(backend_, stream_);
        return MM_OK;
    });
}

}  // namespace medmamba::addon
