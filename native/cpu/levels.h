// The copies of the kernels, one for each SIMD level: portable, and those of the processor that is built for.
#pragma once

#include "../backend/backend.h"

namespace medmamba::cpu {

// Fills the operations of the table; the rest of it is the same for every level (backend.cpp).
using FillOperations = void (*)(mm_backend* backend);

namespace portable { void fill_operations(mm_backend* backend); }
namespace neon { void fill_operations(mm_backend* backend); }
namespace avx2 { void fill_operations(mm_backend* backend); }
namespace avx512 { void fill_operations(mm_backend* backend); }

}  // namespace medmamba::cpu
