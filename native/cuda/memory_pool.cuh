// Memory of a GPU for all streams of the process, from a pool of our own: nobody else's is changed.
//
// What is freed stays with the pool, for the next one who asks, until somebody trims it: an allocation that finds no
// memory, a stream that is closed, or the caller. It is never given to one stream on the condition that work of another
// is done first, as allocating must not wait for the queue.
//
// A stream may set a limit to what the process takes of its GPU: the least of those that are open counts, for all.
#pragma once

#include <cstddef>

#include "device.cuh"

namespace medmamba::cuda {

// A stream's share in its GPU's pool, which goes when the last stream lets go of it.
class MemoryPool {
public:
    MemoryPool() = default;
    ~MemoryPool() { close(); }
    MemoryPool(const MemoryPool&) = delete;
    MemoryPool& operator=(const MemoryPool&) = delete;

    // `limit`: the most bytes that the pool may have, in use and kept; 0 if there is none.
    cudaError_t open(int device, size_t limit = 0);
    // What was freed in stream order has to be free: streams have been waited for.
    void close();

    // Memory in the order of `stream`, to be given back by cudaFreeAsync. Where there is none, or it would be over the
    // limit, waits for the stream, gives back what is kept, and asks once more.
    cudaError_t take(void** pointer, size_t bytes, cudaStream_t stream);

    // Gives back what is free and kept.
    cudaError_t trim();

    // Bytes that are in use, and those with what is kept.
    cudaError_t used(size_t* bytes) const;
    cudaError_t reserved(size_t* bytes) const;
    // 0 if there is none.
    size_t limit() const;

    struct Shared;

private:
    cudaError_t take_once(void** pointer, size_t bytes, cudaStream_t stream);

    int device_ = -1;  // while it is open
    Shared* shared_ = nullptr;
    size_t own_limit_ = 0;
};

}  // namespace medmamba::cuda
