#include "microkernel.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Panels are longer than the first-level cache: so many rows ahead hide the latency of the second.
constexpr int64_t prefetched_rows = 16;
// So are the words of A, where a step leads to another pixel: those of all rows lie in one line or two.
constexpr int64_t prefetched_steps = 8;

template <class Factor, int rows, int vectors>
void multiply(const TileProduct& tile) {
    const float* a[rows];
    vfloat sums[rows][vectors];
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
        a[i] = tile.a[i];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            sums[i][v] = vfloat{};
            __builtin_prefetch(tile.c[i] + tile.first_column + v * lanes, 1);  // needed when the sum is complete
        }
    }
    const int64_t step = tile.step;
    for (const Segment *segment = tile.segments, *end = segment + tile.segment_count; segment < end; ++segment) {
        int64_t at = segment->a;
        const float* b = tile.b + segment->b;
        for (int64_t k = tile.length; k > 0; --k, at += step, b += vectors * lanes) {
            __builtin_prefetch(a[0] + at + prefetched_steps * step);
            vfloat panel[vectors];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) {
                panel[v] = load(b + v * lanes);
                __builtin_prefetch(b + (prefetched_rows * vectors + v) * lanes);
            }
#pragma GCC unroll 16
            for (int i = 0; i < rows; ++i) {
                const auto x = Factor::word(a[i] + at);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; ++v) sums[i][v] = Factor::multiply_add(sums[i][v], x, panel[v]);
            }
        }
    }
    constexpr int whole = vectors - 1;
    const int64_t last = tile.columns - whole * lanes;  // columns of the last register
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 4
        for (int v = 0; v < whole; ++v) finish(tile, tile.c[i], v * lanes, sums[i][v], Whole{});
        if (last == lanes)
            finish(tile, tile.c[i], whole * lanes, sums[i][whole], Whole{});
        else
            finish(tile, tile.c[i], whole * lanes, sums[i][whole], Part{last});
    }
}

template <class Factor, int rows>
void multiply_rows(const TileProduct& tile) {
    switch (ceil_div(tile.columns, lanes)) {
        case 1: return multiply<Factor, rows, 1>(tile);
        case 2: return multiply<Factor, rows, 2>(tile);
        default: return multiply<Factor, rows, panel_vectors>(tile);
    }
}

}  // namespace

template <class Factor>
void multiply_tile(const TileProduct& tile, int64_t rows) {
    if constexpr (Factor::tile_rows > 7) {
        switch (rows) {
            case 9: return multiply_rows<Factor, 9>(tile);
            case 8: return multiply_rows<Factor, 8>(tile);
        }
    }
    if constexpr (Factor::tile_rows > 4) {
        switch (rows) {
            case 7: return multiply_rows<Factor, 7>(tile);
            case 6: return multiply_rows<Factor, 6>(tile);
            case 5: return multiply_rows<Factor, 5>(tile);
        }
    }
    switch (rows) {
        case 4: return multiply_rows<Factor, 4>(tile);
        case 3: return multiply_rows<Factor, 3>(tile);
        case 2: return multiply_rows<Factor, 2>(tile);
        default: return multiply_rows<Factor, 1>(tile);
    }
}

template void multiply_tile<Float32>(const TileProduct&, int64_t);
#if defined(__AVX512F__)
template void multiply_tile<BFloat16>(const TileProduct&, int64_t);
#endif

}  // namespace medmamba::cpu::MM_SIMD
