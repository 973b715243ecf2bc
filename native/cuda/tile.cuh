// The pieces that a product is made of on a GPU: what a block multiplies, and how its operands lie in shared memory.
//
//     C = A B, A (m, k), B (k, n).  A block owns 128 x 64 of C (or 64 x 64) and walks k in steps of 32:
//
//                            B panel, 32 x 64              two panels of each operand: while the warps multiply
//                            +-------+-------+             one, the copies that fill the other are under way
//                         32 |       |       |
//                            +-------+-------+             a warp owns 32 x 32 of C in registers, 32 sums a lane:
//              32
//            +----+          +-------+-------+             float32       a lane 8 x 4 of C, by FFMA
//            |    |       32 | warp 0| warp 1|             tf32, bf16    2 x 4 tensor-core tiles of 16 x 8
//            |    |          +-------+-------+
//     A      |    |       32 | warp 2| warp 3|             (tile_math.cuh)
//     panel, |    |          +-------+-------+
//     128x32 |    |          :       :       :
//            +----+          +-------+-------+
//
// Below, the rows of a panel are rows of A or columns of B: both operands are `rows` times k. In memory either k runs
// along the lines (A as stored, B transposed) or across them; asynchronous copies keep what is contiguous contiguous,
// so a panel lies in shared memory as in global memory, its lines padded so that the lanes of a warp read different
// banks:
//
//     k along     the 8 rows x 4 pairs of k that a tensor-core tile takes at once: row * 40 + 2 index, 8 bytes each
//                 (float32 reads 4 k of a row at once: row * 36 + k, 16 bytes each)
//     k across    2 index * 132 + row, or * 68: 8 index + row in banks
//
// 61 KB of shared memory and 128 registers a thread at most: two blocks of 128 x 64 to a multiprocessor, so that one
// multiplies while the other waits at its barrier.
//
// The bound, in multiply-adds a clock and multiprocessor. FFMA does 128, and is the bound of float32. On tensor cores
// it is the way of the operands: for 32 x 32 x 8 multiply-adds a warp reads 2 KB of shared memory, 16 clocks, which
// makes 512; and for 128 x 64 x 32 of them a block copies 24 KB, which makes 512 only where 48 bytes a clock arrive
// from the second-level cache.
#pragma once

#include "device.cuh"

namespace medmamba::cuda {

constexpr int k_step = 32;     // k that a panel holds
constexpr int warp_tile = 32;  // rows and columns of C that a warp owns
constexpr int chunk = 4;       // floats that one copy moves where 16-byte alignment allows

template <int rows_>
struct TileShape {
    static constexpr int rows = rows_, columns = 64;
    static constexpr int warps = rows / warp_tile * (columns / warp_tile);
    static constexpr int threads = 32 * warps;
};
using LargeTile = TileShape<128>;
using SmallTile = TileShape<64>;

template <int rows, bool k_along_, int along_padding>
struct Panel {
    static constexpr bool k_along = k_along_;
    static constexpr int lines = k_along ? rows : k_step;
    static constexpr int length = k_along ? k_step : rows;
    static constexpr int stride = length + (k_along ? along_padding : 4);

    alignas(16) float values[lines * stride];

    __device__ __forceinline__ float* at(int line, int offset) { return values + line * stride + offset; }

    // Of one row: k and k + 1, with k even.
    __device__ __forceinline__ float2 two_of_k(int row, int k) const {
        if constexpr (k_along)
            return *reinterpret_cast<const float2*>(values + row * stride + k);
        else
            return float2{values[k * stride + row], values[(k + 1) * stride + row]};
    }

    // Of two rows, the first even: k to k + 3, with k a multiple of 4.
    __device__ __forceinline__ void two_rows(int row, int k, float (&to)[2][4]) const {
        if constexpr (k_along) {
            for (int r = 0; r < 2; ++r) {
                const float4 v = *reinterpret_cast<const float4*>(values + (row + r) * stride + k);
                to[r][0] = v.x, to[r][1] = v.y, to[r][2] = v.z, to[r][3] = v.w;
            }
        } else {
            for (int i = 0; i < 4; ++i) {
                const float2 v = *reinterpret_cast<const float2*>(values + (k + i) * stride + row);
                to[0][i] = v.x, to[1][i] = v.y;
            }
        }
    }
};

// The chunks of a panel that the calling thread copies: one at the same offset of every `pass`-th line, so that
// neighbouring threads copy neighbouring chunks.
template <class Panel, int threads>
struct ThreadChunks {
    static constexpr int per_line = Panel::length / chunk;
    static constexpr int pass = threads / per_line;
    static constexpr int count = Panel::lines / pass;
    static_assert(threads % per_line == 0 && Panel::lines % pass == 0);

    __device__ __forceinline__ static int line(int j) { return (int)threadIdx.x / per_line + j * pass; }
    __device__ __forceinline__ static int offset() { return (int)threadIdx.x % per_line * chunk; }
};

// How many of a chunk's floats there are when `left` are left in its line.
__device__ __forceinline__ int chunk_count(int64_t left) { return left >= chunk ? chunk : left > 0 ? (int)left : 0; }

// The first `count` floats of a chunk, zeros for the others. `aligned` says that chunks begin at multiples of 16
// bytes.
__device__ __forceinline__ void copy_chunk(float* to, const float* from, int count, bool aligned) {
    if (aligned && (count == chunk || count == 0)) {
        copy_async<16>(to, from, count > 0);
    } else {
        for (int i = 0; i < chunk; ++i) copy_async<4>(to + i, from + i, i < count);
    }
}

__device__ __forceinline__ float4 load_chunk(const float* from, int count, bool aligned) {
    if (aligned && count == chunk) return *reinterpret_cast<const float4*>(from);
    float4 v{0, 0, 0, 0};
    if (count > 0) v.x = from[0];
    if (count > 1) v.y = from[1];
    if (count > 2) v.z = from[2];
    if (count > 3) v.w = from[3];
    return v;
}

inline bool is_aligned(const float* pointer, int64_t stride = 0, int64_t another_stride = 0) {
    return reinterpret_cast<uintptr_t>(pointer) % 16 == 0 && stride % chunk == 0 && another_stride % chunk == 0;
}

}  // namespace medmamba::cuda
