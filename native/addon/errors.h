// Errors as JavaScript sees them: an Error with a stable `code`, and with `operation` where there is one.
#pragma once

#include <napi.h>

#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>

#include "../backend/backend.h"

namespace medmamba::addon {

namespace code {
constexpr const char* invalid_argument = "MEDMAMBA_INVALID_ARGUMENT";
constexpr const char* out_of_memory = "MEDMAMBA_OUT_OF_MEMORY";
constexpr const char* unsupported = "MEDMAMBA_UNSUPPORTED";
constexpr const char* device = "MEDMAMBA_DEVICE";
constexpr const char* internal = "MEDMAMBA_INTERNAL";
constexpr const char* disposed = "MEDMAMBA_DISPOSED";
constexpr const char* no_device = "MEDMAMBA_NO_DEVICE";
}  // namespace code

inline const char* code_of(mm_status status) {
    switch (status) {
        case MM_INVALID_ARGUMENT: return code::invalid_argument;
        case MM_OUT_OF_MEMORY: return code::out_of_memory;
        case MM_UNSUPPORTED: return code::unsupported;
        case MM_DEVICE_ERROR: return code::device;
        default: return code::internal;
    }
}

inline Napi::Error coded_error(Napi::Env env, const char* code, const std::string& message,
                               const std::string& operation = {}) {
    // A wrong argument is a TypeError to whoever asks by class; the others have no class of their own.
    Napi::Error error = code == code::invalid_argument ? Napi::Error(Napi::TypeError::New(env, message))
                                                       : Napi::Error::New(env, message);
    error.Set("code", Napi::String::New(env, code));
    if (!operation.empty()) error.Set("operation", Napi::String::New(env, operation));
    return error;
}

// Every entry of the addon runs through here: a C++ exception that left it would end the process.
template <class Body>
Napi::Value translated(const Napi::CallbackInfo& info, Body&& body) {
    const Napi::Env env = info.Env();
    try {
        if constexpr (std::is_void_v<decltype(body())>) {
            body();
            return env.Undefined();
        } else {
            return body();
        }
    } catch (const Napi::Error&) {
        throw;
    } catch (const std::bad_alloc&) {
        throw coded_error(env, code::out_of_memory, "not enough host memory");
    } catch (const std::system_error& error) {
        throw coded_error(env, code::device, std::string("the system refused: ") + error.what());
    } catch (const std::exception& error) {
        throw coded_error(env, code::internal, error.what());
    }
}

// A function as an entry of the addon.
template <auto function>
Napi::Value entry(const Napi::CallbackInfo& info) {
    return translated(info, [&] { return function(info); });
}

// A word that JavaScript gave; nothing is converted, as that would run its code.
inline std::string text(Napi::Env env, const Napi::Value& value, const std::string& what) {
    if (value.IsString()) return value.As<Napi::String>();
    throw coded_error(env, code::invalid_argument, what + " has to be a string");
}

}  // namespace medmamba::addon
