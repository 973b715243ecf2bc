#include "memory_pool.cuh"

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>

namespace medmamba::cuda {

// A GPU's pool and those who use it.
struct MemoryPool::Shared {
    cudaMemPool_t pool = nullptr;
    int users = 0;
    std::multiset<size_t> limits;
    std::atomic<size_t> limit{0};  // the least of them; 0 if there is none

    void update_limit() { limit = limits.empty() ? 0 : *limits.begin(); }
};

namespace {

struct Pools {
    std::mutex mutex;
    std::map<int, MemoryPool::Shared> of_device;
};

// Never destroyed: streams may still be open while the process exits.
Pools& pools() {
    static Pools& all = *new Pools;
    return all;
}

cudaError_t create(int device, cudaMemPool_t* pool) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    cudaError_t error = cudaMemPoolCreate(pool, &properties);
    if (error != cudaSuccess) return error;
    int conditional_reuse = 0;
    error = cudaMemPoolSetAttribute(*pool, cudaMemPoolReuseAllowInternalDependencies, &conditional_reuse);
    uint64_t everything = UINT64_MAX;
    if (error == cudaSuccess) error = cudaMemPoolSetAttribute(*pool, cudaMemPoolAttrReleaseThreshold, &everything);
    if (error != cudaSuccess) cudaMemPoolDestroy(*pool);
    return error;
}

cudaError_t read(cudaMemPool_t pool, cudaMemPoolAttr attribute, size_t* bytes) {
    uint64_t value = 0;
    const cudaError_t error = cudaMemPoolGetAttribute(pool, attribute, &value);
    *bytes = (size_t)value;
    return error;
}

}  // namespace

cudaError_t MemoryPool::open(int device, size_t limit) {
    Pools& all = pools();
    std::lock_guard lock(all.mutex);
    Shared& shared = all.of_device[device];
    if (!shared.pool) {
        if (const cudaError_t error = create(device, &shared.pool); error != cudaSuccess) {
            all.of_device.erase(device);
            return error;
        }
    }
    ++shared.users;
    if (limit) shared.limits.insert(limit);
    shared.update_limit();
    device_ = device;
    shared_ = &shared;
    own_limit_ = limit;
    return cudaSuccess;
}

// Memory that is in use still, of a stream that has failed, goes back to the system when it is freed.
void MemoryPool::close() {
    if (device_ < 0) return;
    Pools& all = pools();
    std::lock_guard lock(all.mutex);
    if (own_limit_) shared_->limits.erase(shared_->limits.find(own_limit_));
    shared_->update_limit();
    const bool last = --shared_->users == 0;
    const cudaMemPool_t pool = shared_->pool;
    if ((last ? cudaMemPoolDestroy(pool) : cudaMemPoolTrimTo(pool, 0)) != cudaSuccess) cudaGetLastError();
    if (last) all.of_device.erase(device_);
    device_ = -1;
    shared_ = nullptr;
}

cudaError_t MemoryPool::take(void** pointer, size_t bytes, cudaStream_t stream) {
    cudaError_t error = take_once(pointer, bytes, stream);
    if (error != cudaErrorMemoryAllocation) return error;
    cudaGetLastError();
    error = cudaStreamSynchronize(stream);
    if (error == cudaSuccess) error = trim();
    if (error == cudaSuccess) error = take_once(pointer, bytes, stream);
    return error;
}

// Whether what is kept can serve is known only afterwards; what is over the limit then goes back.
cudaError_t MemoryPool::take_once(void** pointer, size_t bytes, cudaStream_t stream) {
    size_t total = 0;
    if (limit() && (used(&total) != cudaSuccess || total + bytes > limit())) return cudaErrorMemoryAllocation;
    cudaError_t error = cudaMallocFromPoolAsync(pointer, bytes, shared_->pool, stream);
    if (error != cudaSuccess || !limit()) return error;
    error = reserved(&total);
    if (error == cudaSuccess && total <= limit()) return cudaSuccess;
    cudaFreeAsync(*pointer, stream);
    *pointer = nullptr;
    if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
    if (error == cudaSuccess) error = trim();
    return error == cudaSuccess ? cudaErrorMemoryAllocation : error;
}

cudaError_t MemoryPool::trim() { return cudaMemPoolTrimTo(shared_->pool, 0); }

cudaError_t MemoryPool::used(size_t* bytes) const { return read(shared_->pool, cudaMemPoolAttrUsedMemCurrent, bytes); }
cudaError_t MemoryPool::reserved(size_t* bytes) const {
    return read(shared_->pool, cudaMemPoolAttrReservedMemCurrent, bytes);
}
size_t MemoryPool::limit() const { return shared_->limit; }

}  // namespace medmamba::cuda
