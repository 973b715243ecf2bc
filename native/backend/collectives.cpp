#include "collectives.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

mm_status without_ranks(const mm_backend* backend, mm_stream* stream) {
    return backend->fail(stream, MM_INVALID_ARGUMENT, "there is no communicator to reach other ranks by");
}

// What a communicator answered, as an operation's.
mm_status told(const mm_backend* backend, mm_stream* stream, mm_status status, const mm_communicator* communicator) {
    return status == MM_OK ? MM_OK : backend->fail(stream, status, communicator->last_error);
}

}  // namespace

mm_status mm_exchange(const mm_backend* backend, mm_stream* stream, const mm_exchange_params* params) {
    mm_communicator* communicator = params->communicator;
    if (!communicator) return without_ranks(backend, stream);
    const mm_status status =
        communicator->exchange(communicator, stream, params->x, params->y, (size_t)params->bytes);
    return told(backend, stream, status, communicator);
}

mm_status mm_gather(const mm_backend* backend, mm_stream* stream, const mm_gather_params* params) {
    mm_communicator* communicator = params->communicator;
    if (!communicator) return without_ranks(backend, stream);
    const mm_status status = communicator->gather(communicator, stream, params->x, params->y, (size_t)params->bytes);
    return told(backend, stream, status, communicator);
}

mm_status mm_engine_sum(const mm_backend* backend, mm_stream* stream, const mm_engine_sum_params* params) {
    mm_communicator* communicator = params->communicator;
    if (!communicator) return without_ranks(backend, stream);
    const mm_status status = communicator->engine_sum(communicator, stream, params->values, (size_t)params->count);
    return told(backend, stream, status, communicator);
}

namespace {

// Host memory that grows to what was needed once: fresh memory would cost its page faults at each call.
class HostMemory {
public:
    HostMemory() = default;
    ~HostMemory() { std::free(memory_); }
    HostMemory(const HostMemory&) = delete;
    HostMemory& operator=(const HostMemory&) = delete;

    // Null if there is none.
    char* take(size_t bytes) {
        if (bytes <= bytes_) return memory_;
        std::free(memory_);
        memory_ = static_cast<char*>(std::malloc(bytes));
        bytes_ = memory_ ? bytes : 0;
        return memory_;
    }

private:
    char* memory_ = nullptr;
    size_t bytes_ = 0;
};

struct Staged : mm_communicator {
    Staged(const mm_backend* backend, mm_communicator* host) : mm_communicator{}, backend(backend), host(host) {
        rank = host->rank;
        size = host->size;
    }

    const mm_backend* backend;
    mm_communicator* host;
    HostMemory sent, received;
};

mm_status fail(Staged& self, mm_status status, const char* sentence) {
    std::snprintf(self.last_error, sizeof self.last_error, "%s", sentence);
    return status;
}

// Downloads `in` bytes, has `move` make `out` bytes of them on the host, and uploads these. The upload may be under way
// when this returns: who uses the memory next waits for the stream first.
template <class Move>
mm_status through_host(mm_communicator* communicator, mm_stream* stream, const void* x, size_t in, void* y, size_t out,
                       Move&& move) {
    Staged& self = *static_cast<Staged*>(communicator);
    char *sent = self.sent.take(in), *received = self.received.take(out);
    if ((in && !sent) || (out && !received)) return fail(self, MM_OUT_OF_MEMORY, "no host memory to go through");
    mm_status status = self.backend->download(stream, sent, x, in);
    if (status == MM_OK) status = self.backend->synchronize(stream);
    if (status != MM_OK) return fail(self, status, self.backend->last_error(stream));
    status = move(self.host, sent, received);
    if (status != MM_OK) return fail(self, status, self.host->last_error);
    status = self.backend->upload(stream, y, received, out);
    if (status == MM_OK) status = self.backend->synchronize(stream);
    return status == MM_OK ? MM_OK : fail(self, status, self.backend->last_error(stream));
}

mm_status exchange(mm_communicator* self, mm_stream* stream, const void* x, void* y, size_t bytes) {
    const size_t all = bytes * (size_t)self->size;
    return through_host(self, stream, x, all, y, all, [&](mm_communicator* host, const char* sent, char* received) {
        return host->exchange(host, nullptr, sent, received, bytes);
    });
}

mm_status gather(mm_communicator* self, mm_stream* stream, const void* x, void* y, size_t bytes) {
    const size_t all = bytes * (size_t)self->size;
    return through_host(self, stream, x, bytes, y, all, [&](mm_communicator* host, const char* sent, char* received) {
        return host->gather(host, nullptr, sent, received, bytes);
    });
}

mm_status engine_sum(mm_communicator* self, mm_stream* stream, float* values, size_t count) {
    const size_t bytes = count * sizeof(float);
    const auto add = [&](mm_communicator* host, char* sent, char* received) {
        std::memcpy(received, sent, bytes);
        return host->engine_sum(host, nullptr, reinterpret_cast<float*>(received), count);
    };
    return through_host(self, stream, values, bytes, values, bytes, add);
}

mm_status disconnect(mm_communicator* communicator, mm_stream*, const char** why) {
    Staged* self = static_cast<Staged*>(communicator);
    const mm_status status = self->host->disconnect(self->host, nullptr, why);
    delete self;
    return status;
}

}  // namespace

mm_communicator* mm_staged_communicator(const mm_backend* backend, mm_communicator* host) {
    Staged* self = new (std::nothrow) Staged(backend, host);
    if (!self) return nullptr;
    self->exchange = exchange;
    self->gather = gather;
    self->engine_sum = engine_sum;
    self->disconnect = disconnect;
    return self;
}
