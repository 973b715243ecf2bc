/* An index space that two operands walk with strides of their own: how the host prepares copies and broadcasts, for
 * every backend.
 *
 * All of it has internal linkage: the CPU's kernels are compiled once per SIMD level, and the linker must not pick one
 * level's copy of a function for another. */
#ifndef MEDMAMBA_STRIDED_H
#define MEDMAMBA_STRIDED_H

#include "backend.h"

namespace medmamba {

namespace {

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

// The axes of a broadcast operation, merged: first = a, second = b.
[[maybe_unused]] StridedPair merged_axes(const mm_binary_params* params) {
    StridedPair axes;
    axes.append(1, 0, 0);
    for (int64_t axis = 0; axis < params->dimensions; ++axis)
        axes.append(params->shape[axis], params->a_strides[axis], params->b_strides[axis]);
    return axes;
}

// The axes of a copy, merged, in the order of how far they move in y: first = x, second = y.
[[maybe_unused]] StridedPair ordered_axes(const mm_copy_params* params) {
    const auto distance = [&](int64_t axis) {
        const int64_t stride = params->y_strides[axis];
        return stride < 0 ? -stride : stride;
    };
    int64_t order[MM_MAX_DIMENSIONS];
    for (int64_t axis = 0; axis < params->dimensions; ++axis) {
        int64_t place = axis;
        for (; place > 0 && distance(order[place - 1]) < distance(axis); --place) order[place] = order[place - 1];
        order[place] = axis;
    }
    StridedPair axes;
    axes.append(1, 0, 0);
    for (int64_t i = 0; i < params->dimensions; ++i)
        axes.append(params->shape[order[i]], params->x_strides[order[i]], params->y_strides[order[i]]);
    return axes;
}

}  // namespace

}  // namespace medmamba

#endif
