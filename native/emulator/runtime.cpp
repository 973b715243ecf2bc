#include "runtime.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "graph.h"
#include "launch.h"
#include "memory.h"
#include "model.h"
#include "stream.h"

namespace medmamba::cuda::emulator {

struct Event {
    bool timed, sleeping, recorded;
    std::chrono::steady_clock::time_point moment;
    uint64_t work;  // that was queued before
    bool captured;  // recorded last by work that is captured: nobody can wait for it
    Stream* stream = nullptr;  // that it was recorded on
    uint64_t last = 0;         // of what was queued there
};
struct Pool {
    std::multiset<size_t> kept;      // blocks that were freed
    std::map<void*, size_t> in_use;  // with the size of their block
    bool destroyed = false;
};

namespace {

thread_local int current_device = 0;
thread_local cudaError_t last_error = cudaSuccess;
thread_local char sentence[512] = "";

int device_count() {
    const char* setting = std::getenv("MEDMAMBA_EMULATOR_DEVICES");
    return setting && *setting ? std::atoi(setting) : 1;
}

std::atomic<int> busy_waits_for_events{0};

// As many as a test looks at.
thread_local std::string ranges;
void remember_range(const char* words) {
    if (ranges.size() < 4096) ranges += words;
}

uint64_t chosen_seed = 0;  // 0: the environment's

// With set_late: whether a kernel has failed, whether somebody has waited since, and with which words.
struct Late {
    bool on = false, failed = false, noticed = false;
    uint64_t queued = 0, run = 0;
    char sentence[512] = "";
};
Late late;

// What a call answers that waits.
cudaError_t noticed_failure() {
    late.noticed = late.failed;
    if (!late.failed) return cudaSuccess;
    std::snprintf(sentence, sizeof sentence, "%s", late.sentence);
    return last_error = cudaErrorLaunchFailure;
}

uint64_t seed() {
    if (chosen_seed) return chosen_seed;
    const char* setting = std::getenv("MEDMAMBA_EMULATOR_SEED");
    return setting && *setting ? (uint64_t)std::strtoull(setting, nullptr, 10) : 1;
}

cudaError_t failed(cudaError_t error) {
    *sentence = 0;
    return last_error = error;
}

// Never destroyed: streams may still run while the process exits.
struct Pools {
    std::mutex mutex;
    std::set<Pool*> all;
};
Pools& pools() {
    static Pools& only = *new Pools;
    return only;
}

// Under the lock.
void trim(Pool& pool) {
    for (const size_t bytes : pool.kept) give_back_device_bytes(bytes);
    pool.kept.clear();
}
void delete_unused(Pool* pool) {
    if (!pool->destroyed || !pool->in_use.empty()) return;
    pools().all.erase(pool);
    delete pool;
}

// Under the lock: what is freed stays with the pool that it is from.
void keep(void* pointer) {
    for (Pool* pool : pools().all) {
        const auto found = pool->in_use.find(pointer);
        if (found == pool->in_use.end()) continue;
        if (!pool->destroyed) {
            pool->kept.insert(found->second);
            keep_device_bytes(found->second);
        }
        pool->in_use.erase(found);
        return delete_unused(pool);
    }
}

cudaError_t release(void* pointer) {
    if (!pointer || release_device(pointer)) return cudaSuccess;
    set_last_error(cudaErrorInvalidValue,
                   "memory at %p is freed that was never allocated, or was written behind its end", pointer);
    return cudaErrorInvalidValue;
}

// Of kernels that asked for more than 48 KB. Never destroyed: streams may still run while the process exits.
struct KernelLimits {
    std::mutex mutex;
    std::unordered_map<const void*, size_t> shared_bytes;
    std::unordered_set<const void*> loaded;
};
KernelLimits& kernel_limits() {
    static KernelLimits& only = *new KernelLimits;
    return only;
}

}  // namespace

void set_seed(uint64_t value) { chosen_seed = value; }

const std::string& annotated_ranges() { return ranges; }

int busy_waits(const Stream* stream) { return stream ? stream->busy_waits : busy_waits_for_events.load(); }

void set_late(bool on) {
    late = {};
    late.on = on;
    last_error = cudaSuccess;
}

uint64_t queue_work() { return ++late.queued; }
bool has_run(uint64_t work) { return !late.on || work <= late.run; }
void wait_for_work(uint64_t work) { late.run = std::max(late.run, work); }

bool load_kernel(const void* kernel) {
    KernelLimits& limits = kernel_limits();
    std::lock_guard lock(limits.mutex);
    if (limits.loaded.count(kernel)) return true;
    if (forbidden_while_capturing("the first use of a kernel, which loads it,")) return false;
    limits.loaded.insert(kernel);
    return true;
}

void set_last_error(cudaError_t error, const char* format, ...) {
    const bool later = late.on && error == cudaErrorLaunchFailure;
    if (!later) last_error = error;
    if (later && late.failed) return;
    late.failed = late.failed || later;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(later ? late.sentence : sentence, sizeof sentence, format, arguments);
    va_end(arguments);
}

size_t most_shared_bytes(const void* kernel) {
    KernelLimits& limits = kernel_limits();
    std::lock_guard lock(limits.mutex);
    const auto found = limits.shared_bytes.find(kernel);
    return found == limits.shared_bytes.end() ? shared_bytes_by_default : found->second;
}

}  // namespace medmamba::cuda::emulator

using namespace medmamba::cuda::emulator;

// ---- devices --------------------------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int* count) {
    *count = device_count();
    return *count > 0 ? cudaSuccess : failed(cudaErrorNoDevice);
}

cudaError_t cudaGetDevice(int* device) {
    *device = current_device;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= device_count()) return failed(cudaErrorInvalidDevice);
    current_device = device;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    if (device < 0 || device >= device_count()) return failed(cudaErrorInvalidDevice);
    std::snprintf(properties->name, sizeof properties->name, "CUDA emulator");
    properties->totalGlobalMem = device_bytes();
    properties->major = capability() / 10;
    properties->minor = capability() % 10;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    if (device < 0 || device >= device_count()) return failed(cudaErrorInvalidDevice);
    switch (attribute) {
        case cudaDevAttrMultiProcessorCount: *value = 4; return cudaSuccess;
        case cudaDevAttrComputeCapabilityMajor: *value = capability() / 10; return cudaSuccess;
        case cudaDevAttrComputeCapabilityMinor: *value = capability() % 10; return cudaSuccess;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = (int)shared_bytes_of_device(); return cudaSuccess;
        case cudaDevAttrMemoryPoolsSupported:
            if (!driver_has(11020)) break;
            *value = 1;
            return cudaSuccess;
    }
    return failed(cudaErrorInvalidValue);
}

cudaError_t cudaDriverGetVersion(int* version) {
    *version = driver_version();
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    *total = device_bytes();
    const size_t in_use = device_bytes_in_use() + device_bytes_kept();
    *free = *total > in_use ? *total - in_use : 0;
    return cudaSuccess;
}

// ---- memory ---------------------------------------------------------------------------------------------------

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
    if (forbidden_while_capturing("cudaMalloc")) return cudaErrorStreamCaptureUnsupported;
    *pointer = allocate_device(bytes);
    return *pointer ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void* pointer) {
    if (forbidden_while_capturing("cudaFree")) return cudaErrorStreamCaptureUnsupported;
    return release(pointer);
}

// While a stream is captured these would be nodes of the graph, and the memory the graph's.
cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t stream) {
    if (!driver_has(11020)) return failed(cudaErrorCallRequiresNewerDriver);
    if (invalidated_as_unsupported(stream, "cudaMallocAsync")) return cudaErrorNotSupported;
    *pointer = allocate_device(bytes);
    return *pointer ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
    if (!driver_has(11020)) return failed(cudaErrorCallRequiresNewerDriver);
    if (invalidated_as_unsupported(stream, "cudaFreeAsync")) return cudaErrorNotSupported;
    std::lock_guard lock(pools().mutex);
    const cudaError_t error = release(pointer);
    if (error == cudaSuccess) keep(pointer);
    return error;
}

// Pinned memory of the host is memory that kernels reach too.
cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
    if (forbidden_while_capturing("cudaMallocHost")) return cudaErrorStreamCaptureUnsupported;
    *pointer = allocate_pinned(bytes);
    return *pointer ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* pointer) { return cudaFree(pointer); }

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
    if (!driver_has(11020)) return failed(cudaErrorCallRequiresNewerDriver);
    if (properties->location.id < 0 || properties->location.id >= device_count()) return failed(cudaErrorInvalidDevice);
    std::lock_guard lock(pools().mutex);
    *pool = new Pool;
    pools().all.insert(*pool);
    return cudaSuccess;
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
    std::lock_guard lock(pools().mutex);
    trim(*pool);
    pool->destroyed = true;
    delete_unused(pool);
    return cudaSuccess;
}
cudaError_t cudaMallocFromPoolAsync(void** pointer, size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
    if (invalidated_as_unsupported(stream, "cudaMallocFromPoolAsync")) return cudaErrorNotSupported;
    std::lock_guard lock(pools().mutex);
    const auto found = pool->kept.lower_bound(bytes);
    const size_t block = found == pool->kept.end() ? bytes : *found;
    const bool reused = found != pool->kept.end();
    if (reused) {
        pool->kept.erase(found);
        give_back_device_bytes(block);
    }
    *pointer = allocate_device(bytes);
    if (*pointer) {
        pool->in_use.emplace(*pointer, block);
        return cudaSuccess;
    }
    if (reused) {
        pool->kept.insert(block);
        keep_device_bytes(block);
    }
    return failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
    std::lock_guard lock(pools().mutex);
    uint64_t bytes = 0;
    for (const auto& [pointer, size] : pool->in_use) bytes += size;
    if (attribute == cudaMemPoolAttrReservedMemCurrent)
        for (const size_t size : pool->kept) bytes += size;
    else if (attribute != cudaMemPoolAttrUsedMemCurrent)
        return failed(cudaErrorInvalidValue);
    *static_cast<uint64_t*>(value) = bytes;
    return cudaSuccess;
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t) {
    std::lock_guard lock(pools().mutex);
    trim(*pool);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    if (kind == cudaMemcpyHostToDevice && !is_device(to)) return failed(cudaErrorInvalidValue);
    if (kind == cudaMemcpyDeviceToHost && !is_device(from)) return failed(cudaErrorInvalidValue);
    return now_or_captured(stream, [=](Stream*) {
        if (bytes) std::memcpy(to, from, bytes);
    });
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
    if (!is_device(pointer)) return failed(cudaErrorInvalidValue);
    return now_or_captured(stream, [=](Stream*) { std::memset(pointer, value, bytes); });
}

// ---- streams and events: work is done when it is queued, so that there is never anything to wait for ----------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = new Stream(current_device, seed());
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    if (!stream->capture) catch_up(stream, stream->queued);
    drop_capture(stream);
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    ++stream->busy_waits;
    const bool refused = invalidated_as_unsupported(stream, "cudaStreamSynchronize") ||
                         forbidden_while_capturing("cudaStreamSynchronize");
    if (refused) return cudaErrorStreamCaptureUnsupported;
    catch_up(stream, stream->queued);
    wait_for_work(late.queued);
    return noticed_failure();
}

// A stream that waits for another is beside it from then on, unless it is the other that is beside this one.
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    if (!event->recorded || event->stream == stream) return cudaSuccess;
    if (event->captured) {
        if (!event->stream->capture) return failed(cudaErrorCapturedEvent);
        return wait_within_capture(stream, event->stream, event->last);
    }
    if (stream->capture) return failed(cudaErrorStreamCaptureIsolation);
    catch_up(event->stream, event->last);
    if (!event->stream->is_beside) stream->is_beside = true;
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    *event = new Event{!(flags & cudaEventDisableTiming), (flags & cudaEventBlockingSync) != 0, false, {}, 0, false};
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    event->captured = stream_is_capturing(stream);
    event->stream = stream;
    event->last = stream->queued;
    event->recorded = true;
    event->work = late.queued;
    if (event->timed) event->moment = std::chrono::steady_clock::now();
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    if (!event->sleeping) ++busy_waits_for_events;
    if (event->captured) return failed(cudaErrorCapturedEvent);
    if (forbidden_while_capturing("cudaEventSynchronize")) return cudaErrorStreamCaptureUnsupported;
    if (event->last) catch_up(event->stream, event->last);
    wait_for_work(event->work);
    return noticed_failure();
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    if (event->captured) return failed(cudaErrorCapturedEvent);
    if (forbidden_while_capturing("cudaEventQuery")) return cudaErrorStreamCaptureUnsupported;
    return has_run(event->work) ? cudaSuccess : failed(cudaErrorNotReady);
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    if (!begin->timed || !end->timed || !begin->recorded || !end->recorded)
        return failed(cudaErrorInvalidResourceHandle);
    if (begin->captured || end->captured) return failed(cudaErrorCapturedEvent);
    *milliseconds = std::chrono::duration<float, std::milli>(end->moment - begin->moment).count();
    return cudaSuccess;
}

// ---- kernels and errors ---------------------------------------------------------------------------------------

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
    if (!has_code()) return failed(cudaErrorNoKernelImageForDevice);
    if (!load_kernel(kernel)) return cudaErrorStreamCaptureUnsupported;
    attributes->maxDynamicSharedSizeBytes = (int)most_shared_bytes(kernel);
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
    if (!load_kernel(kernel)) return cudaErrorStreamCaptureUnsupported;
    if (value < 0 || (size_t)value > shared_bytes_of_device()) return failed(cudaErrorInvalidValue);
    KernelLimits& limits = kernel_limits();
    std::lock_guard lock(limits.mutex);
    limits.shared_bytes[kernel] = (size_t)value;
    return cudaSuccess;
}

int nvtxRangePushA(const char* name) {
    remember_range(name);
    remember_range("(");
    return 0;
}
int nvtxRangePop() {
    remember_range(")");
    return 0;
}

cudaError_t cudaGetLastError() {
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return late.noticed ? noticed_failure() : error;
}

cudaError_t cudaPeekAtLastError() { return last_error; }

const char* cudaGetErrorName(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "cudaSuccess";
        case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
        case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
        case cudaErrorStubLibrary: return "cudaErrorStubLibrary";
        case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
        case cudaErrorNoDevice: return "cudaErrorNoDevice";
        case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
        case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
        case cudaErrorIllegalState: return "cudaErrorIllegalState";
        case cudaErrorNotReady: return "cudaErrorNotReady";
        case cudaErrorECCUncorrectable: return "cudaErrorECCUncorrectable";
        case cudaErrorCallRequiresNewerDriver: return "cudaErrorCallRequiresNewerDriver";
        case cudaErrorInvalidDeviceFunction: return "cudaErrorInvalidDeviceFunction";
        case cudaErrorNoKernelImageForDevice: return "cudaErrorNoKernelImageForDevice";
        case cudaErrorJitCompilerNotFound: return "cudaErrorJitCompilerNotFound";
        case cudaErrorUnsupportedPtxVersion: return "cudaErrorUnsupportedPtxVersion";
        case cudaErrorJitCompilationDisabled: return "cudaErrorJitCompilationDisabled";
        case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
        case cudaErrorLaunchTimeout: return "cudaErrorLaunchTimeout";
        case cudaErrorAssert: return "cudaErrorAssert";
        case cudaErrorHardwareStackError: return "cudaErrorHardwareStackError";
        case cudaErrorIllegalInstruction: return "cudaErrorIllegalInstruction";
        case cudaErrorMisalignedAddress: return "cudaErrorMisalignedAddress";
        case cudaErrorInvalidAddressSpace: return "cudaErrorInvalidAddressSpace";
        case cudaErrorInvalidPc: return "cudaErrorInvalidPc";
        case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
        case cudaErrorNotSupported: return "cudaErrorNotSupported";
        case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
        case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
        case cudaErrorStreamCaptureMerge: return "cudaErrorStreamCaptureMerge";
        case cudaErrorStreamCaptureUnjoined: return "cudaErrorStreamCaptureUnjoined";
        case cudaErrorStreamCaptureIsolation: return "cudaErrorStreamCaptureIsolation";
        case cudaErrorCapturedEvent: return "cudaErrorCapturedEvent";
        case cudaErrorStreamCaptureWrongThread: return "cudaErrorStreamCaptureWrongThread";
    }
    return "an error that the emulator does not know";
}

const char* cudaGetErrorString(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "no error";
        case cudaErrorNoDevice: return "no CUDA-capable device is detected";
        case cudaErrorMemoryAllocation: return "out of memory";
        case cudaErrorInvalidDevice: return "invalid device ordinal";
        default: return *sentence ? sentence : cudaGetErrorName(error);
    }
}
