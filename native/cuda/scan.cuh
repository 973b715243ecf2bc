// What the four-direction scan leaves for others: how much forward keeps for backward, and y as copies.
#pragma once

#include <cstdint>

#include "../backend/backend.h"

namespace medmamba::cuda {

constexpr int directions = 4;

// Rows of so many channels at most does layer norm add (layer_norm.cu).
constexpr int64_t most_copied_channels = 1024;

int64_t scan4_checkpoint_count(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t states);
int64_t scan4_copy_count(int64_t batch, int64_t height, int64_t width, int64_t channels, mm_dtype dtype);

}  // namespace medmamba::cuda
