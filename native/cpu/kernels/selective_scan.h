// What forward and backward of the general selective scan share: how the channels are cut into blocks.
#pragma once

#include "scan_steps.h"

namespace medmamba::cpu::MM_SIMD {

// Blocks of channels never cross a group, because the channels of a block share B and C.
struct SelectiveShape {
    int64_t batch, channels, length, states, groups;
    int64_t group_channels, group_blocks, blocks, chunks, state_row;

    template <class Params>
    explicit SelectiveShape(const Params& p)
        : batch(p.batch), channels(p.channels), length(p.length), states(p.states), groups(p.groups),
          group_channels(channels / groups), group_blocks(ceil_div(group_channels, lanes)),
          blocks(groups * group_blocks), chunks(ceil_div(length, chunk_steps)), state_row(padded(states)) {}

    int64_t group(int64_t block) const { return block / group_blocks; }
    int64_t first_channel(int64_t block) const {
        return group(block) * group_channels + block % group_blocks * lanes;
    }
    Lanes block_lanes(int64_t block) const {
        return {std::min<int64_t>(lanes, group_channels - block % group_blocks * lanes)};
    }
    int64_t steps(int64_t chunk) const { return std::min(chunk_steps, length - chunk * chunk_steps); }
};

// One block of channels of one image: where its rows start, and two of its parameters.
struct SelectiveBlock {
    Lanes part;
    int64_t channel_row;      // index of its first (batch, channel), a row of u, delta, y
    int64_t group_row;        // index of its (batch, group, state 0), a row of B and C
    vfloat D, delta_bias;     // zero if absent

    template <class Params>
    SelectiveBlock(const SelectiveShape& shape, const Params& p, int64_t image, int64_t block)
        : part(shape.block_lanes(block)), channel_row(image * shape.channels + shape.first_channel(block)),
          group_row((image * shape.groups + shape.group(block)) * shape.states) {
        const int64_t channel = shape.first_channel(block);
        D = p.D ? part.load(p.D + channel) : vfloat{};
        delta_bias = p.delta_bias ? part.load(p.delta_bias + channel) : vfloat{};
    }
};

// A2 (state_row, lanes) = A log2(e) of a block, zero for padding states.
void arrange_A2(const SelectiveShape& shape, const float* A, int64_t block, float* A2);

}  // namespace medmamba::cpu::MM_SIMD
