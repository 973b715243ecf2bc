// Products of a block's rows in shared memory by tensor cores, of which the four-direction scan in bfloat16 has three:
// delta from dt, and the gradients of dt and of its weights. Tiles of 16 x 8, a warp's.
#pragma once

#include "scan_steps.cuh"

namespace medmamba::cuda {

// Where a lane's four elements of a tile are, as mma has them (device.cuh): of rows `group` and `group + 8` those of two
// columns from `column` on.
struct TileLane {
    int group, index, column;

    __device__ __forceinline__ explicit TileLane(int thread)
        : group(thread % warp_lanes / 4), index(thread % 4), column(2 * index) {}
    // A: of the rows, k to k + 7. a(row, k) is an element, cut to the 11 leading bits that tensor cores take.
    template <class Element>
    __device__ __forceinline__ void load_a(uint32_t (&to)[4], Element&& a) const {
#pragma unroll
        for (int i = 0; i < 4; ++i) to[i] = __float_as_uint(a(group + i % 2 * 8, index + i / 2 * 4));
    }
    template <class Element>
    __device__ __forceinline__ void load_b(uint32_t (&to)[2], Element&& b) const {
#pragma unroll
        for (int i = 0; i < 2; ++i) to[i] = __float_as_uint(b(index + i * 4, group));
    }
    // sum += A B over `depth` of k, a multiple of 8.
    template <int depth, class A, class B>
    __device__ __forceinline__ void add_product(float (&sum)[4], A&& a, B&& b) const {
#pragma unroll
        for (int k = 0; k < depth; k += 8) {
            uint32_t of_a[4], of_b[2];
            load_a(of_a, [&](int row, int j) { return a(row, k + j); });
            load_b(of_b, [&](int j, int column) { return b(k + j, column); });
            mma_tf32_16x8x8(sum, of_a, of_b);
        }
    }
};

// A float as the sum of two of 11 bits, exact to 22.
struct TwoTf32 {
    uint32_t leading, rest;

    // Not by initializers, which nvcc hands to the compiler of the host as well.
    __device__ __forceinline__ explicit TwoTf32(float x) {
        leading = __float_as_uint(x) & 0xffffe000u;
        rest = __float_as_uint(x - __uint_as_float(leading));
    }
};

}  // namespace medmamba::cuda
