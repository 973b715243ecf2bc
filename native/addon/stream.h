// A stream as JavaScript sees it: NativeStream of src/native/addon.ts.
//
// Three threads of thought meet here. JavaScript's thread checks arguments, hands out memory and queues work;
// the queue's executor runs it; and what the executor has to say (a download is there, something failed) comes
// back to JavaScript's thread through a thread-safe function. Waits end in the order they began, so it is enough
// to count: the n-th answer of the executor settles the n-th promise.
#pragma once

#include <napi.h>

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "beside.h"
#include "communicator.h"
#include "errors.h"
#include "graph.h"
#include "memory.h"
#include "profile.h"
#include "queue.h"
#include "timer.h"

namespace medmamba::addon {

class Stream : public Napi::ObjectWrap<Stream> {
public:
    static Napi::Function define(Napi::Env env);
    // Opens `library`'s device. Throws MEDMAMBA_NO_DEVICE with the reason.
    static Napi::Object open(Napi::Env env, const std::string& library, const mm_stream_options& options);
    // Null if `value` is anything but a stream that `open` made.
    static Stream* of(napi_env env, napi_value value);

    explicit Stream(const Napi::CallbackInfo& info) : ObjectWrap(info) {}
    ~Stream() { shut_down(); }

    Napi::Value plan(Napi::Env env, const std::string& operation, napi_value dimensions);

    // Queue these of a graph of this stream.
    void launch(Napi::Env env, std::shared_ptr<CapturedCalls> calls, Changes changes);
    void destroy(std::shared_ptr<CapturedCalls> calls);

    // Queues the end of a connection of this stream.
    void disconnect(Napi::Env env, std::shared_ptr<Connection> connection);

private:
    // A method as an entry of the addon.
    template <auto method>
    Napi::Value entry(const Napi::CallbackInfo& info) {
        return translated(info, [&] { return (this->*method)(info); });
    }

    struct Wait {
        Napi::Promise::Deferred promise;
        Napi::ObjectReference target;  // the view that is written to; must not be collected before
    };

    Napi::Value backend_name(const Napi::CallbackInfo& info);
    Napi::Value allocate(const Napi::CallbackInfo& info);
    void upload(const Napi::CallbackInfo& info);
    Napi::Value download(const Napi::CallbackInfo& info);
    void receive(const Napi::CallbackInfo& info);
    Napi::Value synchronize(const Napi::CallbackInfo& info);
    void call(const Napi::CallbackInfo& info);
    void join(const Napi::CallbackInfo& info);
    Napi::Value connect(const Napi::CallbackInfo& info);
    Napi::Value has_graphs(const Napi::CallbackInfo& info);
    void begin_capture(const Napi::CallbackInfo& info);
    Napi::Value end_capture(const Napi::CallbackInfo& info);
    void abandon_capture(const Napi::CallbackInfo& info);
    Napi::Value memory(const Napi::CallbackInfo& info);
    Napi::Value describe(const Napi::CallbackInfo& info);
    void start_timer(const Napi::CallbackInfo& info);
    Napi::Value stop_timer(const Napi::CallbackInfo& info);
    void start_profile(const Napi::CallbackInfo& info);
    Napi::Value stop_profile(const Napi::CallbackInfo& info);
    void close(const Napi::CallbackInfo& info);

    void start(Napi::Env env, const mm_backend* backend, mm_stream* stream);
    void shut_down();
    static void on_environment_end(void* stream) { static_cast<Stream*>(stream)->shut_down(); }

    void expect_open(Napi::Env env, const std::string& operation) const;
    void expect_still_open(Napi::Env env, const std::string& operation, bool recording) const;
    // `why` says what to do instead of `operation` while a graph is captured.
    void expect_no_capture(Napi::Env env, const std::string& operation, const char* why) const;
    Recording stop_recording();
    void* device_bytes(Napi::Env env, const char* operation, napi_value buffer, size_t bytes) const;
    Napi::Value wait(Napi::Env env, const char* operation, Queue::Work work, Napi::Object target);
    void settle_answered(Napi::Env env);
    void settle_first(Napi::Env env, const std::optional<Napi::Error>& error);

    // On the executor: brings host memory to the device, and keeps it until that is done.
    mm_status send(void* target, std::shared_ptr<char[]> host, size_t bytes);
    // On the executor: waits for the device, and lets go of the host memory of its uploads.
    mm_status finish_transfers();

    const mm_backend* backend_ = nullptr;
    mm_stream* stream_ = nullptr;
    std::unique_ptr<Queue> queue_;  // null once shut down
    std::unique_ptr<Beside> beside_;  // of the executor; goes when that has ended
    std::shared_ptr<Memory> memory_;
    std::unique_ptr<Timer> timer_;      // of the executor, once it has been started
    std::shared_ptr<Profile> profile_;  // of the calls from now on, if they are timed
    std::optional<Recording> recording_;  // of the graph that is captured, if one is
    std::shared_ptr<StreamLink> link_ = std::make_shared<StreamLink>(StreamLink{this});
    napi_threadsafe_function answers_ = nullptr;
    napi_env env_ = nullptr;

    std::deque<Wait> waits_;
    std::mutex answered_mutex_;
    std::deque<std::optional<Failure>> answered_;  // one for each wait that is over, not settled yet

    std::vector<std::shared_ptr<char[]>> in_transfer_;  // host memory of uploads; the executor's
    size_t in_transfer_bytes_ = 0;
};

}  // namespace medmamba::addon
