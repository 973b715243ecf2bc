#include "memory_pool.cuh"

#include <cstdint>
#include <map>
#include <mutex>

namespace medmamba::cuda {

namespace {

struct Pools {
    struct Pool {
        cudaMemPool_t pool;
        int users;
    };
    std::mutex mutex;
    std::map<int, Pool> of_device;
};

// Never destroyed: streams may still be open while the process exits.
Pools& pools() {
    static Pools& all = *new Pools;
    return all;
}

// A driver before CUDA 11.2 does not know the question.
bool has_pools(int device) {
    int version = 0, supported = 0;
    if (cudaDriverGetVersion(&version) != cudaSuccess || version < 11020) return false;
    return cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device) == cudaSuccess && supported;
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

}  // namespace

cudaError_t MemoryPool::open(int device) {
    if (!has_pools(device)) {
        device_ = device;
        return cudaSuccess;
    }
    Pools& all = pools();
    std::lock_guard lock(all.mutex);
    auto found = all.of_device.find(device);
    if (found == all.of_device.end()) {
        cudaMemPool_t pool;
        if (const cudaError_t error = create(device, &pool); error != cudaSuccess) return error;
        found = all.of_device.emplace(device, Pools::Pool{pool, 0}).first;
    }
    ++found->second.users;
    device_ = device;
    pool_ = found->second.pool;
    return cudaSuccess;
}

// Memory that is in use still, of a stream that has failed, goes back to the system when it is freed.
void MemoryPool::close() {
    if (device_ < 0) return;
    if (!pool_) {
        device_ = -1;
        if (plain_.trim() != cudaSuccess) cudaGetLastError();
        return;
    }
    Pools& all = pools();
    std::lock_guard lock(all.mutex);
    const auto found = all.of_device.find(device_);
    const bool last = --found->second.users == 0;
    if ((last ? cudaMemPoolDestroy(pool_) : cudaMemPoolTrimTo(pool_, 0)) != cudaSuccess) cudaGetLastError();
    if (last) all.of_device.erase(found);
    device_ = -1;
    pool_ = nullptr;
}

cudaError_t MemoryPool::take(void** pointer, size_t bytes, cudaStream_t stream) {
    if (!pool_) return plain_.take(pointer, bytes);
    cudaError_t error = cudaMallocFromPoolAsync(pointer, bytes, pool_, stream);
    if (error != cudaErrorMemoryAllocation) return error;
    cudaGetLastError();
    error = cudaStreamSynchronize(stream);
    if (error == cudaSuccess) error = trim();
    return error == cudaSuccess ? cudaMallocFromPoolAsync(pointer, bytes, pool_, stream) : error;
}

void MemoryPool::give_back(void* pointer, cudaStream_t stream) {
    if (!pool_)
        plain_.give_back(pointer);
    else if (cudaFreeAsync(pointer, stream) != cudaSuccess)
        cudaGetLastError();
}

cudaError_t MemoryPool::trim() { return pool_ ? cudaMemPoolTrimTo(pool_, 0) : plain_.trim(); }

}  // namespace medmamba::cuda
