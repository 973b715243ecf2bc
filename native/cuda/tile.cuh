// The pieces that a product is made of on a GPU: what a block multiplies, and how its operands lie in shared memory.
//
//     C = A B, A (m, k), B (k, n).  A block owns 128 x 64 of C (or 64 x 64) and walks k in steps of 128 bytes, which
//     is 32 of float32 and 64 of bfloat16:
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
//     float32, k along    the 8 rows x 4 pairs of k that a tensor-core tile takes at once: row * 40 + 2 index, 8
//                         bytes each (FFMA reads 4 k of a row at once: row * 36 + k, 16 bytes each)
//     float32, k across   2 index * 132 + row, or * 68: 8 index + row in banks
//     bfloat16            8 lines of 16 bytes that the warp loads as an 8 x 8 matrix, turned over where k runs
//                         across: lines are an odd multiple of 16 bytes apart
//
// 61 KB of shared memory and 128 registers a thread at most: two blocks of 128 x 64 to a multiprocessor, so that one
// multiplies while the other waits at its barrier.
//
// The bound, in multiply-adds a clock and multiprocessor. FFMA does 128, and is the bound of float32. On tensor cores
// it is the way of the operands: for 32 x 32 x 8 multiply-adds of TF32 a warp reads 2 KB of shared memory, 16 clocks,
// which makes 512; for 128 x 64 x 32 a block copies 24 KB, which makes 512 only where 48 bytes a clock arrive from
// the second-level cache. Of bfloat16 the same bytes are twice the k, and both make 1024; the copies' writes into shared
// memory bring that down to some 745.
#pragma once

#include "storage.cuh"

namespace medmamba::cuda {

template <class T>
constexpr int k_step = 128 / (int)sizeof(T);  // k that a panel holds
template <class T>
constexpr int chunk = 16 / (int)sizeof(T);  // elements that one copy moves where 16-byte alignment allows

constexpr int warp_tile = 32;  // rows and columns of C that a warp owns

template <int rows_>
struct TileShape {
    static constexpr int rows = rows_, columns = 64;
    static constexpr int warps = rows / warp_tile * (columns / warp_tile);
    static constexpr int threads = 32 * warps;
};
using LargeTile = TileShape<128>;
using SmallTile = TileShape<64>;

// `along_padding`: of lines that k runs along.
template <class T, int rows, bool k_along_, int along_padding>
struct Panel {
    using Element = T;
    static constexpr bool k_along = k_along_;
    static constexpr int lines = k_along ? rows : k_step<T>;
    static constexpr int length = k_along ? k_step<T> : rows;
    static constexpr int stride = length + (k_along ? along_padding : chunk<T>);

    alignas(16) T values[lines * stride];

    __device__ __forceinline__ T* at(int line, int offset) { return values + line * stride + offset; }
    __device__ __forceinline__ const T* at(int line, int offset) const { return values + line * stride + offset; }

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
    static constexpr int size = chunk<typename Panel::Element>;
    static constexpr int per_line = Panel::length / size;
    static constexpr int pass = threads / per_line;
    static constexpr int count = Panel::lines / pass;
    static_assert(threads % per_line == 0 && Panel::lines % pass == 0);

    __device__ __forceinline__ static int line(int j) { return (int)threadIdx.x / per_line + j * pass; }
    __device__ __forceinline__ static int offset() { return (int)threadIdx.x % per_line * size; }
    __device__ __forceinline__ static typename Panel::Element* of(Panel& panel, int j) {
        return panel.at(line(j), offset());
    }
};

// How many of a chunk's elements there are when `left` are left in its line.
template <class T>
__device__ __forceinline__ int chunk_count(int64_t left) {
    return left >= chunk<T> ? chunk<T> : left > 0 ? (int)left : 0;
}

template <int bytes, class T>
__device__ __forceinline__ void copy_parts(T* to, const T* from, int count) {
    constexpr int part = bytes / (int)sizeof(T);
#pragma unroll
    for (int i = 0; i < chunk<T>; i += part) copy_async<bytes>(to + i, from + i, i < count);
}

// The first `count` elements of a chunk, zeros for the others. `vector`: how many may be read at once.
template <class T>
__device__ __forceinline__ void copy_chunk(T* to, const T* from, int count, int vector) {
    const bool full = count == chunk<T> || count == 0;
    if (vector >= chunk<T> && full) {
        copy_async<16>(to, from, count > 0);
    } else if constexpr (sizeof(T) == 4) {
        copy_parts<4>(to, from, count);
    } else if (vector >= 4 && count % 4 == 0) {
        copy_parts<8>(to, from, count);
    } else if (vector >= 2 && count % 2 == 0) {
        copy_parts<4>(to, from, count);
    } else {  // no asynchronous copy moves 2 bytes
        for (int i = 0; i < chunk<T>; ++i) to[i] = i < count ? from[i] : T{};
    }
}

// The same into registers, as many floats as there are.
template <int size>
__device__ __forceinline__ Floats<size> load_chunk(const float* from, int count, int vector) {
    if (vector >= 4 && count == size) return load(from, Width<size>{});
    Floats<size> v;
#pragma unroll
    for (int i = 0; i < size; ++i) v.lane[i] = i < count ? from[i] : 0.0f;
    return v;
}

}  // namespace medmamba::cuda
