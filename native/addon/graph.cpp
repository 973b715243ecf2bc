#include "graph.h"

#include <algorithm>

#include "environment.h"
#include "errors.h"
#include "stream.h"

namespace medmamba::addon {

namespace {

constexpr napi_type_tag type_tag{0x6d65646d616d6261, 0x6772617068000001};

Failure failure_of(const mm_backend* backend, mm_stream* stream, mm_status status, const char* operation) {
    return {status, operation, backend->last_error(stream)};
}

mm_status run(const CapturedCalls::Call& call, Beside& beside) {
    return call.operation ? beside.run(*call.operation, call.parameters, call.beside) : beside.join();
}

}  // namespace

// ---- on the executor -----------------------------------------------------------------------------------------

CapturedCalls::CapturedCalls(std::vector<Call> calls) : calls_(std::move(calls)) {
    for (const Call& call : calls_)
        connections_.insert(connections_.end(), call.parameters->connections().begin(), call.parameters->connections().end());
}

void CapturedCalls::capture(const mm_backend* backend, mm_stream* stream, Beside& beside) {
    if (!backend->graph_begin) return;
    const char* name = "graph";
    mm_status status = backend->graph_begin(stream);
    int64_t varying = 0;
    for (auto call = calls_.begin(); call != calls_.end() && status == MM_OK; ++call) {
        name = call->name();
        if (call->varies) status = backend->graph_vary(stream, varying++);
        if (status == MM_OK) status = run(*call, beside);
        if (status == MM_OK && call->varies) status = backend->graph_vary(stream, -1);
    }
    if (status == MM_OK) {
        name = "graph";
        status = backend->graph_end(stream, &graph_);
        if (status != MM_OK) failure_ = failure_of(backend, stream, status, name);
    } else {
        failure_ = failure_of(backend, stream, status, name);
        backend->graph_end(stream, nullptr);
    }
    if (failure_) {
        calls_.clear();
        throw *failure_;
    }
    const auto fixed = std::remove_if(calls_.begin(), calls_.end(), [](const Call& call) { return !call.varies; });
    calls_.erase(fixed, calls_.end());
}

void CapturedCalls::launch(const mm_backend* backend, mm_stream* stream, Beside& beside, const Changes& changes) {
    if (failure_) throw *failure_;
    for (const auto& connection : connections_)
        if (!connection->communicator)
            throw Failure{MM_INVALID_ARGUMENT, "graph", "the communicator that it was captured with has been closed"};
    size_t number = 0;
    for (const Call& call : calls_) {
        if (!call.varies || number == changes.size()) continue;
        call.parameters->change(changes[number]);
        const int64_t varying = (int64_t)number++;
        if (!graph_) continue;
        const char* name = call.operation->name;
        mm_status status = backend->graph_change(stream, graph_, varying);
        if (status == MM_OK) status = call.operation->run(backend, stream, call.parameters->data());
        if (status != MM_OK) {
            const Failure failure = failure_of(backend, stream, status, name);
            backend->graph_change(stream, nullptr, -1);
            throw failure;
        }
        status = backend->graph_change(stream, nullptr, -1);
        if (status != MM_OK) throw failure_of(backend, stream, status, name);
    }
    if (!graph_) return repeat(backend, stream, beside);
    const mm_status status = backend->graph_launch(stream, graph_);
    if (status != MM_OK) throw failure_of(backend, stream, status, "graph");
}

// A failure does not keep the later calls from running, just as it would not if they were queued one by one.
void CapturedCalls::repeat(const mm_backend* backend, mm_stream* stream, Beside& beside) {
    std::optional<Failure> first;
    for (const Call& call : calls_) {
        const mm_status status = run(call, beside);
        if (status != MM_OK && !first) first = failure_of(backend, stream, status, call.name());
    }
    if (first) throw *first;
}

void CapturedCalls::destroy(const mm_backend* backend, mm_stream* stream) {
    if (graph_) backend->graph_destroy(stream, graph_);
    graph_ = nullptr;
    calls_.clear();
}

// ---- on JavaScript's thread ----------------------------------------------------------------------------------

Napi::Function Graph::define(Napi::Env env) {
    return DefineClass(env, "NativeGraph",
                       {InstanceAccessor<&Graph::entry<&Graph::is_disposed>>("disposed"), InstanceMethod<&Graph::entry<&Graph::launch>>("launch"),
                        InstanceMethod<&Graph::entry<&Graph::dispose>>("dispose")});
}

Napi::Object Graph::create(Napi::Env env, std::shared_ptr<StreamLink> link, Recording recording,
                           std::shared_ptr<CapturedCalls> calls) {
    Napi::Object handle = Environment::of(env).graph.New({});
    handle.TypeTag(&type_tag);
    Graph* graph = Unwrap(handle);
    graph->link_ = std::move(link);
    graph->calls_ = std::move(calls);
    for (const CapturedCalls::Call& call : recording.calls)
        if (call.varies) graph->varying_.push_back(call.operation);
    graph->pool_ = std::move(recording.pool);
    graph->blocks_ = std::move(recording.blocks);
    return handle;
}

Graph* Graph::of(napi_env env, napi_value value) {
    napi_valuetype type;
    bool tagged = false;
    void* wrapped = nullptr;
    if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return nullptr;
    if (napi_check_object_type_tag(env, value, &type_tag, &tagged) != napi_ok || !tagged) return nullptr;
    return napi_unwrap(env, value, &wrapped) == napi_ok ? static_cast<Graph*>(wrapped) : nullptr;
}

Napi::Value Graph::is_disposed(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), !calls_ || !link_->stream);
}

void Graph::launch(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!calls_) throw coded_error(env, code::disposed, "launch: the graph has been disposed", "graph");
    if (!link_->stream) throw coded_error(env, code::disposed, "launch: the device has been closed", "graph");
    Changes changes;
    if (!info[0].IsUndefined()) {
        if (!info[0].IsArray() || info[0].As<Napi::Array>().Length() != varying_.size()) {
            throw coded_error(env, code::invalid_argument,
                              "launch: the changes have to be an array, of one object for each of the graph's " +
                                  std::to_string(varying_.size()) + " varying calls",
                              "graph");
        }
        const Napi::Array given = info[0].As<Napi::Array>();
        for (uint32_t i = 0; i < varying_.size(); ++i)
            changes.push_back(read_changes(env, varying_[i]->name, *varying_[i]->parameters, given.Get(i)));
    }
    // Reading them may have run JavaScript that disposed this graph, or closed its device.
    if (!calls_ || !link_->stream)
        throw coded_error(env, code::disposed, "launch: the graph was disposed while the changes were read", "graph");
    link_->stream->launch(env, calls_, std::move(changes));
}

// The graph's memory can be used by whatever is queued from here on: its launches were queued before.
void Graph::release() {
    if (!calls_) return;
    if (link_->stream) link_->stream->destroy(calls_);
    calls_.reset();
    blocks_.clear();
    pool_.reset();
}

}  // namespace medmamba::addon
