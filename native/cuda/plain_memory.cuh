// Memory of a GPU for one stream, without a pool of the driver's: what is given back is kept for the next one who asks.
//
// It may be in use then by work that is queued still. As one stream does all the work, in order, whoever gets it comes
// behind that.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <unordered_map>

#include "device.cuh"

namespace medmamba::cuda {

class PlainMemory {
public:
    // A block that was given back and is not much too large, otherwise a new one. Where there is no memory, or all would be
    // more than `limit` (0: none), gives back to the system what is kept, which waits for the device, and asks once more.
    cudaError_t take(void** pointer, size_t bytes, size_t limit);
    void give_back(void* pointer);
    // Gives all that is kept back to the system.
    cudaError_t trim();

    // Bytes that are in use, and those with what is kept.
    size_t used() const;
    size_t reserved() const;

private:
    cudaError_t take_new(void** pointer, size_t bytes, size_t limit);
    cudaError_t free_kept();

    mutable std::mutex mutex_;
    size_t used_ = 0, reserved_ = 0;
    std::multimap<size_t, void*> kept_;
    std::unordered_map<void*, size_t> in_use_;
};

}  // namespace medmamba::cuda
