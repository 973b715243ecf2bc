#include "stream.h"

#include <cstring>

#include "../backend/block.h"
#include "buffer.h"
#include "environment.h"
#include "errors.h"
#include "library.h"
#include "numbers.h"
#include "operations.h"
#include "parameters.h"

namespace medmamba::addon {

namespace {

constexpr napi_type_tag type_tag{0x6d65646d616d6261, 0x73747265616d0001};

// Uploads that wait for a synchronisation hold at most this much host memory.
constexpr size_t most_in_transfer = size_t(64) << 20;

struct HostBytes {
    char* data;
    size_t bytes;
};

// The memory behind a typed array, DataView or Buffer.
HostBytes host_bytes(Napi::Env env, const char* operation, napi_value view) {
    bool is_typed_array = false, is_data_view = false;
    void* data = nullptr;
    size_t length = 0;
    napi_is_typedarray(env, view, &is_typed_array);
    napi_is_dataview(env, view, &is_data_view);
    if (is_typed_array) {
        napi_get_typedarray_info(env, view, nullptr, nullptr, &data, nullptr, nullptr);
        length = Napi::TypedArray(env, view).ByteLength();
    } else if (is_data_view) {
        napi_get_dataview_info(env, view, &length, &data, nullptr, nullptr);
    } else {
        throw coded_error(env, code::invalid_argument,
                          std::string(operation) + ": the host's side has to be a typed array or DataView", operation);
    }
    return {static_cast<char*>(data), length};
}

Napi::Error error_of(Napi::Env env, const Failure& failure) {
    return coded_error(env, code_of(failure.status), failure.operation + ": " + failure.message, failure.operation);
}

Napi::Number number(Napi::Env env, double value) { return Napi::Number::New(env, value); }

}  // namespace

Napi::Function Stream::define(Napi::Env env) {
    return DefineClass(
        env, "NativeStream",
        {InstanceAccessor<&Stream::backend_name>("backend"), InstanceMethod<&Stream::allocate>("allocate"),
         InstanceMethod<&Stream::upload>("upload"), InstanceMethod<&Stream::download>("download"),
         InstanceMethod<&Stream::synchronize>("synchronize"), InstanceMethod<&Stream::call>("call"),
         InstanceMethod<&Stream::memory>("memory"), InstanceMethod<&Stream::describe>("describe"),
         InstanceMethod<&Stream::start_profile>("startProfile"),
         InstanceMethod<&Stream::stop_profile>("stopProfile"), InstanceMethod<&Stream::close>("close")});
}

Stream* Stream::of(napi_env env, napi_value value) {
    napi_valuetype type;
    bool tagged = false;
    void* wrapped = nullptr;
    if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return nullptr;
    if (napi_check_object_type_tag(env, value, &type_tag, &tagged) != napi_ok || !tagged) return nullptr;
    return napi_unwrap(env, value, &wrapped) == napi_ok ? static_cast<Stream*>(wrapped) : nullptr;
}

// ---- from opening to closing ---------------------------------------------------------------------------------

Napi::Object Stream::open(Napi::Env env, const std::string& library, const mm_stream_options& options) {
    std::string reason;
    const mm_backend* backend = load_backend(library, &reason);
    if (!backend) throw coded_error(env, code::no_device, reason);
    const char* why = nullptr;
    mm_stream* stream = nullptr;
    if (backend->device_count(&why) < 1 || backend->stream_create(&options, &stream, &why) != MM_OK)
        throw coded_error(env, code::no_device, why ? why : std::string(backend->name) + " gave no reason");
    Napi::Object handle = Environment::of(env).stream.New({});
    handle.TypeTag(&type_tag);
    Unwrap(handle)->start(env, backend, stream);
    return handle;
}

void Stream::start(Napi::Env env, const mm_backend* backend, mm_stream* stream) {
    const auto on_answer = [](napi_env env, napi_value, void* context, void*) {
        try {
            if (env) static_cast<Stream*>(context)->settle_answered(env);
        } catch (const Napi::Error&) {
            // The environment is about to end and runs no more JavaScript: there is nobody to tell.
        }
    };
    if (napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "medmamba"), 0, 1, nullptr,
                                        nullptr, this, on_answer, &answers_) != napi_ok)
        throw Napi::Error::New(env);
    napi_unref_threadsafe_function(env, answers_);  // the process may end, until somebody waits
    env_ = env;
    backend_ = backend;
    stream_ = stream;
    queue_ = std::make_unique<Queue>(backend, stream);
    // V8 collects garbage when it hears of growing memory, and so finds handles that were forgotten. It hears of
    // what is reserved: told of what is in use, it would collect in every training step, only to find nothing.
    memory_ = std::make_shared<Memory>(backend, stream, *queue_, [env](int64_t change) {
        int64_t total;
        napi_adjust_external_memory(env, change, &total);
    });
    // Hooks run in reverse order: this one comes before that of the thread-safe function, which the executor uses.
    napi_add_env_cleanup_hook(env, on_environment_end, this);
}

// Ends the executor, then frees what it used. Promises are left alone: at the end of the environment there is
// nobody to tell.
void Stream::shut_down() {
    if (!queue_) return;
    napi_remove_env_cleanup_hook(env_, on_environment_end, this);
    queue_->stop();
    backend_->synchronize(stream_);
    in_transfer_.clear();
    memory_->close();
    backend_->stream_destroy(stream_);
    queue_.reset();
    napi_release_threadsafe_function(answers_, napi_tsfn_abort);
}

void Stream::close(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    shut_down();
    settle_answered(env);
    while (!waits_.empty())
        settle_first(env, coded_error(env, code::disposed, "the device was closed before this work was done"));
}

void Stream::expect_open(Napi::Env env, const std::string& operation) const {
    if (!queue_) throw coded_error(env, code::disposed, operation + ": the device has been closed", operation);
}

// ---- memory and operations -----------------------------------------------------------------------------------

Napi::Value Stream::allocate(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    expect_open(env, "allocate");
    const std::optional<int64_t> bytes = whole_number(env, info[0]);
    if (!bytes || *bytes < 0)
        throw coded_error(env, code::invalid_argument, "allocate: byteLength has to be a whole number from 0", "allocate");
    std::string why;
    std::shared_ptr<Block> block = memory_->allocate((size_t)*bytes, &why);
    if (!block) throw coded_error(env, code::out_of_memory, "allocate: " + why, "allocate");
    return Buffer::create(env, std::move(block), 0, (size_t)*bytes);
}

void Stream::call(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const std::string name = info[0].ToString();
    expect_open(env, name);
    const Operation* operation = find_operation(name);
    if (!operation) throw coded_error(env, code::invalid_argument, name + ": there is no such operation", name);
    auto parameters = read_parameters(env, name, *operation->parameters, info[1], *memory_);
    queue_->push(operation->name, [this, operation, profile = profile_, parameters = std::move(parameters)] {
        if (profile) return profile->run(*operation, stream_, parameters->data());
        return operation->run(backend_, stream_, parameters->data());
    });
}

Napi::Value Stream::plan(Napi::Env env, const std::string& operation, napi_value object) {
    const auto compute = operation == "ss2d"          ? mm_ss2d_plan
                         : operation == "ss_conv_ssm" ? mm_ss_conv_ssm_plan
                                                      : nullptr;
    if (!compute)
        throw coded_error(env, code::invalid_argument, operation + ": there is no plan of this operation", operation);
    expect_open(env, operation);
    const auto parameters = read_parameters(env, operation, plan_dimensions, object, *memory_);
    const auto& dimensions = *static_cast<const PlanDimensions*>(parameters->data());
    mm_plan plan{};
    const mm_status status = compute(backend_, stream_, dimensions.batch, dimensions.height, dimensions.width,
                                     dimensions.channels, dimensions.states, dimensions.rank, &plan);
    if (status != MM_OK)
        throw coded_error(env, code_of(status), operation + ": there is no plan for these dimensions", operation);
    Napi::Object result = Napi::Object::New(env);
    result["saved"] = number(env, (double)plan.saved);
    result["forwardWorkspace"] = number(env, (double)plan.forward_workspace);
    result["backwardWorkspace"] = number(env, (double)plan.backward_workspace);
    return result;
}

// ---- transfers and waits -------------------------------------------------------------------------------------

// Where the first `bytes` of a buffer's memory are.
void* Stream::device_bytes(Napi::Env env, const char* operation, napi_value value, size_t bytes) const {
    expect_open(env, operation);
    const std::string prefix = std::string(operation) + ": ";
    const Buffer* buffer = Buffer::of(env, value);
    if (!buffer) throw coded_error(env, code::invalid_argument, prefix + "the device's side has to be a buffer", operation);
    if (buffer->disposed()) throw coded_error(env, code::disposed, prefix + "the buffer has been disposed", operation);
    if (buffer->memory() != memory_.get())
        throw coded_error(env, code::invalid_argument, prefix + "the buffer is memory of another stream", operation);
    if (bytes > buffer->bytes()) {
        throw coded_error(env, code::invalid_argument,
                          prefix + "the host's side has " + std::to_string(bytes) + " bytes, the buffer " +
                              std::to_string(buffer->bytes()),
                          operation);
    }
    return buffer->pointer();
}

void Stream::upload(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const HostBytes source = host_bytes(env, "upload", info[1]);
    void* target = device_bytes(env, "upload", info[0], source.bytes);
    std::shared_ptr<char[]> copy(new (std::nothrow) char[source.bytes]);
    if (!copy) {
        throw coded_error(env, code::out_of_memory,
                          "upload: no host memory for a copy of " + std::to_string(source.bytes) + " bytes", "upload");
    }
    if (source.bytes) std::memcpy(copy.get(), source.data, source.bytes);
    queue_->push("upload", [this, target, copy = std::move(copy), bytes = source.bytes] {
        const mm_status status = backend_->upload(stream_, target, copy.get(), bytes);
        in_transfer_.push_back(copy);
        in_transfer_bytes_ += bytes;
        return status == MM_OK && in_transfer_bytes_ > most_in_transfer ? finish_transfers() : status;
    });
}

Napi::Value Stream::download(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const HostBytes target = host_bytes(env, "download", info[1]);
    const void* source = device_bytes(env, "download", info[0], target.bytes);
    const auto work = [this, source, target] {
        const mm_status status = backend_->download(stream_, target.data, source, target.bytes);
        return status == MM_OK ? finish_transfers() : status;
    };
    return wait(env, "download", work, info[1].As<Napi::Object>());
}

Napi::Value Stream::synchronize(const Napi::CallbackInfo& info) {
    expect_open(info.Env(), "synchronize");
    return wait(info.Env(), "synchronize", [this] { return finish_transfers(); }, Napi::Object());
}

mm_status Stream::finish_transfers() {
    const mm_status status = backend_->synchronize(stream_);
    if (status == MM_OK) {
        in_transfer_.clear();
        in_transfer_bytes_ = 0;
    }
    return status;
}

Napi::Value Stream::wait(Napi::Env env, const char* operation, Queue::Work work, Napi::Object target) {
    if (waits_.empty()) {  // neither the process nor this object may go before the answer is there
        napi_ref_threadsafe_function(env, answers_);
        Ref();
    }
    waits_.push_back({Napi::Promise::Deferred::New(env),
                      target.IsEmpty() ? Napi::ObjectReference() : Napi::Persistent(target)});
    queue_->push_wait(operation, std::move(work), [this](std::optional<Failure> failure) {
        {
            std::lock_guard lock(answered_mutex_);
            answered_.push_back(std::move(failure));
        }
        napi_call_threadsafe_function(answers_, nullptr, napi_tsfn_nonblocking);
    });
    return waits_.back().promise.Promise();
}

void Stream::settle_answered(Napi::Env env) {
    std::deque<std::optional<Failure>> answered;
    {
        std::lock_guard lock(answered_mutex_);
        answered.swap(answered_);
    }
    for (const std::optional<Failure>& failure : answered)
        settle_first(env, failure ? std::optional(error_of(env, *failure)) : std::nullopt);
}

void Stream::settle_first(Napi::Env env, const std::optional<Napi::Error>& error) {
    const Wait wait = std::move(waits_.front());
    waits_.pop_front();
    if (waits_.empty()) {
        if (queue_) napi_unref_threadsafe_function(env, answers_);
        Unref();
    }
    if (error)
        wait.promise.Reject(error->Value());
    else
        wait.promise.Resolve(env.Undefined());
}

// ---- what there is to know -----------------------------------------------------------------------------------

Napi::Value Stream::backend_name(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), backend_ ? backend_->name : "");
}

Napi::Value Stream::memory(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!memory_) throw coded_error(env, code::disposed, "memory: the device has not been opened");
    Napi::Object result = Napi::Object::New(env);
    result["live"] = number(env, (double)memory_->live());
    result["liveBytes"] = number(env, (double)memory_->live_bytes());
    result["peakBytes"] = number(env, (double)memory_->peak_bytes());
    result["reservedBytes"] = number(env, (double)memory_->reserved_bytes());
    return result;
}

Napi::Value Stream::describe(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    expect_open(env, "describe");
    mm_device_description description{};
    const mm_status status = backend_->describe(stream_, &description);
    if (status != MM_OK)
        throw coded_error(env, code_of(status), std::string("describe: ") + backend_->last_error(stream_), "describe");
    Napi::Object result = Napi::Object::New(env);
    result["name"] = Napi::String::New(env, description.name);
    result["simd"] = Napi::String::New(env, description.simd);
    result["threads"] = number(env, description.threads);
    result["totalBytes"] = number(env, (double)description.total_bytes);
    result["freeBytes"] = number(env, (double)description.free_bytes);
    return result;
}

void Stream::start_profile(const Napi::CallbackInfo& info) {
    expect_open(info.Env(), "startProfile");
    profile_ = std::make_shared<Profile>(backend_);
}

Napi::Value Stream::stop_profile(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const std::shared_ptr<Profile> profile = std::move(profile_);
    const std::vector<Profile::Entry> entries = profile ? profile->entries() : std::vector<Profile::Entry>();
    Napi::Array result = Napi::Array::New(env, entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
        Napi::Object entry = Napi::Object::New(env);
        entry["operation"] = Napi::String::New(env, entries[i].operation);
        entry["count"] = number(env, (double)entries[i].count);
        entry["seconds"] = number(env, entries[i].seconds);
        result[(uint32_t)i] = entry;
    }
    return result;
}

}  // namespace medmamba::addon
