// How much forward of the four-direction scan keeps for backward.
#pragma once

#include <cstdint>

namespace medmamba::cuda {

int64_t scan4_checkpoint_count(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t states);

}  // namespace medmamba::cuda
