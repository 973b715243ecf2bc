// Walking an index space of two operands, each with strides of its own.
#pragma once

#include "../backend/strided.h"
#include "stream.cuh"

namespace medmamba::cuda {

// Divisions of 32 bits take a fifth of the time of those of 64. A place may be one grid beyond the last element.
inline bool fits_32_bits(int64_t count) { return count < (int64_t)1 << 31; }

// Offsets of the two operands at an element, given by its place in row-major order. The outermost index needs no
// division; so a single axis, the common case, needs none.
template <class Index>
__device__ __forceinline__ void offsets_at(const StridedPair& pair, Index place, int64_t* first, int64_t* second) {
    int64_t first_offset = 0, second_offset = 0;
    for (int axis = (int)pair.dimensions - 1; axis > 0; --axis) {
        const Index size = (Index)pair.shape[axis], outer = place / size, index = place - outer * size;
        first_offset += (int64_t)index * pair.first[axis];
        second_offset += (int64_t)index * pair.second[axis];
        place = outer;
    }
    *first = first_offset + (int64_t)place * pair.first[0];
    *second = second_offset + (int64_t)place * pair.second[0];
}

}  // namespace medmamba::cuda
