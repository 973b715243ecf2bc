// What the addon exports: NativeAddon of src/native/addon.ts.
#include <napi.h>

#include <cstdlib>
#include <cstring>

#include "../cpu/backend.h"
#include "buffer.h"
#include "communicator.h"
#include "constants.h"
#include "environment.h"
#include "errors.h"
#include "graph.h"
#include "library.h"
#include "numbers.h"
#include "stream.h"

namespace medmamba::addon {

namespace {

// An option that is a 32-bit number from 0; absent means 0.
int32_t small_number(Napi::Env env, const Napi::Object& options, const char* name) {
    const Napi::Value value = options.Get(name);
    if (value.IsUndefined()) return 0;
    const std::optional<int64_t> number = whole_number(env, value);
    if (!number || *number < 0 || *number > INT32_MAX)
        throw coded_error(env, code::invalid_argument,
                          std::string("openStream: ") + name + " has to be a whole number from 0");
    return (int32_t)*number;
}

// An option that is a finite number from 0; absent means 0.
double amount(Napi::Env env, const Napi::Object& options, const char* name) {
    const Napi::Value value = options.Get(name);
    if (value.IsUndefined()) return 0;
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    if (number >= 0 && number <= 9007199254740992.0) return number;
    throw coded_error(env, code::invalid_argument,
                      std::string("openStream: ") + name + " has to be a number from 0 to 2^53");
}

// An option that is a word; absent means empty.
std::string word(Napi::Env env, const Napi::Object& options, const char* name) {
    const Napi::Value value = options.Get(name);
    if (value.IsUndefined()) return {};
    if (!value.IsString())
        throw coded_error(env, code::invalid_argument, std::string("openStream: ") + name + " has to be a string");
    return value.As<Napi::String>();
}

Napi::Value open_stream(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!info[0].IsString())
        throw coded_error(env, code::invalid_argument, "openStream: the library has to be \"cpu\" or a path");
    const Napi::Object options = info[1].IsObject() ? info[1].As<Napi::Object>() : Napi::Object::New(env);
    const std::string simd = word(env, options, "simd"), precision = word(env, options, "precision");

    mm_stream_options native{};
    native.device_index = small_number(env, options, "deviceIndex");
    native.threads = small_number(env, options, "threads");
    native.simd = simd.c_str();
    native.precision = precision.c_str();
    native.memory_limit = amount(env, options, "memoryLimit");
    return Stream::open(env, info[0].As<Napi::String>(), native);
}

Napi::Value plan(const Napi::CallbackInfo& info) {
    Stream* stream = Stream::of(info.Env(), info[0]);
    if (!stream) throw coded_error(info.Env(), code::invalid_argument, "plan: the first argument has to be a stream");
    return stream->plan(info.Env(), text(info.Env(), info[1], "plan: the operation"), info[2]);
}

Napi::Value device_count(const Napi::CallbackInfo& info) {
    std::string why;
    const int32_t count = count_devices(text(info.Env(), info[0], "deviceCount: the library"), &why);
    if (count < 1) throw coded_error(info.Env(), code::no_device, why);
    return Napi::Number::New(info.Env(), count);
}

// The table that has the engine: the CPU's for MPI, that of the shared library for NCCL.
const mm_backend* table_of(Napi::Env env, const Napi::CallbackInfo& info, const char* function) {
    const std::string engine = text(env, info[0], std::string(function) + ": the engine");
    std::string why;
    const mm_backend* backend = load_backend(text(env, info[1], std::string(function) + ": the backend"), &why);
    if (!backend) throw coded_error(env, code::no_device, why);
    return backend_of_engine(env, engine, backend);
}

Napi::Value engine_version(const Napi::CallbackInfo& info) {
    const mm_backend* backend = table_of(info.Env(), info, "engineVersion");
    const std::string library = text(info.Env(), info[2], "engineVersion: the library");
    char version[MM_ENGINE_VERSION_BYTES] = "";
    const char* why = "";
    if (backend->engine_version(library.c_str(), version, &why) != MM_OK)
        throw coded_error(info.Env(), code::no_device, why);
    return Napi::String::New(info.Env(), version);
}

Napi::Value communicator_id(const Napi::CallbackInfo& info) {
    const mm_backend* backend = table_of(info.Env(), info, "communicatorId");
    const std::string library = text(info.Env(), info[2], "communicatorId: the library");
    char id[MM_COMMUNICATOR_ID_BYTES] = "";
    const char* why = "";
    if (backend->communicator_id(library.c_str(), id, &why) != MM_OK)
        throw coded_error(info.Env(), code::no_device, why);
    Napi::Uint8Array bytes = Napi::Uint8Array::New(info.Env(), sizeof id);
    std::memcpy(bytes.Data(), id, sizeof id);
    return bytes;
}

// At once: nothing is waited for or cleaned up.
Napi::Value exit_now(const Napi::CallbackInfo& info) {
    const std::optional<int64_t> status = whole_number(info.Env(), info[0]);
    if (!status || *status < 0 || *status > 255)
        throw coded_error(info.Env(), code::invalid_argument, "exitNow: the code has to be a number from 0 to 255");
    std::_Exit((int)*status);
}

Napi::Value has_driver(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), driver_installed()); }

Napi::Value verdict_of(const Napi::CallbackInfo& info) {
    const std::optional<std::string> found = verdict(text(info.Env(), info[0], "verdict: the library"));
    return found ? Napi::String::New(info.Env(), *found) : info.Env().Undefined();
}

void remember_verdict(const Napi::CallbackInfo& info) {
    set_verdict(text(info.Env(), info[0], "setVerdict: the library"), text(info.Env(), info[1], "setVerdict: the verdict"));
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
    auto* environment = new Environment;
    environment->buffer = Napi::Persistent(Buffer::define(env));
    environment->communicator = Napi::Persistent(Communicator::define(env));
    environment->graph = Napi::Persistent(Graph::define(env));
    environment->stream = Napi::Persistent(Stream::define(env));
    env.SetInstanceData(environment);  // deleted with the environment

    const std::vector<std::string> levels = cpu::simd_levels();
    Napi::Array simd_levels = Napi::Array::New(env, levels.size());
    for (size_t i = 0; i < levels.size(); ++i) simd_levels.Set((uint32_t)i, levels[i]);
    exports["abiVersion"] = Napi::Number::New(env, MM_ABI_VERSION);
    exports["constants"] = constants(env);
    exports["simdLevels"] = simd_levels;
    exports["openStream"] = Napi::Function::New<entry<open_stream>>(env, "openStream");
    exports["deviceCount"] = Napi::Function::New<entry<device_count>>(env, "deviceCount");
    exports["driverInstalled"] = Napi::Function::New<entry<has_driver>>(env, "driverInstalled");
    exports["verdict"] = Napi::Function::New<entry<verdict_of>>(env, "verdict");
    exports["setVerdict"] = Napi::Function::New<entry<remember_verdict>>(env, "setVerdict");
    exports["engineVersion"] = Napi::Function::New<entry<engine_version>>(env, "engineVersion");
    exports["communicatorId"] = Napi::Function::New<entry<communicator_id>>(env, "communicatorId");
    exports["exitNow"] = Napi::Function::New<entry<exit_now>>(env, "exitNow");
    exports["plan"] = Napi::Function::New<entry<plan>>(env, "plan");
    return exports;
}

}  // namespace

NODE_API_MODULE(medmamba, initialise)

}  // namespace medmamba::addon
