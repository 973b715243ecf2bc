// What the operating system and the processor say of themselves, in one place for all systems.
#pragma once

#include <cstdint>
#include <string>

namespace medmamba::cpu {

// The processor as its maker calls it; "CPU" where nothing says it.
std::string processor_name();

// A variable of the environment as JavaScript has set it; empty where it is not set. Not getenv: on Windows each C library has
// a copy of its own, which it makes as the process begins.
std::string environment_variable(const char* name);

// Of the machine, in bytes; 0 where the system does not say.
int64_t total_memory();
int64_t free_memory();

}  // namespace medmamba::cpu
