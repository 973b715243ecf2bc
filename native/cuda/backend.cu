// The CUDA backend's table: devices, streams, memory and transfers. The operations are in files of their own.
//
// The driver is the only thing that has to be installed. Without one, or with one that is too old, nothing here
// fails: device_count answers 0 and says why.
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "../backend/memory_limit.h"
#include "column_moments.cuh"
#include "driver.cuh"
#include "event.cuh"
#include "nccl.cuh"
#include "product_sm90.cuh"
#include "range.cuh"
#include "scan.cuh"
#include "stream.cuh"
#include "transfers.cuh"

namespace medmamba::cuda {

namespace {

struct Stream : mm_stream {
    Transfers transfers;

    // Waits for what is running.
    ~Stream() {
        if (cudaSetDevice(device) != cudaSuccess) cudaGetLastError();
        if (stream && cudaStreamSynchronize(stream) != cudaSuccess) cudaGetLastError();
        beside.close();
        graphs.close(this);
        if (label_error && cudaFreeHost(label_error) != cudaSuccess) cudaGetLastError();
        if (stream && cudaStreamSynchronize(stream) != cudaSuccess) cudaGetLastError();
        if (memory_stream && cudaStreamSynchronize(memory_stream) != cudaSuccess) cudaGetLastError();
        memory.close();
        if (reached && cudaEventDestroy(reached) != cudaSuccess) cudaGetLastError();
        if (stream && cudaStreamDestroy(stream) != cudaSuccess) cudaGetLastError();
        if (memory_stream && cudaStreamDestroy(memory_stream) != cudaSuccess) cudaGetLastError();
    }
};

// Why there is no device or no stream, in a sentence of the calling thread's own.
thread_local char sentence[320] = "";

__attribute__((format(printf, 1, 2))) const char* say(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return sentence;
}

const char* say_error(const char* what, cudaError_t error) {
    cudaGetLastError();
    return say("%s: %s (%s)", what, cudaGetErrorString(error), cudaGetErrorName(error));
}

int32_t device_count(const char** why) {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0) return count;
    cudaGetLastError();
    describe_no_device(error, sentence, sizeof sentence);
    *why = sentence;
    return 0;
}

// False if there is no precision of that name.
bool read_precision(const char* name, Precision* precision) {
    if (!name || !*name || std::strcmp(name, "float32") == 0) {
        *precision = Precision::float32;
    } else if (std::strcmp(name, "tf32") == 0) {
        *precision = Precision::tf32;
    } else if (std::strcmp(name, "bf16") == 0) {
        *precision = Precision::bf16;
    } else {
        return false;
    }
    return true;
}

mm_dtype activation_dtype(const mm_stream* stream) {
    return stream->precision == Precision::bf16 ? MM_BFLOAT16 : MM_FLOAT32;
}

bool is_set(const char* name) {
    const char* setting = std::getenv(name);
    return setting && *setting && std::strcmp(setting, "0") != 0;
}

// MM_OK, or what the GPU lacks.
mm_status expect_capability(Stream* stream) {
    Capability capability;
    const cudaError_t error = read_capability(stream->device, &capability);
    if (error != cudaSuccess) return stream->check(error, "asking the GPU what it is");
    const auto [name, major, minor] = capability;
    if (major * 10 + minor < 75)
        return stream->fail(MM_UNSUPPORTED,
                            "GPU %d (%s) has compute capability %d.%d; 7.5 (Turing, such as T4) or newer is needed",
                            stream->device, name.c_str(), major, minor);
    stream->has_tensor_cores = major >= 8;
    stream->has_wgmma = multiplies_by_wgmma(major, minor);
    if (stream->precision != Precision::float32 && !stream->has_tensor_cores)
        return stream->fail(MM_UNSUPPORTED,
                            "GPU %d (%s) of compute capability %d.%d multiplies in float32 alone; tf32 and bf16 need 8.0 "
                            "(Ampere) or newer",
                            stream->device, name.c_str(), major, minor);
    const std::string why = why_no_code(stream->device, capability);
    return why.empty() ? MM_OK : stream->fail(MM_UNSUPPORTED, "%s", why.c_str());
}

cudaError_t open(Stream* stream, double memory_limit) {
    size_t free_bytes = 0, total_bytes = 0;
    const auto read = [&](int* value, cudaDeviceAttr attribute) {
        return cudaDeviceGetAttribute(value, attribute, stream->device);
    };
    cudaError_t error = cudaSetDevice(stream->device);
    if (error == cudaSuccess) error = read(&stream->multiprocessors, cudaDevAttrMultiProcessorCount);
    if (error == cudaSuccess) error = read(&stream->shared_bytes_per_block, cudaDevAttrMaxSharedMemoryPerBlockOptin);
    if (error != cudaSuccess) return error;
    if (expect_capability(stream) != MM_OK) return cudaErrorInvalidDevice;
    if (memory_limit > 0) error = cudaMemGetInfo(&free_bytes, &total_bytes);
    if (error == cudaSuccess)
        error = stream->memory.open(stream->device, (size_t)limit_in_bytes(memory_limit, (int64_t)total_bytes));
    if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&stream->stream, cudaStreamNonBlocking);
    if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&stream->memory_stream, cudaStreamNonBlocking);
    if (error == cudaSuccess) error = stream->beside.open();
    constexpr unsigned sleeping = cudaEventDisableTiming | cudaEventBlockingSync;
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&stream->reached, sleeping);
    if (error == cudaSuccess) error = cudaMallocHost(&stream->label_error, sizeof *stream->label_error);
    if (error == cudaSuccess) *stream->label_error = {};
    return error;
}

mm_status stream_create(const mm_stream_options* options, mm_stream** stream, const char** why) {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) count = device_count(why);
    if (count < 1) return MM_UNSUPPORTED;
    if (options->device_index < 0 || options->device_index >= count) {
        *why = count == 1 ? say("there is one GPU, index 0, not %" PRId32, options->device_index)
                          : say("there are GPUs 0 to %d, not %" PRId32, count - 1, options->device_index);
        return MM_INVALID_ARGUMENT;
    }
    std::unique_ptr<Stream> created(new (std::nothrow) Stream);
    if (!created) {
        *why = "not enough host memory";
        return MM_OUT_OF_MEMORY;
    }
    created->device = options->device_index;
    created->waits_for_each = is_set("MEDMAMBA_CUDA_SYNC");
    if (!read_precision(options->precision, &created->precision)) {
        *why = say("there is no precision \"%.64s\": use \"float32\", \"tf32\" or \"bf16\"", options->precision);
        return MM_INVALID_ARGUMENT;
    }
    if (const cudaError_t error = open(created.get(), options->memory_limit); error != cudaSuccess) {
        cudaGetLastError();
        *why = *created->last_error ? say("%s", created->last_error) : say_error("opening the GPU", error);
        return error == cudaErrorMemoryAllocation ? MM_OUT_OF_MEMORY : MM_DEVICE_ERROR;
    }
    *stream = created.release();
    return MM_OK;
}

void stream_destroy(mm_stream* stream) { delete static_cast<Stream*>(stream); }

mm_status describe(mm_stream* stream, mm_device_description* description) {
    *description = {};
    cudaDeviceProp properties;
    size_t free_bytes = 0, total_bytes = 0;
    cudaError_t error = cudaSetDevice(stream->device);
    if (error == cudaSuccess) error = cudaGetDeviceProperties(&properties, stream->device);
    if (error == cudaSuccess) error = cudaMemGetInfo(&free_bytes, &total_bytes);
    size_t taken_bytes = 0;
    if (error == cudaSuccess) error = stream->memory.reserved(&taken_bytes);
    if (error != cudaSuccess) return stream->check_aside(error, "asking the GPU what it is");
    std::snprintf(description->name, sizeof description->name, "%.127s", properties.name);
    description->total_bytes = (int64_t)total_bytes;
    description->limit_bytes = (int64_t)stream->memory.limit();
    description->free_bytes = free_within(description->limit_bytes, (int64_t)taken_bytes, (int64_t)free_bytes);
    return MM_OK;
}

// Called beside the thread that runs operations, which may be capturing a graph: so on a stream that is never
// captured. Nothing else is queued there, so that there is nothing to wait for.
mm_status allocate(mm_stream* stream, size_t bytes, void** pointer) {
    cudaError_t error = cudaSetDevice(stream->device);
    if (error == cudaSuccess) error = stream->memory.take(pointer, bytes ? bytes : 1, stream->memory_stream);
    if (error == cudaSuccess) error = cudaStreamSynchronize(stream->memory_stream);
    if (error == cudaSuccess) return MM_OK;
    *pointer = nullptr;
    size_t free_bytes = 0, total_bytes = 0;
    if (error != cudaErrorMemoryAllocation || cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess)
        return stream->check_aside(error, "allocating memory");
    cudaGetLastError();
    if (const size_t limit = stream->memory.limit())
        return stream->fail_aside(MM_OUT_OF_MEMORY, "%zu bytes were asked for, more than the limit of %zu leaves", bytes,
                                  limit);
    return stream->fail_aside(MM_OUT_OF_MEMORY, "%zu bytes were asked for, of %zu the GPU has %zu free", bytes,
                              total_bytes, free_bytes);
}

void release(mm_stream* stream, void* pointer, size_t) {
    if (cudaSetDevice(stream->device) != cudaSuccess) cudaGetLastError();
    stream->memory.give_back(pointer, stream->memory_stream);
}

void trim(mm_stream* stream) {
    cudaError_t error = cudaSetDevice(stream->device);
    if (error == cudaSuccess) error = stream->sleep_until_done();
    if (error == cudaSuccess) error = cudaStreamSynchronize(stream->memory_stream);
    if (error == cudaSuccess) error = stream->memory.trim();
    if (error != cudaSuccess) cudaGetLastError();
}

// The graph would keep a copy from memory that is somebody else's by the time it is launched.
mm_status refuse_while_capturing(mm_stream* stream, const char* what) {
    return stream->fail(MM_INVALID_ARGUMENT, "%s: not while a graph is captured", what);
}

mm_status upload(mm_stream* stream, void* device, const void* host, size_t bytes) {
    if (stream->graphs.capturing()) return refuse_while_capturing(stream, "upload");
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    const cudaError_t error = static_cast<Stream*>(stream)->transfers.upload(stream->stream, device, host, bytes);
    return error == cudaSuccess ? stream->queued("upload") : stream->check(error, "upload");
}

mm_status download(mm_stream* stream, void* host, const void* device, size_t bytes) {
    if (stream->graphs.capturing()) return refuse_while_capturing(stream, "download");
    if (const mm_status ready = stream->use(); ready != MM_OK) return ready;
    return stream->check(static_cast<Stream*>(stream)->transfers.download(stream->stream, host, device, bytes),
                         "download");
}

mm_status synchronize(mm_stream* stream) { return stream->wait(); }

mm_status graph_begin(mm_stream* stream) { return stream->graphs.begin(stream); }
mm_status graph_end(mm_stream* stream, mm_graph** graph) { return stream->graphs.end(stream, graph); }
mm_status graph_vary(mm_stream* stream, int64_t call) { return stream->graphs.vary(stream, call); }
mm_status graph_change(mm_stream* stream, mm_graph* graph, int64_t call) {
    return stream->graphs.change(stream, graph, call);
}
mm_status graph_launch(mm_stream* stream, mm_graph* graph) { return stream->graphs.launch(stream, graph); }
void graph_destroy(mm_stream* stream, mm_graph* graph) { stream->graphs.destroy(stream, graph); }

mm_status beside_begin(mm_stream* stream) { return stream->beside.begin(stream); }
mm_status beside_end(mm_stream* stream) { return stream->beside.end(stream); }
mm_status beside_join(mm_stream* stream) { return stream->beside.join(stream); }

const char* last_error(mm_stream* stream) { return stream->told_error(); }
mm_status fail(mm_stream* stream, mm_status status, const char* sentence) { return stream->fail(status, "%s", sentence); }

void annotate(mm_stream*, const char* name) { name ? begin_range(name) : end_range(); }

// What a graph's varying calls need came with CUDA 11.3. Without, the addon queues the calls one by one.
bool has_graphs() {
    int version = 0;
    return cudaDriverGetVersion(&version) == cudaSuccess && version >= 11030;
}

mm_backend make_backend() {
    mm_backend table{};
    table.abi_version = MM_ABI_VERSION;
#if defined(__CUDACC__)
    table.name = "cuda";
#else
    table.name = "cuda-emulated";
#endif
    if (has_graphs()) {
        table.graph_begin = graph_begin;
        table.graph_end = graph_end;
        table.graph_vary = graph_vary;
        table.graph_change = graph_change;
        table.graph_launch = graph_launch;
        table.graph_destroy = graph_destroy;
    }
    table.annotate = annotate;
    table.beside_begin = beside_begin;
    table.beside_end = beside_end;
    table.beside_join = beside_join;
    table.engine_version = nccl::engine_version;
    table.communicator_id = nccl::communicator_id;
    table.communicator_create = nccl::communicator_create;
#define MM_FILL(name) table.name = name;
    MM_STREAM_FUNCTIONS(MM_FILL)
#undef MM_FILL
#define MM_FILL_OPERATION(name)                                                    \
    table.name = [](mm_stream* stream, const mm_##name##_params* params) {         \
        const Range range(#name);                                                  \
        return cuda::name(stream, params);                                         \
    };
    MM_OPERATIONS(MM_FILL_OPERATION)
#undef MM_FILL_OPERATION
    return table;
}

}  // namespace

}  // namespace medmamba::cuda

extern "C" __attribute__((visibility("default"))) const mm_backend* medmamba_backend() {
    static const mm_backend table = medmamba::cuda::make_backend();
    return &table;
}
