// Copies between host and device through memory of the host that the GPU can reach by itself.
//
// The host's side of a transfer is any memory, which the system may move; the driver would have to stop for it. So it
// goes through a ring of pinned pieces: while the GPU copies one, the processor fills or empties another.
#pragma once

#include <cstddef>

#include "device.cuh"

namespace medmamba::cuda {

class Transfers {
public:
    Transfers() = default;
    ~Transfers();
    Transfers(const Transfers&) = delete;
    Transfers& operator=(const Transfers&) = delete;

    // Pinned memory is taken at the first transfer. After `upload` the host's memory may change; after `download` it
    // holds the bytes.
    cudaError_t upload(cudaStream_t stream, void* device, const void* host, size_t bytes);
    cudaError_t download(cudaStream_t stream, void* host, const void* device, size_t bytes);

private:
    static constexpr size_t piece_bytes = size_t(4) << 20;
    static constexpr size_t pieces = 4;

    // What the GPU has to do with a piece is over once `done` is.
    struct Piece {
        char* memory = nullptr;
        cudaEvent_t done = nullptr;
    };
    cudaError_t prepare();

    Piece ring_[pieces];
    size_t next_ = 0;
};

}  // namespace medmamba::cuda
