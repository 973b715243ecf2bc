// Backends by name: the CPU's, which is part of the addon, and others from shared libraries of their own.
#pragma once

#include <optional>
#include <string>

#include "../backend/backend.h"

namespace medmamba::addon {

// "cpu", or the path of a shared library that exports MM_BACKEND_ENTRY. Null with a sentence in *why if it
// cannot be used. A library stays loaded: its code may be on the stack of a running executor at any time.
const mm_backend* load_backend(const std::string& library, std::string* why);

// Devices of a backend; 0 with a sentence in *why. May take the process down with it if the driver is broken.
int32_t count_devices(const std::string& library, std::string* why);

// Whether there is an NVIDIA driver to ask at all; finding that out is harmless.
bool driver_installed();

// What has been found out about a library, for all environments of the process to read.
std::optional<std::string> verdict(const std::string& library);
void set_verdict(const std::string& library, const std::string& verdict);

}  // namespace medmamba::addon
