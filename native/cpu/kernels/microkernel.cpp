#include "microkernel.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Takes the sums, (rows, vectors) registers in memory, to C. Once a tile, so not worth a copy for each shape.
void finish(const TileProduct& tile, int64_t rows, int64_t vectors, const vfloat* sums) {
    for (int64_t v = 0; v < vectors; ++v) {
        const int64_t first = v * lanes, count = tile.columns - first;
        const bool whole = count >= lanes;
        vfloat bias{};
        if (tile.bias) bias = whole ? load(tile.bias + first) : load_partial(tile.bias + first, count);
        for (int64_t i = 0; i < rows; ++i) {
            float* c = tile.c + i * tile.c_row + first;
            vfloat sum = sums[i * vectors + v];
            if (tile.accumulate) sum += whole ? load(c) : load_partial(c, count);
            sum += bias;
            if (tile.relu) sum = max(vfloat{}, sum);  // in this order, NaN stays NaN
            if (whole)
                store(c, sum);
            else
                store_partial(c, sum, count);
        }
    }
}

template <int rows, int vectors>
void multiply(const TileProduct& tile) {
    const float* a[rows];
    vfloat sums[rows][vectors];
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
        a[i] = tile.a[i];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) sums[i][v] = vfloat{};
    }
    const int64_t step = tile.step;
    const float* b = tile.b;
    for (int64_t segment = 0; segment < tile.segments; ++segment) {
        int64_t at = tile.offsets[segment];
        for (int64_t k = tile.length; k > 0; --k, at += step, b += vectors * lanes) {
            vfloat panel[vectors];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) panel[v] = load(b + v * lanes);
#pragma GCC unroll 16
            for (int i = 0; i < rows; ++i) {
                const vfloat x = broadcast(a[i][at]);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; ++v) sums[i][v] += x * panel[v];
            }
        }
    }
    vfloat finished[rows * vectors];  // a copy: `sums`, whose address goes nowhere, can live in registers
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) finished[i * vectors + v] = sums[i][v];
    }
    finish(tile, rows, vectors, finished);
}

template <int rows>
void multiply_rows(const TileProduct& tile) {
    switch (ceil_div(tile.columns, lanes)) {
        case 1: return multiply<rows, 1>(tile);
        case 2: return multiply<rows, 2>(tile);
        default: return multiply<rows, panel_vectors>(tile);
    }
}

}  // namespace

void multiply_tile(const TileProduct& tile, int64_t rows) {
    if constexpr (tile_rows == 9) {
        switch (rows) {
            case 9: return multiply_rows<9>(tile);
            case 8: return multiply_rows<8>(tile);
            case 7: return multiply_rows<7>(tile);
            case 6: return multiply_rows<6>(tile);
            case 5: return multiply_rows<5>(tile);
        }
    }
    switch (rows) {
        case 4: return multiply_rows<4>(tile);
        case 3: return multiply_rows<3>(tile);
        case 2: return multiply_rows<2>(tile);
        default: return multiply_rows<1>(tile);
    }
}

}  // namespace medmamba::cpu::MM_SIMD
