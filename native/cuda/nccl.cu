// NCCL without its header and without linking it: these functions have been there, as they are, since 2.7.
//
// Ranks exchange by sending and receiving in one group, which adds nothing, and gather by NCCL's own gathering. Its own sum is
// for those who ask for it: with NVLink SHARP, or another number of channels, it adds in another order.
//
// All is queued on the stream that operations are queued on, so that graphs hold it like kernels. A rank that is gone leaves
// the others waiting on the GPU: nobody here waits for that. Whoever learns of it by other ways ends the process, and the
// driver frees what it had; to abort a communicator may hang as well.
#include "nccl.cuh"

#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <string>

#include "stream.cuh"

namespace medmamba::cuda::nccl {

namespace {

// A reason that outlives the call that gives it, for the caller's `why`.
__attribute__((format(printf, 1, 2))) const char* reason(const char* format, ...) {
    thread_local char sentence[640];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return sentence;
}

// ---- nccl.h, as far as it is used ------------------------------------------------------------------------------

using Comm = void*;
using Result = int;
constexpr Result success = 0, in_progress = 7;
constexpr int bytes_of_8_bits = 0, float32 = 7, sum = 0;  // ncclInt8, ncclFloat32, ncclSum
struct UniqueId {
    char internal[MM_COMMUNICATOR_ID_BYTES];
};

#define MM_NCCL_FUNCTIONS(F)                                                                      \
    F(GetVersion, int*)                                                                           \
    F(GetUniqueId, UniqueId*)                                                                     \
    F(CommInitRank, Comm*, int, UniqueId, int)                                                    \
    F(CommGetAsyncError, Comm, Result*)                                                           \
    F(CommDestroy, Comm)                                                                          \
    F(Send, const void*, size_t, int, int, Comm, cudaStream_t)                                    \
    F(Recv, void*, size_t, int, int, Comm, cudaStream_t)                                          \
    F(AllGather, const void*, void*, size_t, int, Comm, cudaStream_t)                             \
    F(AllReduce, const void*, void*, size_t, int, int, Comm, cudaStream_t)                        \
    F(GroupStart)                                                                                 \
    F(GroupEnd)

struct Library {
#define MM_DECLARE_NCCL(name, ...) Result (*name)(__VA_ARGS__) = nullptr;
    MM_NCCL_FUNCTIONS(MM_DECLARE_NCCL)
#undef MM_DECLARE_NCCL
    const char* (*GetErrorString)(Result) = nullptr;
    const char* (*GetLastError)(Comm) = nullptr;  // since 2.13
};

// Null with a reason if it is no NCCL, or too old. It stays loaded: it has threads of its own.
const Library* load(const char* path, const char** why) {
    static std::mutex mutex;
    static auto& loaded = *new std::map<std::string, const Library*>;
    const std::lock_guard<std::mutex> lock(mutex);
    if (const auto known = loaded.find(path); known != loaded.end()) return known->second;
    void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return *why = reason("%s", dlerror()), nullptr;
    Library library;
    const auto find = [&](const char* name) { return dlsym(handle, name); };
#define MM_FIND_NCCL(name, ...)                                                                   \
    library.name = reinterpret_cast<Result (*)(__VA_ARGS__)>(find("nccl" #name));                 \
    if (!library.name)                                                                            \
        return *why = reason("%s has no nccl" #name ": it is no NCCL, or older than 2.7", path), nullptr;
    MM_NCCL_FUNCTIONS(MM_FIND_NCCL)
#undef MM_FIND_NCCL
    library.GetErrorString = reinterpret_cast<const char* (*)(Result)>(find("ncclGetErrorString"));
    library.GetLastError = reinterpret_cast<const char* (*)(Comm)>(find("ncclGetLastError"));
    return loaded[path] = new Library(library);
}

// "unhandled cuda error: Cuda failure 35 'CUDA driver version is insufficient for CUDA runtime version'"
std::string in_words(const Library& library, Comm comm, Result result) {
    std::string sentence = library.GetErrorString ? library.GetErrorString(result) : "error " + std::to_string(result);
    const char* more = library.GetLastError ? library.GetLastError(comm) : nullptr;
    if (more && *more) sentence += std::string(": ") + more;
    while (!sentence.empty() && (sentence.back() == '\n' || sentence.back() == ' ')) sentence.pop_back();
    return sentence;
}

// ---- what it does ----------------------------------------------------------------------------------------------

struct Communicator : mm_communicator {
    explicit Communicator(const Library* library) : mm_communicator{}, library(library) {}
    const Library* library;
    Comm comm = nullptr;
};

mm_status fail(Communicator& self, const char* what, const char* sentence) {
    std::snprintf(self.last_error, sizeof self.last_error, "%s: %.280s", what, sentence);
    return MM_DEVICE_ERROR;
}

// What NCCL has found out meanwhile, on threads of its own.
Result async_error(const Communicator& self) {
    Result found = success;
    const Result asked = self.library->CommGetAsyncError(self.comm, &found);
    return asked != success ? asked : found == in_progress ? success : found;
}

// Queues `work(cuda stream)`. The emulator's graphs hold what they are told, and no more.
template <class Work>
mm_status queue(Communicator& self, mm_stream* stream, const char* what, Work&& work) {
    if (stream->use() != MM_OK) return fail(self, what, stream->last_error);
    Result result = async_error(self);
#if defined(__CUDACC__)
    if (result == success) result = work(stream->stream);
#else
    if (result == success)
        emulator::now_or_captured(stream->stream, [&result, self = &self,
                                                   at_once = emulator::runs_at_once(stream->stream), work](
                                                      cudaStream_t on) {
            const Result done = work(on);
            if (at_once) result = done;
        });
#endif
    if (result != success) return fail(self, what, in_words(*self.library, self.comm, result).c_str());
    return stream->queued(what) == MM_OK ? MM_OK : fail(self, what, stream->last_error);
}

mm_status exchange(mm_communicator* communicator, mm_stream* stream, const void* x, void* y, size_t bytes) {
    Communicator& self = *static_cast<Communicator*>(communicator);
    const Library& library = *self.library;
    return queue(self, stream, "exchange", [=, &self, &library](cudaStream_t on) {
        Result result = library.GroupStart();
        for (int32_t rank = 0; rank < self.size && result == success; ++rank) {
            const size_t part = (size_t)rank * bytes;
            result = library.Send(static_cast<const char*>(x) + part, bytes, bytes_of_8_bits, rank, self.comm, on);
            if (result == success)
                result = library.Recv(static_cast<char*>(y) + part, bytes, bytes_of_8_bits, rank, self.comm, on);
        }
        const Result ended = library.GroupEnd();  // of a group that failed, too
        return result != success ? result : ended;
    });
}

mm_status gather(mm_communicator* communicator, mm_stream* stream, const void* x, void* y, size_t bytes) {
    Communicator& self = *static_cast<Communicator*>(communicator);
    const Library& library = *self.library;
    return queue(self, stream, "gather", [=, &self, &library](cudaStream_t on) {
        return library.AllGather(x, y, bytes, bytes_of_8_bits, self.comm, on);
    });
}

mm_status engine_sum(mm_communicator* communicator, mm_stream* stream, float* values, size_t count) {
    Communicator& self = *static_cast<Communicator*>(communicator);
    const Library& library = *self.library;
    return queue(self, stream, "engine_sum", [=, &self, &library](cudaStream_t on) {
        return library.AllReduce(values, values, count, float32, sum, self.comm, on);
    });
}

mm_status disconnect(mm_communicator* communicator, mm_stream* stream, const char** why) {
    Communicator* self = static_cast<Communicator*>(communicator);
    mm_status status = stream->wait();
    if (status != MM_OK) *why = reason("%s", stream->last_error);
    const Result result = self->library->CommDestroy(self->comm);
    if (status == MM_OK && result != success) {
        *why = reason("%s", in_words(*self->library, nullptr, result).c_str());
        status = MM_DEVICE_ERROR;
    }
    delete self;
    return status;
}

}  // namespace

mm_status engine_version(const char* library, char version[MM_ENGINE_VERSION_BYTES], const char** why) {
    const Library* nccl = load(library, why);
    if (!nccl) return MM_UNSUPPORTED;
    int code = 0;
    if (const Result result = nccl->GetVersion(&code); result != success)
        return *why = reason("%s", in_words(*nccl, nullptr, result).c_str()), MM_UNSUPPORTED;
    // 2708 is 2.7.8, and from 2.9 on 20908 is 2.9.8.
    const int thousand = code < 10000 ? 1000 : 10000;
    std::snprintf(version, MM_ENGINE_VERSION_BYTES, "%d.%d.%d", code / thousand, code % thousand / 100, code % 100);
    return MM_OK;
}

mm_status communicator_id(const char* library, char id[MM_COMMUNICATOR_ID_BYTES], const char** why) {
    const Library* nccl = load(library, why);
    if (!nccl) return MM_UNSUPPORTED;
    UniqueId made;
    if (const Result result = nccl->GetUniqueId(&made); result != success)
        return *why = reason("%s", in_words(*nccl, nullptr, result).c_str()), MM_DEVICE_ERROR;
    std::memcpy(id, made.internal, sizeof made.internal);
    return MM_OK;
}

mm_status communicator_create(mm_stream* stream, const char* library, const char id[MM_COMMUNICATOR_ID_BYTES],
                              int32_t rank, int32_t size, mm_communicator** communicator, const char** why) {
    const Library* nccl = load(library, why);
    if (!nccl) return MM_UNSUPPORTED;
    if (stream->use() != MM_OK) return *why = reason("%s", stream->last_error), MM_DEVICE_ERROR;
    auto* created = new (std::nothrow) Communicator(nccl);
    if (!created) return *why = "not enough host memory", MM_OUT_OF_MEMORY;
    UniqueId meeting;
    std::memcpy(meeting.internal, id, sizeof meeting.internal);
    if (const Result result = nccl->CommInitRank(&created->comm, size, meeting, rank); result != success) {
        *why = reason("%s", in_words(*nccl, nullptr, result).c_str());
        delete created;
        return MM_DEVICE_ERROR;
    }
    created->rank = rank;
    created->size = size;
    created->exchange = exchange;
    created->gather = gather;
    created->engine_sum = engine_sum;
    created->disconnect = disconnect;
    *communicator = created;
    return MM_OK;
}

}  // namespace medmamba::cuda::nccl
