// The host's side of a transfer: the memory of what JavaScript gives.
#pragma once

#include <napi.h>

#include <cstddef>

namespace medmamba::addon {

struct HostBytes {
    char* data;
    size_t bytes;
};

// The memory behind a typed array, DataView or Buffer; throws for anything else.
HostBytes host_bytes(Napi::Env env, const char* operation, napi_value view);

}  // namespace medmamba::addon
