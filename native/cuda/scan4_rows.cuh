// A chunk's rows of bfloat16 on their way to the walk, which reads float32: copied asynchronously as they lie in
// memory, double-buffered, and widened when the chunk's turn comes, once for all of a block's channels.
//
// Elements of 2 bytes, copies of 4 at least: a direction's columns of a pixel are copied with the one element in
// front or behind that shares a word with them. The columns of all four directions of a pixel are whole words.
#pragma once

#include "scan_passes.cuh"
#include "storage.cuh"

namespace medmamba::cuda {

template <class Tile, Pass pass>
class BFloat16Chunks {
public:
    static size_t bytes(int columns) { return 2 * chunk_bytes(columns); }

    // `odd`: a direction's first column is the upper half of a word.
    __device__ __forceinline__ BFloat16Chunks(float* memory, int columns, bool odd)
        : memory_(reinterpret_cast<char*>(memory)), columns_(columns), odd_(odd) {}

    // Starts the copy of step t of `projected` by the lanes of a warp; zeros if it is not `there`.
    __device__ __forceinline__ void stage_projected(int buffer, int t, const BFloat16* row, bool there) const {
        const uint32_t* from = reinterpret_cast<const uint32_t*>(row - odd_);
        uint32_t* to = reinterpret_cast<uint32_t*>(projected(buffer)) + t * row_words(columns_);
        for (int i = threadIdx.x % warp_lanes; 2 * i < columns_ + odd_; i += warp_lanes)
            copy_async<4>(to + i, from + i, there);
    }
    // Column r of step t.
    __device__ __forceinline__ float at(int buffer, int t, int r) const {
        return to_float(projected(buffer)[2 * t * row_words(columns_) + odd_ + r]);
    }

    // Where a chunk's rows of u and of dy go, Tile::channels elements each.
    __device__ __forceinline__ BFloat16* u(int buffer) const {
        return reinterpret_cast<BFloat16*>(memory_ + buffer * chunk_bytes(columns_));
    }
    __device__ __forceinline__ BFloat16* dy(int buffer) const {
        return u(buffer) + (reads_u<pass> ? channel_elements : 0);
    }

    // Widens one of them.
    static __device__ __forceinline__ void widen(const BFloat16* from, float* to) {
        static_assert(Tile::input_row == Tile::channels);
        for (int i = threadIdx.x * 4; i < channel_elements; i += Tile::threads * 4)
            store(to + i, load(from + i, Width<4>{}));
    }

private:
    static constexpr int channel_elements = chunk_steps * Tile::channels;

    static __host__ __device__ __forceinline__ int row_words(int columns) { return columns / 2 + 1; }
    static __host__ __device__ __forceinline__ int chunk_bytes(int columns) {
        return ((reads_u<pass> ? 2 : 0) + (reads_dy<pass> ? 2 : 0)) * channel_elements +
               4 * chunk_steps * row_words(columns);
    }
    __device__ __forceinline__ BFloat16* projected(int buffer) const {
        return dy(buffer) + (reads_dy<pass> ? channel_elements : 0);
    }

    char* memory_;
    int columns_, odd_;
};

}  // namespace medmamba::cuda
