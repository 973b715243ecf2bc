// Errors as JavaScript sees them: an Error with a stable `code`, and with `operation` where there is one.
#pragma once

#include <napi.h>

#include <string>

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

}  // namespace medmamba::addon
