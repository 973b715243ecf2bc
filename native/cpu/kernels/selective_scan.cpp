#include "selective_scan.h"

namespace medmamba::cpu::MM_SIMD {

void arrange_A2(const SelectiveShape& shape, const float* A, int64_t block, float* A2) {
    set_zero(A2, shape.state_row * lanes);
    load_columns(A + shape.first_channel(block) * shape.states, shape.states, shape.block_lanes(block).count,
                 shape.states, A2, lanes);
    for (int64_t n = 0; n < shape.states; ++n) store(A2 + n * lanes, load(A2 + n * lanes) * log2e);
}

}  // namespace medmamba::cpu::MM_SIMD
