// The three copies of the kernels, one for each SIMD level this build has.
#pragma once

#include "../backend/backend.h"

namespace medmamba::cpu {

// Fills the operations of the table; the rest of it is the same for every level (backend.cpp).
using FillOperations = void (*)(mm_backend* backend);

namespace portable { void fill_operations(mm_backend* backend); }
namespace avx2 { void fill_operations(mm_backend* backend); }
namespace avx512 { void fill_operations(mm_backend* backend); }

}  // namespace medmamba::cpu
