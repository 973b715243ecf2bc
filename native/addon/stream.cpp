#include "stream.h"

#include <cstring>
#include <system_error>

#include "../backend/block.h"
#include "buffer.h"
#include "environment.h"
#include "errors.h"
#include "host_bytes.h"
#include "library.h"
#include "numbers.h"
#include "operations.h"
#include "parameters.h"

namespace medmamba::addon {

namespace {

constexpr napi_type_tag type_tag{0x6d65646d616d6261, 0x73747265616d0001};

Napi::Number number(Napi::Env env, double value) { return Napi::Number::New(env, value); }

}  // namespace

Napi::Function Stream::define(Napi::Env env) {
    return DefineClass(
        env, "NativeStream",
        {InstanceAccessor<&Stream::entry<&Stream::backend_name>>("backend"), InstanceMethod<&Stream::entry<&Stream::allocate>>("allocate"),
         InstanceMethod<&Stream::entry<&Stream::upload>>("upload"), InstanceMethod<&Stream::entry<&Stream::download>>("download"),
         InstanceMethod<&Stream::entry<&Stream::receive>>("receive"), InstanceMethod<&Stream::entry<&Stream::synchronize>>("synchronize"),
         InstanceMethod<&Stream::entry<&Stream::call>>("call"), InstanceMethod<&Stream::entry<&Stream::join>>("join"), InstanceMethod<&Stream::entry<&Stream::memory>>("memory"),
         InstanceMethod<&Stream::entry<&Stream::connect>>("connect"),
         InstanceMethod<&Stream::entry<&Stream::describe>>("describe"),
         InstanceAccessor<&Stream::entry<&Stream::has_graphs>>("graphs"), InstanceMethod<&Stream::entry<&Stream::begin_capture>>("beginCapture"),
         InstanceMethod<&Stream::entry<&Stream::end_capture>>("endCapture"),
         InstanceMethod<&Stream::entry<&Stream::abandon_capture>>("abandonCapture"),
         InstanceMethod<&Stream::entry<&Stream::start_timer>>("startTimer"), InstanceMethod<&Stream::entry<&Stream::stop_timer>>("stopTimer"),
         InstanceMethod<&Stream::entry<&Stream::start_profile>>("startProfile"),
         InstanceMethod<&Stream::entry<&Stream::stop_profile>>("stopProfile"), InstanceMethod<&Stream::entry<&Stream::close>>("close")});
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
    Napi::Object handle = Environment::of(env).stream.New({});
    handle.TypeTag(&type_tag);
    if (backend->device_count(&why) < 1 || backend->stream_create(&options, &stream, &why) != MM_OK)
        throw coded_error(env, code::no_device, why ? why : std::string(backend->name) + " gave no reason");
    try {
        Unwrap(handle)->start(env, backend, stream);
    } catch (...) {
        backend->stream_destroy(stream);
        throw;
    }
    return handle;
}

// The executor's thread, which the system may refuse.
std::unique_ptr<Queue> start_queue(Napi::Env env, const mm_backend* backend, mm_stream* stream) {
    try {
        return std::make_unique<Queue>(backend, stream);
    } catch (const std::system_error& error) {
        throw coded_error(env, code::no_device,
                          std::string("the system gave no thread to work on its queue: ") + error.what() +
                              "; close other devices, or ask for fewer by the option threads or by MEDMAMBA_THREADS");
    }
}

// Throws with nothing started; the stream is the caller's then.
void Stream::start(Napi::Env env, const mm_backend* backend, mm_stream* stream) {
    std::unique_ptr<Queue> queue = start_queue(env, backend, stream);
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
    queue_ = std::move(queue);
    beside_ = std::make_unique<Beside>(backend, stream);
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
    link_->stream = nullptr;
    if (!queue_) return;
    if (recording_) stop_recording();
    napi_remove_env_cleanup_hook(env_, on_environment_end, this);
    queue_->stop();
    beside_.reset();
    backend_->synchronize(stream_);
    in_transfer_.clear();
    timer_.reset();
    profile_.reset();
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

// After reading parameters, whose getters may have closed the stream, or begun or ended a capture.
void Stream::expect_still_open(Napi::Env env, const std::string& operation, bool recording) const {
    expect_open(env, operation);
    if (recording_.has_value() != recording)
        throw coded_error(env, code::invalid_argument, operation + ": a capture began or ended within the call",
                          operation);
}

// ---- memory and operations -----------------------------------------------------------------------------------

Napi::Value Stream::allocate(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    expect_open(env, "allocate");
    const std::optional<int64_t> bytes = whole_number(env, info[0]);
    if (!bytes || *bytes < 0)
        throw coded_error(env, code::invalid_argument, "allocate: byteLength has to be a whole number from 0",
                          "allocate");
    std::string why;
    std::shared_ptr<Block> block = memory_->allocate((size_t)*bytes, &why);
    if (!block) {
        Napi::Error error = coded_error(env, code::out_of_memory, "allocate: " + why, "allocate");
        error.Set("requestedBytes", number(env, (double)*bytes));
        if (const auto device = memory_->device()) {
            error.Set("freeBytes", number(env, (double)device->free_bytes));
            if (device->limit_bytes) error.Set("limitBytes", number(env, (double)device->limit_bytes));
        }
        throw error;
    }
    return Buffer::create(env, std::move(block), 0, (size_t)*bytes);
}

void Stream::call(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const std::string name = text(env, info[0], "call: the operation");
    expect_open(env, name);
    const Operation* operation = find_operation(name);
    if (!operation) throw coded_error(env, code::invalid_argument, name + ": there is no such operation", name);
    const bool varies = info[2].ToBoolean(), beside = info[3].ToBoolean();
    if (recording_) {
        const auto used = [&](const std::shared_ptr<Block>& block) {
            if (recording_ && block->number() < recording_->first_block) recording_->blocks.insert(block);
        };
        auto parameters = read_parameters(env, name, *operation->parameters, info[1], *memory_, used);
        expect_still_open(env, name, true);
        for (const auto& connection : parameters->connections())
            if (connection->through_host)
                throw coded_error(env, code::unsupported, name + ": a graph cannot hold what goes through the host", name);
        recording_->calls.push_back({operation, std::move(parameters), varies, beside});
        return;
    }
    auto parameters = read_parameters(env, name, *operation->parameters, info[1], *memory_);
    expect_still_open(env, name, false);
    for (const auto& connection : parameters->connections())
        if (beside && connection->through_host)
            throw coded_error(env, code::unsupported, name + ": what goes through the host is beside nothing", name);
    queue_->push(operation->name, [this, operation, beside, profile = profile_, parameters = std::move(parameters)] {
        if (profile) return profile->run(*operation, parameters->data());
        return beside_->run(*operation, parameters, beside);
    });
}

void Stream::join(const Napi::CallbackInfo& info) {
    expect_open(info.Env(), "join");
    if (recording_) return recording_->calls.push_back({nullptr, std::make_shared<Parameters>(0), false, false});
    queue_->push("join", [this] { return beside_->join(); });
}

// ---- other ranks ---------------------------------------------------------------------------------------------

Napi::Value Stream::connect(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const Meeting meeting = read_meeting(env, info[0]);
    expect_open(env, "connect");
    expect_no_capture(env, "connect", "connect before");
    const mm_backend* engine = backend_of_engine(env, meeting.engine, backend_);
    const auto connection = std::make_shared<Connection>();
    connection->through_host = engine != backend_;
    queue_->push("connect", [this, connection, meeting, engine] {
        addon::connect(*connection, meeting, engine, backend_, stream_);
        return MM_OK;
    });
    return Communicator::create(env, link_, memory_.get(), connection);
}

void Stream::disconnect(Napi::Env env, std::shared_ptr<Connection> connection) {
    expect_no_capture(env, "close", "close the communicator after it");
    queue_->push("disconnect", [this, connection = std::move(connection)] {
        if (const mm_status joined = beside_->join(); joined != MM_OK) return joined;
        addon::disconnect(*connection, stream_);
        return MM_OK;
    });
}

// ---- plans -----------------------------------------------------------------------------------------------------

// Plans are added up in 64-bit numbers: far below what would overflow them, no memory is large enough.
static void expect_plannable(Napi::Env env, const std::string& operation, const PlanDimensions& d) {
    double product = 64;
    for (const int64_t extent : {d.batch, d.height, d.width, d.channels, d.channels, d.states + d.rank + 16}) {
        if (extent < 0)
            throw coded_error(env, code::invalid_argument, operation + ": dimensions are counted from 0", operation);
        product *= (double)extent + 1;
    }
    if (product > 0x1p62)
        throw coded_error(env, code::out_of_memory, operation + ": no memory is large enough for these dimensions",
                          operation);
}

Napi::Value Stream::plan(Napi::Env env, const std::string& operation, napi_value object) {
    const auto compute = operation == "ss2d"          ? mm_ss2d_plan
                         : operation == "ss_conv_ssm" ? mm_ss_conv_ssm_plan
                                                      : nullptr;
    if (!compute)
        throw coded_error(env, code::invalid_argument, operation + ": there is no plan of this operation", operation);
    expect_open(env, operation);
    const std::shared_ptr<const Parameters> parameters =
        read_parameters(env, operation, plan_dimensions, object, *memory_);
    expect_open(env, operation);
    const auto& dimensions = *static_cast<const PlanDimensions*>(parameters->data());
    expect_plannable(env, operation, dimensions);
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
    if (description.limit_bytes) result["limitBytes"] = number(env, (double)description.limit_bytes);
    return result;
}

void Stream::start_timer(const Napi::CallbackInfo& info) {
    expect_open(info.Env(), "startTimer");
    if (!timer_) timer_ = std::make_unique<Timer>(backend_, stream_);
    queue_->push("startTimer", [this] { return timer_->start(); });
}

Napi::Value Stream::stop_timer(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const HostBytes target = host_bytes(env, "stopTimer", info[0]);
    expect_open(env, "stopTimer");
    if (!timer_)
        throw coded_error(env, code::invalid_argument, "stopTimer: startTimer has not been called", "stopTimer");
    if (target.bytes != sizeof(double))
        throw coded_error(env, code::invalid_argument, "stopTimer: the result needs a Float64Array of one number",
                          "stopTimer");
    const auto work = [this, target] {
        double seconds = 0;
        mm_status status = timer_->stop();
        if (status == MM_OK) status = timer_->elapsed(&seconds);
        if (status == MM_OK) status = finish_transfers();
        std::memcpy(target.data, &seconds, sizeof seconds);
        return status;
    };
    return wait(env, "stopTimer", work, info[0].As<Napi::Object>());
}

void Stream::start_profile(const Napi::CallbackInfo& info) {
    expect_open(info.Env(), "startProfile");
    expect_no_capture(info.Env(), "startProfile", "a graph cannot be timed operation by operation");
    profile_ = std::make_shared<Profile>(backend_, stream_);
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
