// A graph as JavaScript sees it, NativeGraph of src/native/addon.ts: the calls of a capture, to be launched as one.
//
// Calls are recorded on JavaScript's thread and captured in one go on the executor, so that nothing else that is
// queued, and no wait for memory, can fall into the capture. A backend without graphs gets the calls again, one by
// one.
//
// A graph owns the memory that its calls work on: what was allocated during the capture comes from a pool that serves
// graphs alone, and blocks that were there before live on with the graph. Handles that are disposed change nothing.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "beside.h"
#include "errors.h"
#include "memory.h"
#include "operations.h"
#include "parameters.h"
#include "queue.h"

namespace medmamba::addon {

class Stream;

// What a launch changes in each varying call.
using Changes = std::vector<std::vector<Change>>;

// The executor's side.
class CapturedCalls {
public:
    struct Call {
        const Operation* operation;  // null: a join of what is beside
        std::shared_ptr<Parameters> parameters;
        bool varies, beside;

        const char* name() const { return operation ? operation->name : "join"; }
    };

    explicit CapturedCalls(std::vector<Call> calls);

    // Each throws the Failure of the operation that could not be captured, of launches too.
    void capture(const mm_backend* backend, mm_stream* stream, Beside& beside);
    void launch(const mm_backend* backend, mm_stream* stream, Beside& beside, const Changes& changes);
    void destroy(const mm_backend* backend, mm_stream* stream);

private:
    void repeat(const mm_backend* backend, mm_stream* stream, Beside& beside);

    std::vector<Call> calls_;  // once captured by a backend with graphs: those that vary
    std::vector<std::shared_ptr<Connection>> connections_;
    mm_graph* graph_ = nullptr;
    std::optional<Failure> failure_;
};

// Of a stream, between the begin of a capture and its end; on JavaScript's thread.
struct Recording {
    std::shared_ptr<Pool> pool;
    uint64_t first_block;  // blocks from here on are made during the capture
    std::vector<CapturedCalls::Call> calls;
    std::unordered_set<std::shared_ptr<Block>> blocks;  // older ones, that the calls use
};

// To the stream, as long as it is open.
struct StreamLink {
    Stream* stream;
};

class Graph : public Napi::ObjectWrap<Graph> {
public:
    static Napi::Function define(Napi::Env env);
    static Napi::Object create(Napi::Env env, std::shared_ptr<StreamLink> link, Recording recording,
                               std::shared_ptr<CapturedCalls> calls);
    // Null if `value` is anything but a graph that `create` made.
    static Graph* of(napi_env env, napi_value value);

    explicit Graph(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
    ~Graph() { release(); }

    // Null once disposed.
    const std::shared_ptr<Pool>& pool() const { return pool_; }
    const Stream* stream() const { return link_->stream; }

private:
    // A method as an entry of the addon.
    template <auto method>
    Napi::Value entry(const Napi::CallbackInfo& info) {
        return translated(info, [&] { return (this->*method)(info); });
    }

    Napi::Value is_disposed(const Napi::CallbackInfo& info);
    void launch(const Napi::CallbackInfo& info);
    void dispose(const Napi::CallbackInfo&) { release(); }
    void release();

    std::shared_ptr<StreamLink> link_;
    std::shared_ptr<CapturedCalls> calls_;  // null once disposed
    std::vector<const Operation*> varying_;
    std::shared_ptr<Pool> pool_;
    std::unordered_set<std::shared_ptr<Block>> blocks_;
};

}  // namespace medmamba::addon
