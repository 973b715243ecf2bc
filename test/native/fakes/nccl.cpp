// A NCCL for the emulator's memory: ranks are processes of this machine, which meet in a file of shared memory that the id
// names. It does what it is asked at once, whatever the stream, so that it proves nothing about order on a GPU, capture,
// deadlock, speed or failures there. What it does prove: that it is found and loaded, what it is called with, that calls are
// grouped, that the id reaches every rank, and what is made of its errors.
//
// Its sum adds from the last rank to the first, in float: other bits than the order of ranks has, as NCCL's may be.
//
//   FAKE_NCCL_VERSION   what ncclGetVersion answers (default 23007, which is 2.30.7); ranks refuse each other if they differ
//   FAKE_NCCL_NO_DRIVER whether connecting fails as it does without a driver
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

enum Result { success = 0, unhandled_cuda_error = 1, system_error = 2, invalid_argument = 4, invalid_usage = 5 };
constexpr int most_ranks = 8;
constexpr size_t slot_bytes = 64 << 10;  // of one rank for another, at a time

struct UniqueId {
    char internal[128];
};

struct Shared {
    std::atomic<int> joined, waiting, generation, version, size;
    std::atomic<bool> differ;
    std::atomic<size_t> bytes[most_ranks][most_ranks];  // that a rank is about to send to another
    char slots[most_ranks][most_ranks][slot_bytes];
};

struct Transfer {
    const void* from;
    void* to;
    size_t bytes;
    int peer;
};

struct Comm {
    Shared* shared;
    int rank, size;
    UniqueId id;
    bool grouped = false;
    std::vector<Transfer> transfers;
};

thread_local char sentence[256] = "";
thread_local int groups = 0;
thread_local std::vector<Comm*> in_group;

int fail(int result, const char* what) {
    std::snprintf(sentence, sizeof sentence, "%s", what);
    return result;
}

int version() {
    const char* set = std::getenv("FAKE_NCCL_VERSION");
    return set ? std::atoi(set) : 23007;
}

// Whether all ranks came within 20 seconds.
bool meet(Comm& comm) {
    Shared& shared = *comm.shared;
    const int generation = shared.generation;
    if (++shared.waiting == comm.size) {
        shared.waiting = 0;
        ++shared.generation;
        return true;
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (shared.generation == generation) {
        if (std::chrono::steady_clock::now() > end) return false;
        sched_yield();
    }
    return true;
}

// Sends from[r] to each rank r and receives to[r] from each, `sent` and `received` bytes.
int move_all(Comm& comm, const std::vector<Transfer>& sends, const std::vector<Transfer>& receives) {
    Shared& shared = *comm.shared;
    for (int peer = 0; peer < comm.size; ++peer) shared.bytes[comm.rank][peer] = 0;
    for (const Transfer& send : sends) shared.bytes[comm.rank][send.peer] = send.bytes;
    if (!meet(comm)) return fail(system_error, "a rank did not come");
    size_t most = 0;
    for (int from = 0; from < comm.size; ++from)
        for (int to = 0; to < comm.size; ++to) most = std::max(most, shared.bytes[from][to].load());
    bool fits = true;
    for (const Transfer& receive : receives) fits = fits && shared.bytes[receive.peer][comm.rank] == receive.bytes;
    for (size_t begin = 0; begin < most; begin += slot_bytes) {
        for (const Transfer& send : sends) {
            if (begin >= send.bytes) continue;
            std::memcpy(shared.slots[comm.rank][send.peer], static_cast<const char*>(send.from) + begin,
                        std::min(slot_bytes, send.bytes - begin));
        }
        if (!meet(comm)) return fail(system_error, "a rank did not come");
        for (const Transfer& receive : receives) {
            if (!fits || begin >= receive.bytes) continue;
            std::memcpy(static_cast<char*>(receive.to) + begin, shared.slots[receive.peer][comm.rank],
                        std::min(slot_bytes, receive.bytes - begin));
        }
        if (!meet(comm)) return fail(system_error, "a rank did not come");
    }
    if (!meet(comm)) return fail(system_error, "a rank did not come");
    return fits ? success : fail(invalid_argument, "a rank sends other bytes than are received");
}

int run_group(Comm& comm) {
    std::vector<Transfer> sends, receives;
    for (const Transfer& transfer : comm.transfers) (transfer.from ? sends : receives).push_back(transfer);
    comm.transfers.clear();
    return move_all(comm, sends, receives);
}

int add(Comm* comm, const Transfer& transfer) {
    if (groups == 0) return fail(invalid_usage, "a lone send waits for a receive that comes after it");
    if (transfer.peer < 0 || transfer.peer >= comm->size) return fail(invalid_argument, "there is no such rank");
    if (!comm->grouped) in_group.push_back(comm);
    comm->grouped = true;
    comm->transfers.push_back(transfer);
    return success;
}

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED const char* ncclGetErrorString(int result) {
    switch (result) {
        case unhandled_cuda_error: return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
        case system_error: return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
        case invalid_argument: return "invalid argument (run with NCCL_DEBUG=WARN for details)";
        default: return "invalid usage (run with NCCL_DEBUG=WARN for details)";
    }
}
EXPORTED const char* ncclGetLastError(Comm*) { return sentence; }
EXPORTED int ncclGetVersion(int* code) { return *code = version(), success; }

EXPORTED int ncclGetUniqueId(UniqueId* id) {
    std::memset(id, 0, sizeof *id);
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    std::snprintf(id->internal, sizeof id->internal, "/fake-nccl-%d-%lld", (int)getpid(), (long long)now);
    return success;
}

EXPORTED int ncclCommInitRank(Comm** made, int size, UniqueId id, int rank) {
    if (std::getenv("FAKE_NCCL_NO_DRIVER"))
        return fail(unhandled_cuda_error, "Cuda failure 35 'CUDA driver version is insufficient for CUDA runtime version'");
    if (size < 1 || size > most_ranks || rank < 0 || rank >= size) return fail(invalid_argument, "no such ranks");
    if (std::strncmp(id.internal, "/fake-nccl-", 11) != 0) return fail(invalid_argument, "that id is none");
    const int file = shm_open(id.internal, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, sizeof(Shared)) != 0) return fail(system_error, "no shared memory");
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) return fail(system_error, "no shared memory");
    auto* comm = new Comm{static_cast<Shared*>(memory), rank, size, id, false, {}};
    int none = 0;
    if (!comm->shared->version.compare_exchange_strong(none, version()) && none != version()) comm->shared->differ = true;
    const bool met = meet(*comm);
    if (rank == 0) shm_unlink(id.internal);
    if (!met) return fail(system_error, "a rank did not come");
    if (comm->shared->differ) return fail(invalid_usage, "ranks have NCCL of different versions");
    return *made = comm, success;
}

EXPORTED int ncclCommGetAsyncError(Comm*, int* error) { return *error = success, success; }

EXPORTED int ncclCommDestroy(Comm* comm) {
    munmap(comm->shared, sizeof(Shared));
    delete comm;
    return success;
}

EXPORTED int ncclGroupStart() { return ++groups, success; }
EXPORTED int ncclGroupEnd() {
    if (groups == 0) return fail(invalid_usage, "a group ends that has not begun");
    if (--groups > 0) return success;
    int result = success;
    for (Comm* comm : in_group) {
        comm->grouped = false;
        const int of_this = run_group(*comm);
        if (result == success) result = of_this;
    }
    in_group.clear();
    return result;
}

EXPORTED int ncclSend(const void* from, size_t count, int type, int peer, Comm* comm, void*) {
    return type == 0 ? add(comm, {from, nullptr, count, peer}) : fail(invalid_argument, "bytes alone are sent");
}
EXPORTED int ncclRecv(void* to, size_t count, int type, int peer, Comm* comm, void*) {
    return type == 0 ? add(comm, {nullptr, to, count, peer}) : fail(invalid_argument, "bytes alone are sent");
}

EXPORTED int ncclAllGather(const void* from, void* to, size_t count, int type, Comm* comm, void*) {
    if (type != 0) return fail(invalid_argument, "bytes alone are gathered");
    std::vector<Transfer> sends, receives;
    for (int rank = 0; rank < comm->size; ++rank) {
        sends.push_back({from, nullptr, count, rank});
        receives.push_back({nullptr, static_cast<char*>(to) + (size_t)rank * count, count, rank});
    }
    return move_all(*comm, sends, receives);
}

EXPORTED int ncclAllReduce(const void* from, void* to, size_t count, int type, int operation, Comm* comm, void*) {
    if (type != 7 || operation != 0) return fail(invalid_argument, "floats alone are summed");
    std::vector<float> all(count * (size_t)comm->size);
    if (const int result = ncclAllGather(from, all.data(), count * sizeof(float), 0, comm, nullptr)) return result;
    for (size_t i = 0; i < count; ++i) {
        float total = 0;
        for (int rank = comm->size - 1; rank >= 0; --rank) total += all[(size_t)rank * count + i];
        static_cast<float*>(to)[i] = total;
    }
    return success;
}
