// Transfers between the host and a stream, or two streams, and waiting for them and for all that was queued.
#include <cstring>
#include <future>
#include <memory>
#include <new>

#include "buffer.h"
#include "errors.h"
#include "host_bytes.h"
#include "numbers.h"
#include "stream.h"

namespace medmamba::addon {

namespace {

// Uploads that wait for a synchronisation hold at most this much host memory.
constexpr size_t most_in_transfer = size_t(64) << 20;

// What is written to later may not shrink until then. (A transfer of the buffer cannot be foreseen: see addon.ts.)
void expect_lasting(Napi::Env env, const char* operation, const Napi::Value& view) {
    const Napi::Value buffer = view.As<Napi::Object>().Get("buffer");
    if (buffer.IsObject() && buffer.As<Napi::Object>().Get("resizable").ToBoolean())
        throw coded_error(env, code::invalid_argument,
                          std::string(operation) + ": the host's side may not be resizable", operation);
}

Napi::Error error_of(Napi::Env env, const Failure& failure) {
    return coded_error(env, code_of(failure.status), failure.operation + ": " + failure.message, failure.operation);
}

// Host memory for a tensor on its way.
std::shared_ptr<char[]> host_memory(Napi::Env env, const char* operation, size_t bytes) {
    std::shared_ptr<char[]> memory(new (std::nothrow) char[bytes]);
    if (memory) return memory;
    const std::string problem = ": no host memory for a copy of " + std::to_string(bytes) + " bytes";
    throw coded_error(env, code::out_of_memory, operation + problem, operation);
}

}  // namespace

// Where the first `bytes` of a buffer's memory are.
void* Stream::device_bytes(Napi::Env env, const char* operation, napi_value value, size_t bytes) const {
    expect_open(env, operation);
    const std::string prefix = std::string(operation) + ": ";
    const Buffer* buffer = Buffer::of(env, value);
    if (!buffer)
        throw coded_error(env, code::invalid_argument, prefix + "the device's side has to be a buffer", operation);
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
    expect_no_capture(env, "upload",
                      "the graph would repeat these very bytes; upload before, to memory that it reads");
    const HostBytes source = host_bytes(env, "upload", info[1]);
    void* target = device_bytes(env, "upload", info[0], source.bytes);
    std::shared_ptr<char[]> copy = host_memory(env, "upload", source.bytes);
    if (source.bytes) std::memcpy(copy.get(), source.data, source.bytes);
    queue_->push("upload", [this, target, copy, bytes = source.bytes] { return send(target, copy, bytes); });
}

mm_status Stream::send(void* target, std::shared_ptr<char[]> host, size_t bytes) {
    const mm_status status = backend_->upload(stream_, target, host.get(), bytes);
    in_transfer_.push_back(std::move(host));
    in_transfer_bytes_ += bytes;
    return status == MM_OK && in_transfer_bytes_ > most_in_transfer ? finish_transfers() : status;
}

Napi::Value Stream::download(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    expect_no_capture(env, "download", "read results after a launch");
    const HostBytes target = host_bytes(env, "download", info[1]);
    expect_lasting(env, "download", info[1]);
    const void* source = device_bytes(env, "download", info[0], target.bytes);
    const auto work = [this, source, target] {
        const mm_status status = backend_->download(stream_, target.data, source, target.bytes);
        return status == MM_OK ? finish_transfers() : status;
    };
    return wait(env, "download", work, info[1].As<Napi::Object>());
}

// Both ends are queued here and now, so each stream keeps its own order, and whichever executor waits does so for
// work that was queued before its own: two streams that copy to each other never wait in a circle. A failure that is
// pending on the source travels with the bytes, which may be worth nothing because of it: it is told where they are
// read.
void Stream::receive(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Stream* source = Stream::of(env, info[1]);
    if (!source)
        throw coded_error(env, code::invalid_argument, "receive: the second argument has to be a stream", "receive");
    for (const Stream* end : {source, this})
        end->expect_no_capture(env, "to", "copy between devices before, to memory that the graph reads");
    void* target = device_bytes(env, "receive", info[0], 0);
    const void* from = source->device_bytes(env, "receive", info[2], 0);
    const size_t bytes = Buffer::of(env, info[0])->bytes(), sent = Buffer::of(env, info[2])->bytes();
    if (bytes != sent) {
        const std::string sizes = std::to_string(sent) + " bytes do not fill a buffer of " + std::to_string(bytes);
        throw coded_error(env, code::invalid_argument, "receive: " + sizes, "receive");
    }
    const std::shared_ptr<char[]> copy = host_memory(env, "receive", bytes);
    const auto sending = std::make_shared<std::promise<std::optional<Failure>>>();
    const std::shared_future<std::optional<Failure>> sent_or_failed = sending->get_future();
    const auto download = [source, copy, from, bytes] {
        const mm_status status = source->backend_->download(source->stream_, copy.get(), from, bytes);
        return status == MM_OK ? source->finish_transfers() : status;
    };
    const auto done = [sending](std::optional<Failure> failure) { sending->set_value(std::move(failure)); };
    source->queue_->push_wait("to", download, done);
    queue_->push("to", [this, target, copy, bytes, sent_or_failed] {
        std::optional<Failure> failure;
        try {
            failure = sent_or_failed.get();
        } catch (const std::future_error&) {  // dropped from its queue
            failure = Failure{MM_DEVICE_ERROR, "to", "the tensor's own device was closed before it was copied"};
        }
        if (failure) throw *failure;
        return send(target, copy, bytes);
    });
}

Napi::Value Stream::synchronize(const Napi::CallbackInfo& info) {
    expect_open(info.Env(), "synchronize");
    expect_no_capture(info.Env(), "synchronize", "wait after a launch");
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
    bool starved = false;
    for (const std::optional<Failure>& failure : answered) {
        settle_first(env, failure ? std::optional(error_of(env, *failure)) : std::nullopt);
        starved = starved || (failure && failure->status == MM_OUT_OF_MEMORY);
    }
    // An operation found no memory for itself, and what is cached here is out of its reach: the next attempt has it.
    if (starved && queue_) memory_->trim();
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

}  // namespace medmamba::addon
