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
    // A block that was given back and is not much too large, otherwise a new one. Where there is no memory, gives back to
    // the system what is kept, which waits for the device, and asks once more.
    cudaError_t take(void** pointer, size_t bytes);
    void give_back(void* pointer);
    // Gives all that is kept back to the system.
    cudaError_t trim();

private:
    cudaError_t free_kept();

    std::mutex mutex_;
    std::multimap<size_t, void*> kept_;
    std::unordered_map<void*, size_t> in_use_;
};

}  // namespace medmamba::cuda
