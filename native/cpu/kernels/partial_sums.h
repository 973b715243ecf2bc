// Per-channel sums over many rows: each range of rows keeps its own, and here they are added in order.
#pragma once

#include "kernels.h"

namespace medmamba::cpu::MM_SIMD {

// `partial` is (ranges, sums, channels). Calls finish(channel, totals) with the `sums` totals of each channel.
template <int sums, class Partial, class Finish>
void add_partial_sums(mm_stream* stream, const Partial* partial, int64_t ranges, int64_t channels, Finish&& finish) {
    constexpr int64_t block = 64;
    parallel_ranges(stream, channels, block, [&](int64_t first, int64_t last, int) {
        double totals[sums][block] = {};
        const int64_t count = last - first;
        for (int64_t range = 0; range < ranges; ++range) {
            for (int s = 0; s < sums; ++s) {
                const Partial* part = partial + (range * sums + s) * channels + first;
                for (int64_t i = 0; i < count; ++i) totals[s][i] += (double)part[i];
            }
        }
        for (int64_t i = 0; i < count; ++i) {
            double of_channel[sums];
            for (int s = 0; s < sums; ++s) of_channel[s] = totals[s][i];
            finish(first + i, of_channel);
        }
    });
}

}  // namespace medmamba::cpu::MM_SIMD
