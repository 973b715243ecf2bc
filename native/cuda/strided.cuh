// An index space that two operands walk with strides of their own.
#pragma once

#include "stream.cuh"

namespace medmamba::cuda {

// Axes in row-major order, the last one innermost. A kernel takes it by value.
struct StridedPair {
    int64_t dimensions = 0;
    int64_t shape[MM_MAX_DIMENSIONS], first[MM_MAX_DIMENSIONS], second[MM_MAX_DIMENSIONS];

    int64_t count() const {
        int64_t product = 1;
        for (int64_t axis = 0; axis < dimensions; ++axis) product *= shape[axis];
        return product;
    }

    // Adds an innermost axis, merged with the one before where both operands step through the two as through
    // one. There is always at least one axis after this; axes of size one vanish otherwise.
    void append(int64_t size, int64_t first_stride, int64_t second_stride) {
        const int64_t last = dimensions - 1;
        if (size == 1 && dimensions > 0) return;
        if (dimensions > 0 && (shape[last] == 1 || (first[last] == size * first_stride &&
                                                    second[last] == size * second_stride))) {
            shape[last] *= size;
        } else {
            ++dimensions;
            shape[dimensions - 1] = size;
        }
        first[dimensions - 1] = first_stride;
        second[dimensions - 1] = second_stride;
    }
};

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
