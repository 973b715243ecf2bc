#include "plain_memory.cuh"

namespace medmamba::cuda {

cudaError_t PlainMemory::take(void** pointer, size_t bytes) {
    std::lock_guard lock(mutex_);
    const auto found = kept_.lower_bound(bytes);
    if (found != kept_.end() && found->first / 2 <= bytes) {
        *pointer = found->second;
        in_use_.emplace(found->second, found->first);
        kept_.erase(found);
        return cudaSuccess;
    }
    cudaError_t error = cudaMalloc(pointer, bytes);
    if (error == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        error = free_kept();
        if (error == cudaSuccess) error = cudaMalloc(pointer, bytes);
    }
    if (error == cudaSuccess) in_use_.emplace(*pointer, bytes);
    return error;
}

void PlainMemory::give_back(void* pointer) {
    std::lock_guard lock(mutex_);
    const auto found = in_use_.find(pointer);
    if (found == in_use_.end()) return;
    kept_.emplace(found->second, pointer);
    in_use_.erase(found);
}

cudaError_t PlainMemory::trim() {
    std::lock_guard lock(mutex_);
    return free_kept();
}

cudaError_t PlainMemory::free_kept() {
    while (!kept_.empty()) {
        const cudaError_t error = cudaFree(kept_.begin()->second);
        if (error != cudaSuccess) return error;
        kept_.erase(kept_.begin());
    }
    return cudaSuccess;
}

}  // namespace medmamba::cuda
