// The one inner loop of matrix products, 3x3 convolutions and the gradients of both.
//
// It computes a tile of C = A B that fits in registers and stays there for the whole sum over k:
//
//                          B panel: `panel_vectors` registers wide, packed, one row a step
//                         [ b b b b | b b b b | b b b b ]      k = 0
//                         [ b b b b | b b b b | b b b b ]      k = 1  ...
//                             |         |         |
//     a[0] -> x o o o ...  [ c c c c | c c c c | c c c c ]
//     a[1] -> x o o o ...  [ c c c c | c c c c | c c c c ]     x: this step's word of each row,
//     ...                  [            ...              ]        broadcast to a whole register
//     a[8] -> x o o o ...  [ c c c c | c c c c | c c c c ]
//
// A step loads one row of the panel and one word a row, and does rows * vectors multiply-adds with them:
// AVX-512 9 x 48 floats (27 of 32 registers hold C) 12 loads for 27 multiply-adds, AVX2 4 x 24 (12 of 16),
// NEON 7 x 12 (21 of 32), portable 4 x 8. Nearly all widths of the model are multiples of 48 and so fill their panels.
// A word is a float, or two numbers in bfloat16 (factor.h); all counts and distances below are in words.
//
// Rows of A are pointers, and word k of a row is `a[row][segment.a + k * step]`, where k walks `length` words of one
// segment after the other. That is all a convolution needs to be a matrix product without ever writing its patches:
//
//                          rows are              segments                           step
//     product              rows of A             one                                1 (or the row, if A^T is stored)
//     convolution          pixels, staged        taps that lie inside the image     1: input channels
//     its weight gradient  (tap, input channel)  lines of the image                 one staged pixel (or a pair)
//                          the same, transposed  images, for AMX                    1
#pragma once

#include "factor.h"

namespace medmamba::cpu::MM_SIMD {

#if defined(__AVX2__) || defined(MM_NEON)
constexpr int panel_vectors = 3;
#else
constexpr int panel_vectors = 2;
#endif
constexpr int64_t panel_columns = panel_vectors * lanes;

// Where a segment's words begin: in each row of A, in the panel.
struct Segment {
    int64_t a, b;
};

// A tile of C, where its factors lie, and what happens to the sum at the end:
// c = relu?((sum + c? + bias?) * scale? + shift?).
struct TileProduct {
    const float* const* a;
    const Segment* segments;
    int64_t segment_count, length, step;
    const float* b;  // rows of packed_width(columns), `length` a segment: columns behind the last are zero
    float* const* c;
    int64_t first_column, columns;  // of each row of C: columns 1..panel_columns
    const float* bias;              // (columns), optional
    const float *scale, *shift;     // (columns), both or neither
    bool accumulate, relu;
};

// Takes one register of sums to a row of C, `column` behind the tile's first.
template <class Part>
inline void finish(const TileProduct& tile, float* row, int64_t column, vfloat sum, Part part) {
    float* c = row + tile.first_column + column;
    if (tile.accumulate) sum += load(c, part);
    if (tile.bias) sum += load(tile.bias + column, part);
    if (tile.scale) sum = sum * load(tile.scale + column, part) + load(tile.shift + column, part);
    if (tile.relu) sum = max(vfloat{}, sum);  // in this order, NaN stays NaN
    store(c, sum, part);
}

// Rows: 1..Factor::tile_rows. Exists for each factor of factor.h.
template <class Factor>
void multiply_tile(const TileProduct& tile, int64_t rows);
#if defined(__AVX512F__)
template <>
void multiply_tile<AmxBFloat16>(const TileProduct& tile, int64_t rows);  // microkernel_amx.cpp: a step of 1
#endif

// Words in a packed row of a panel: whole registers.
inline int64_t packed_width(int64_t columns) { return ceil_div(columns, lanes) * lanes; }

// A distance between rows that is an odd number of cache lines, so that equal columns of consecutive rows
// spread over all sets of a cache. (Widths are often multiples of a large power of two, which would put them
// all in the same few sets.)
inline int64_t staged_stride(int64_t width) { return (ceil_div(width, 16) | 1) * 16; }

// Length of the pieces when `count` is cut into as few equal pieces as possible, none longer than `limit` and
// each, but for the last, a multiple of `multiple` (which divides `limit`).
inline int64_t even_piece(int64_t count, int64_t limit, int64_t multiple) {
    const int64_t pieces = std::max<int64_t>(1, ceil_div(count, limit));
    return std::max<int64_t>(1, ceil_div(ceil_div(count, pieces), multiple) * multiple);
}

}  // namespace medmamba::cpu::MM_SIMD
