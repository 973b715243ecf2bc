#include "communicator.h"

#include <cstring>

#include "../backend/collectives.h"
#include "../cpu/backend.h"
#include "environment.h"
#include "host_bytes.h"
#include "numbers.h"
#include "queue.h"
#include "stream.h"

namespace medmamba::addon {

namespace {

constexpr napi_type_tag type_tag{0x6d65646d616d6261, 0x636f6d6d756e0001};

int32_t count(Napi::Env env, const Napi::Object& meeting, const char* name) {
    const std::optional<int64_t> number = whole_number(env, meeting.Get(name));
    if (number && *number >= 0 && *number <= INT32_MAX) return (int32_t)*number;
    throw coded_error(env, code::invalid_argument, std::string("connect: ") + name + " has to be a whole number from 0",
                      "connect");
}

}  // namespace

Meeting read_meeting(Napi::Env env, const Napi::Value& value) {
    if (!value.IsObject())
        throw coded_error(env, code::invalid_argument, "connect: the meeting has to be an object", "connect");
    const Napi::Object object = value.As<Napi::Object>();
    Meeting meeting{text(env, object.Get("engine"), "connect: engine"),
                    text(env, object.Get("library"), "connect: library"), {}, count(env, object, "rank"),
                    count(env, object, "size")};
    const HostBytes id = host_bytes(env, "connect", object.Get("id"));
    if (id.bytes != sizeof meeting.id)
        throw coded_error(env, code::invalid_argument,
                          "connect: id has to be an array of " + std::to_string(sizeof meeting.id) + " bytes", "connect");
    std::memcpy(meeting.id, id.data, sizeof meeting.id);
    if (meeting.rank >= meeting.size)
        throw coded_error(env, code::invalid_argument,
                          "connect: rank " + std::to_string(meeting.rank) + " is none of " +
                              std::to_string(meeting.size) + " ranks, which are counted from 0",
                          "connect");
    return meeting;
}

const mm_backend* backend_of_engine(Napi::Env env, const std::string& engine, const mm_backend* backend) {
    const mm_backend* found = engine == "mpi" ? cpu::backend() : engine == "nccl" ? backend : nullptr;
    if (!found)
        throw coded_error(env, code::invalid_argument, "there is no engine \"" + engine + "\": use \"mpi\" or \"nccl\"");
    if (engine == "nccl" && found == cpu::backend())
        throw coded_error(env, code::no_device, "NCCL connects GPUs, and this device is a CPU: use MPI");
    if (!found->communicator_create)
        throw coded_error(env, code::no_device, std::string(found->name) + " has no engine to reach other ranks by");
    return found;
}

// ---- on the executor -----------------------------------------------------------------------------------------

void connect(Connection& connection, const Meeting& meeting, const mm_backend* engine, const mm_backend* backend,
             mm_stream* stream) {
    const char* why = "";
    mm_communicator* communicator = nullptr;
    const bool staged = engine != backend;
    const mm_status status = engine->communicator_create(staged ? nullptr : stream, meeting.library.c_str(), meeting.id,
                                                         meeting.rank, meeting.size, &communicator, &why);
    if (status != MM_OK) throw Failure{status, "connect", why};
    if (staged) communicator = mm_staged_communicator(backend, communicator);
    if (!communicator) throw Failure{MM_OUT_OF_MEMORY, "connect", "not enough host memory"};
    connection.communicator = communicator;
}

void disconnect(Connection& connection, mm_stream* stream) {
    mm_communicator* communicator = connection.communicator.exchange(nullptr);
    if (!communicator) return;
    const char* why = "";
    const mm_status status = communicator->disconnect(communicator, stream, &why);
    if (status != MM_OK) throw Failure{status, "disconnect", why};
}

// ---- on JavaScript's thread ----------------------------------------------------------------------------------

Napi::Function Communicator::define(Napi::Env env) {
    return DefineClass(env, "NativeCommunicator",
                       {InstanceAccessor<&Communicator::entry<&Communicator::is_closed>>("closed"),
                        InstanceMethod<&Communicator::entry<&Communicator::close>>("close")});
}

Napi::Object Communicator::create(Napi::Env env, std::shared_ptr<StreamLink> link, const Memory* memory,
                                  std::shared_ptr<Connection> connection) {
    Napi::Object handle = Environment::of(env).communicator.New({});
    handle.TypeTag(&type_tag);
    Communicator* communicator = Unwrap(handle);
    communicator->link_ = std::move(link);
    communicator->memory_ = memory;
    communicator->connection_ = std::move(connection);
    return handle;
}

Communicator* Communicator::of(napi_env env, napi_value value) {
    napi_valuetype type;
    bool tagged = false;
    void* wrapped = nullptr;
    if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return nullptr;
    if (napi_check_object_type_tag(env, value, &type_tag, &tagged) != napi_ok || !tagged) return nullptr;
    return napi_unwrap(env, value, &wrapped) == napi_ok ? static_cast<Communicator*>(wrapped) : nullptr;
}

bool Communicator::closed() const { return !connection_ || !link_->stream; }

Napi::Value Communicator::is_closed(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), closed()); }

void Communicator::close(const Napi::CallbackInfo& info) {
    if (closed()) return;
    link_->stream->disconnect(info.Env(), connection_);
    connection_.reset();
}

}  // namespace medmamba::addon
