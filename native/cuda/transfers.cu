#include "transfers.cuh"

#include <algorithm>
#include <cstring>

namespace medmamba::cuda {

// The stream that used the pieces has been waited for. That a process is about to end is no error to tell anybody.
Transfers::~Transfers() {
    for (Piece& piece : ring_) {
        if (piece.done && cudaEventDestroy(piece.done) != cudaSuccess) cudaGetLastError();
        if (piece.memory && cudaFreeHost(piece.memory) != cudaSuccess) cudaGetLastError();
    }
}

cudaError_t Transfers::prepare() {
    for (Piece& piece : ring_) {
        if (!piece.memory) {
            const cudaError_t error = cudaMallocHost(&piece.memory, piece_bytes);
            if (error != cudaSuccess) return piece.memory = nullptr, error;
        }
        if (!piece.done) {
            constexpr unsigned sleeping = cudaEventDisableTiming | cudaEventBlockingSync;
            const cudaError_t error = cudaEventCreateWithFlags(&piece.done, sleeping);
            if (error != cudaSuccess) return piece.done = nullptr, error;
        }
    }
    return cudaSuccess;
}

cudaError_t Transfers::upload(cudaStream_t stream, void* device, const void* host, size_t bytes) {
    if (const cudaError_t error = prepare(); error != cudaSuccess) return error;
    for (size_t offset = 0; offset < bytes; offset += piece_bytes) {
        const size_t length = std::min(piece_bytes, bytes - offset);
        Piece& piece = ring_[next_++ % pieces];
        cudaError_t error = cudaEventSynchronize(piece.done);  // at once, if it has never been recorded
        if (error != cudaSuccess) return error;
        std::memcpy(piece.memory, static_cast<const char*>(host) + offset, length);
        error = cudaMemcpyAsync(static_cast<char*>(device) + offset, piece.memory, length, cudaMemcpyHostToDevice,
                                stream);
        if (error == cudaSuccess) error = cudaEventRecord(piece.done, stream);
        if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
}

// The GPU is `pieces` pieces ahead of the processor.
cudaError_t Transfers::download(cudaStream_t stream, void* host, const void* device, size_t bytes) {
    if (const cudaError_t error = prepare(); error != cudaSuccess) return error;
    for (size_t emptied = 0, filled = 0; emptied < bytes; emptied += piece_bytes) {
        for (; filled < bytes && filled < emptied + pieces * piece_bytes; filled += piece_bytes) {
            const size_t length = std::min(piece_bytes, bytes - filled);
            Piece& piece = ring_[(next_ + filled / piece_bytes) % pieces];
            cudaError_t error = cudaEventSynchronize(piece.done);  // an upload may still be on its way from it
            if (error != cudaSuccess) return error;
            error = cudaMemcpyAsync(piece.memory, static_cast<const char*>(device) + filled, length,
                                    cudaMemcpyDeviceToHost, stream);
            if (error == cudaSuccess) error = cudaEventRecord(piece.done, stream);
            if (error != cudaSuccess) return error;
        }
        const Piece& piece = ring_[(next_ + emptied / piece_bytes) % pieces];
        if (const cudaError_t error = cudaEventSynchronize(piece.done); error != cudaSuccess) return error;
        std::memcpy(static_cast<char*>(host) + emptied, piece.memory, std::min(piece_bytes, bytes - emptied));
    }
    next_ += (bytes + piece_bytes - 1) / piece_bytes;
    return cudaSuccess;
}

}  // namespace medmamba::cuda
