// A stream's way to other ranks as JavaScript sees it: NativeCommunicator of src/native/addon.ts.
//
// Operations take it as a field, like a buffer. It is connected and disconnected on the executor, in the order of the queue.
// A graph may outlive it: its launches ask first whether it is still connected.
#pragma once

#include <napi.h>

#include <atomic>
#include <memory>
#include <string>

#include "../backend/backend.h"
#include "errors.h"

namespace medmamba::addon {

class Memory;
struct StreamLink;

struct Connection {
    std::atomic<mm_communicator*> communicator{nullptr};  // null before it is connected, and after it is not any more
    bool through_host = false;                            // which no graph can hold
};

// What a connection is made by.
struct Meeting {
    std::string engine;   // "mpi" or "nccl"
    std::string library;  // of the engine
    char id[MM_COMMUNICATOR_ID_BYTES];
    int32_t rank, size;
};

// Throws MEDMAMBA_INVALID_ARGUMENT for what is none.
Meeting read_meeting(Napi::Env env, const Napi::Value& value);

// Of an engine, and of a backend other than the CPU's. Throws MEDMAMBA_NO_DEVICE where there is none, and why.
const mm_backend* backend_of_engine(Napi::Env env, const std::string& engine, const mm_backend* backend);

// On the executor; throws Failure.
void connect(Connection& connection, const Meeting& meeting, const mm_backend* engine, const mm_backend* backend,
             mm_stream* stream);
void disconnect(Connection& connection, mm_stream* stream);

class Communicator : public Napi::ObjectWrap<Communicator> {
public:
    static Napi::Function define(Napi::Env env);
    static Napi::Object create(Napi::Env env, std::shared_ptr<StreamLink> link, const Memory* memory,
                               std::shared_ptr<Connection> connection);
    // Null if `value` is anything but a communicator that `create` made.
    static Communicator* of(napi_env env, napi_value value);

    explicit Communicator(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

    bool closed() const;
    // Names the stream that it is of, as it does for buffers.
    const Memory* memory() const { return memory_; }
    const std::shared_ptr<Connection>& connection() const { return connection_; }

private:
    // A method as an entry of the addon.
    template <auto method>
    Napi::Value entry(const Napi::CallbackInfo& info) {
        return translated(info, [&] { return (this->*method)(info); });
    }

    Napi::Value is_closed(const Napi::CallbackInfo& info);
    void close(const Napi::CallbackInfo&);

    std::shared_ptr<StreamLink> link_;
    const Memory* memory_ = nullptr;
    std::shared_ptr<Connection> connection_;  // null once closed
};

}  // namespace medmamba::addon
