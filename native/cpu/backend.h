// The CPU as a backend: the one that is linked into the addon.
#pragma once

#include <string>
#include <vector>

#include "../backend/backend.h"

namespace medmamba::cpu {

const mm_backend* backend();

// SIMD levels that this build has and this machine runs, best first.
std::vector<std::string> simd_levels();

}  // namespace medmamba::cpu
