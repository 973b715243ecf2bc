// A pass over rows whose channels have values of their own (scale, shift, weight): a thread stays with its channels,
// so that it reads those values once, and walks down the rows.
#pragma once

#include <algorithm>

#include "each_vector.cuh"

namespace medmamba::cuda {

// A block's threads stand in rows of `across` vectors of channels.
struct RowPass {
    int64_t rows, vectors, row_blocks;
    int across;

    RowPass(const mm_stream* stream, int64_t rows, int64_t channels, int width)
        : rows(rows), vectors(channels / width), across(8) {
        while (across < threads_per_block && across < vectors) across *= 2;
        const int64_t fill = (int64_t)std::max(1, stream->multiprocessors) * 8;
        const int64_t tiles = std::max<int64_t>(1, ceil_div(vectors, across));
        row_blocks = std::min(ceil_div(rows, threads_per_block / across), std::max<int64_t>(1, fill / tiles));
    }
    dim3 blocks() const { return dim3((unsigned)(row_blocks * ceil_div(vectors, across))); }

    __device__ __forceinline__ int64_t vector() const {
        return blockIdx.x / row_blocks * across + (int)threadIdx.x % across;
    }
    __device__ __forceinline__ int64_t first_row() const {
        return blockIdx.x % row_blocks * (threads_per_block / across) + (int)threadIdx.x / across;
    }
    __device__ __forceinline__ int64_t row_step() const { return row_blocks * (threads_per_block / across); }
};

}  // namespace medmamba::cuda
