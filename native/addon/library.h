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

// The CUDA that the NVIDIA driver supports, as 12020 for 12.2 (0 if it does not say); none without a driver. Its GPUs are
// not touched for that, which is harmless.
std::optional<int> driver_cuda();

// What has been found out about a library, for all environments of the process to read.
std::optional<std::string> verdict(const std::string& library);
void set_verdict(const std::string& library, const std::string& verdict);

}  // namespace medmamba::addon
