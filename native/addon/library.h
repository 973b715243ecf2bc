// Backends by name: the CPU's, which is part of the addon, and others from shared libraries of their own.
#pragma once

#include <string>

#include "../backend/backend.h"

namespace medmamba::addon {

// "cpu", or the path of a shared library that exports MM_BACKEND_ENTRY. Null with a sentence in *why if it
// cannot be used. A library stays loaded: its code may be on the stack of a running executor at any time.
const mm_backend* load_backend(const std::string& library, std::string* why);

}  // namespace medmamba::addon
