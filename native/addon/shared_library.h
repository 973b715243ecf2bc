// Shared libraries of all systems, by one pair of functions.
#pragma once

#include <string>

namespace medmamba::addon {

// Null with a reason in *why. `path` is UTF-8; the library's symbols are its own, which two backends that define the same
// names need. It stays loaded until close_library.
void* open_library(const std::string& path, std::string* why);
void close_library(void* library);

// Null if the library exports no such symbol.
void* find_symbol(void* library, const char* name);

}  // namespace medmamba::addon
