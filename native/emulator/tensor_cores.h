// The tensor cores' products, of the fragments that the 32 lanes of a warp hold, and how these come from shared
// memory; their layout is in device.cuh.
#pragma once

#include "block_state.h"

namespace medmamba::cuda::emulator {

void multiply_bf16(Thread* lanes);
void multiply_tf32(Thread* lanes);
void load_matrices(Thread* lanes);

}  // namespace medmamba::cuda::emulator
