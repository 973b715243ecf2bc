#include "plain_memory.cuh"

namespace medmamba::cuda {

cudaError_t PlainMemory::take(void** pointer, size_t bytes, size_t limit) {
    std::lock_guard lock(mutex_);
    const auto found = kept_.lower_bound(bytes);
    if (found != kept_.end() && found->first / 2 <= bytes) {
        *pointer = found->second;
        in_use_.emplace(found->second, found->first);
        used_ += found->first;
        kept_.erase(found);
        return cudaSuccess;
    }
    cudaError_t error = take_new(pointer, bytes, limit);
    if (error != cudaErrorMemoryAllocation) return error;
    cudaGetLastError();
    error = free_kept();
    return error == cudaSuccess ? take_new(pointer, bytes, limit) : error;
}

cudaError_t PlainMemory::take_new(void** pointer, size_t bytes, size_t limit) {
    if (limit && reserved_ + bytes > limit) return cudaErrorMemoryAllocation;
    const cudaError_t error = cudaMalloc(pointer, bytes);
    if (error != cudaSuccess) return error;
    in_use_.emplace(*pointer, bytes);
    used_ += bytes;
    reserved_ += bytes;
    return cudaSuccess;
}

void PlainMemory::give_back(void* pointer) {
    std::lock_guard lock(mutex_);
    const auto found = in_use_.find(pointer);
    if (found == in_use_.end()) return;
    kept_.emplace(found->second, pointer);
    used_ -= found->second;
    in_use_.erase(found);
}

cudaError_t PlainMemory::trim() {
    std::lock_guard lock(mutex_);
    return free_kept();
}

size_t PlainMemory::used() const {
    std::lock_guard lock(mutex_);
    return used_;
}

size_t PlainMemory::reserved() const {
    std::lock_guard lock(mutex_);
    return reserved_;
}

cudaError_t PlainMemory::free_kept() {
    while (!kept_.empty()) {
        const cudaError_t error = cudaFree(kept_.begin()->second);
        if (error != cudaSuccess) return error;
        reserved_ -= kept_.begin()->first;
        kept_.erase(kept_.begin());
    }
    return cudaSuccess;
}

}  // namespace medmamba::cuda
