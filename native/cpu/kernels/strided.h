// Walking an index space of two operands, each with strides of its own.
#pragma once

#include "../../backend/strided.h"
#include "kernels.h"

namespace medmamba::cpu::MM_SIMD {

// Offsets of the two operands at an element, given by its place in row-major order over the first `axes` axes.
inline void offsets_at(const StridedPair& pair, int64_t axes, int64_t place, int64_t* first, int64_t* second) {
    *first = *second = 0;
    for (int64_t axis = axes - 1; axis >= 0; --axis) {
        const int64_t index = place % pair.shape[axis];
        place /= pair.shape[axis];
        *first += index * pair.first[axis];
        *second += index * pair.second[axis];
    }
}

// Elements [begin, end) in row-major order, as pieces along the innermost axis:
// piece(place of its first element, offsets of the two operands there, elements).
// Pieces may be short (a pixel's three colours), so that from one to the next the indices are counted up, not
// divided out of the place.
template <class Piece>
void each_piece(const StridedPair& pair, int64_t begin, int64_t end, Piece&& piece) {
    const int64_t last = pair.dimensions - 1, length = pair.shape[last];
    int64_t index[MM_MAX_DIMENSIONS] = {}, first = 0, second = 0;
    for (int64_t axis = last - 1, place = begin / length; axis >= 0; --axis) {
        index[axis] = place % pair.shape[axis];
        place /= pair.shape[axis];
        first += index[axis] * pair.first[axis];
        second += index[axis] * pair.second[axis];
    }
    for (int64_t start = begin % length; begin < end; start = 0) {
        const int64_t count = std::min(length - start, end - begin);
        piece(begin, first + start * pair.first[last], second + start * pair.second[last], count);
        begin += count;
        for (int64_t axis = last - 1; axis >= 0; --axis) {
            first += pair.first[axis];
            second += pair.second[axis];
            if (++index[axis] < pair.shape[axis]) break;
            first -= index[axis] * pair.first[axis];
            second -= index[axis] * pair.second[axis];
            index[axis] = 0;
        }
    }
}

}  // namespace medmamba::cpu::MM_SIMD
