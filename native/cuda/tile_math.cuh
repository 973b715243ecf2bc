// How a warp multiplies its 32 x 32 of C: three ways with one face. Sums are float32 in all of them, and are added in
// the order of k.
//
//     multiply(a, row, b, column, depth)   sums += rows [row, row + 32) of panel a times [column, column + 32) of
//                                          panel b, over the first `depth` of k; behind them are zeros,
//                                          which may be multiplied as well
//     each_pair(f)                         f(i, j, sum of (i, j), sum of (i, j + 1)) for the pairs of the lane, j even
//
// A tensor-core tile does not care which k is which, as long as both operands agree: for TF32, index i of four takes
// k = 2 i and 2 i + 1 of every eight, so that a panel with k along its lines is read 8 bytes at a time, and rounded
// to the nearest on the way into the registers. bfloat16 panels hold what tensor cores take.
#pragma once

#include "tile.cuh"

namespace medmamba::cuda {

// Lane = 8 * down + along holds rows 2 down + {0, 1} of every 8, and columns 2 along + {0, 1} of every 16.
struct Float32Math {
    using Element = float;
    static constexpr int along_padding = 4;
    float sums[8][4] = {};

    template <class A, class B>
    __device__ __forceinline__ void multiply(const A& a, int row, const B& b, int column, int) {
        const int lane = (int)threadIdx.x % 32;
        row += 2 * (lane / 8);
        column += 2 * (lane % 8);
#pragma unroll 1
        for (int k = 0; k < k_step<float>; k += 4) {
            float fragment_a[4][2][4], fragment_b[2][2][4];
#pragma unroll
            for (int i = 0; i < 4; ++i) a.two_rows(row + 8 * i, k, fragment_a[i]);
#pragma unroll
            for (int j = 0; j < 2; ++j) b.two_rows(column + 16 * j, k, fragment_b[j]);
#pragma unroll
            for (int step = 0; step < 4; ++step)
#pragma unroll
                for (int i = 0; i < 8; ++i)
#pragma unroll
                    for (int j = 0; j < 4; ++j)
                        sums[i][j] = fmaf(fragment_a[i / 2][i % 2][step], fragment_b[j / 2][j % 2][step], sums[i][j]);
        }
    }

    template <class F>
    __device__ __forceinline__ void each_pair(F f) const {
        const int lane = (int)threadIdx.x % 32;
#pragma unroll
        for (int i = 0; i < 8; ++i)
#pragma unroll
            for (int j = 0; j < 4; j += 2)
                f(2 * (lane / 8) + i % 2 + i / 2 * 8, 2 * (lane % 8) + j / 2 * 16, sums[i][j], sums[i][j + 1]);
    }
};

// What tf32 and bf16 share: the sums of 2 x 4 tiles of 16 x 8.
struct TensorCoreSums {
    static constexpr int along_padding = 8;  // elements
    float sums[2][4][4] = {};

    template <class F>
    __device__ __forceinline__ void each_pair(F f) const {
        const int group = (int)threadIdx.x % 32 / 4, index = (int)threadIdx.x % 4;
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j)
#pragma unroll
                for (int half = 0; half < 2; ++half)
                    f(16 * i + group + 8 * half, 8 * j + 2 * index, sums[i][j][2 * half], sums[i][j][2 * half + 1]);
    }
};

struct Tf32Math : TensorCoreSums {
    using Element = float;

    template <class A, class B>
    __device__ __forceinline__ void multiply(const A& a, int row, const B& b, int column, int depth) {
        const int group = (int)threadIdx.x % 32 / 4, index = (int)threadIdx.x % 4;
#pragma unroll
        for (int k = 0; k < k_step<float>; k += 8) {
            if (k >= depth) break;
            uint32_t fragment_a[2][4], fragment_b[4][2];
#pragma unroll
            for (int i = 0; i < 2; ++i)
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    const float2 two = a.two_of_k(row + 16 * i + 8 * half + group, k + 2 * index);
                    fragment_a[i][half] = to_tf32(two.x);
                    fragment_a[i][half + 2] = to_tf32(two.y);
                }
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const float2 two = b.two_of_k(column + 8 * j + group, k + 2 * index);
                fragment_b[j][0] = to_tf32(two.x);
                fragment_b[j][1] = to_tf32(two.y);
            }
#pragma unroll
            for (int i = 0; i < 2; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j) mma_tf32_16x8x8(sums[i][j], fragment_a[i], fragment_b[j]);
        }
    }
};

// Tiles of 16 rows and 16 k, as four matrices of 8 x 8 in the order in which tensor cores take them: of A, what is
// further down before what is further in k; of B the other way round, so that its first two make one fragment, and its
// last two the next.
template <bool is_b, class Panel>
__device__ __forceinline__ void load_tile(const Panel& panel, int row, int k, uint32_t (&tile)[4]) {
    const int lane = (int)threadIdx.x % 32, line = lane % 8, second = lane / 8 % 2 * 8, third = lane / 16 * 8;
    row += is_b ? third : second;
    k += is_b ? second : third;
    if constexpr (Panel::k_along)
        load_matrices<false>(tile, panel.at(row + line, k));
    else
        load_matrices<true>(tile, panel.at(k + line, row));
}

struct Bf16Math : TensorCoreSums {
    using Element = BFloat16;

    template <class A, class B>
    __device__ __forceinline__ void multiply(const A& a, int row, const B& b, int column, int depth) {
#pragma unroll
        for (int k = 0; k < k_step<BFloat16>; k += 16) {
            if (k >= depth) break;
            uint32_t fragment_a[2][4], fragment_b[2][4];
#pragma unroll
            for (int i = 0; i < 2; ++i) load_tile<false>(a, row + 16 * i, k, fragment_a[i]);
#pragma unroll
            for (int j = 0; j < 2; ++j) load_tile<true>(b, column + 16 * j, k, fragment_b[j]);
#pragma unroll
            for (int i = 0; i < 2; ++i)
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                    const uint32_t columns[2] = {fragment_b[j / 2][j % 2 * 2], fragment_b[j / 2][j % 2 * 2 + 1]};
                    mma_bf16_16x8x16(sums[i][j], fragment_a[i], columns);
                }
        }
    }
};

}  // namespace medmamba::cuda
