#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

namespace medmamba::cuda::emulator {

namespace {

constexpr size_t alignment = 16;

// The registry allocates by malloc: tests may replace operator new by allocate_device.
template <class T>
struct Malloc {
    using value_type = T;
    Malloc() = default;
    template <class U>
    Malloc(const Malloc<U>&) {}
    T* allocate(size_t count) { return static_cast<T*>(std::malloc(count * sizeof(T))); }
    void deallocate(T* pointer, size_t) { std::free(pointer); }
    bool operator==(const Malloc&) const { return true; }
    bool operator!=(const Malloc&) const { return false; }
};

struct Allocation {
    size_t bytes;
    bool pinned;  // memory of the host that kernels reach
};

struct Registry {
    std::mutex mutex;
    std::map<uintptr_t, Allocation, std::less<uintptr_t>, Malloc<std::pair<const uintptr_t, Allocation>>> allocations;
    size_t in_use = 0, kept = 0;
};

// Never destroyed: streams may still run while the process exits.
Registry& registry() {
    static Registry& only = *new (std::malloc(sizeof(Registry))) Registry;
    return only;
}

bool host_memory_accepted = false;

size_t page() {
    static const size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    return bytes;
}

size_t round_up(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }

}  // namespace

void* map_guarded(size_t bytes) {
    const size_t body = round_up(bytes, page());
    void* region = mmap(nullptr, body + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) return nullptr;
    char* start = static_cast<char*>(region) + page();
    if (body && mprotect(start, body, PROT_READ | PROT_WRITE) != 0) {
        munmap(region, body + 2 * page());
        return nullptr;
    }
    return start + body - bytes;
}

void unmap_guarded(void* end, size_t bytes) {
    const size_t body = round_up(bytes, page());
    munmap(static_cast<char*>(end) - body - page(), body + 2 * page());
}

size_t device_bytes() {
    const char* setting = std::getenv("MEDMAMBA_EMULATOR_MEMORY");
    return (setting && *setting ? (size_t)std::strtoull(setting, nullptr, 10) : 16384) << 20;
}

static void* allocate(size_t bytes, bool pinned) {
    const size_t size = round_up(std::max<size_t>(bytes, 1), alignment);
    Registry& all = registry();
    std::lock_guard lock(all.mutex);
    if (size < bytes || (!pinned && all.in_use + all.kept + size > device_bytes())) return nullptr;
    void* pointer = map_guarded(size);
    if (!pointer) return nullptr;
    std::memset(pointer, poison, size);
    all.allocations.emplace((uintptr_t)pointer, Allocation{bytes, pinned});
    if (!pinned) all.in_use += size;
    return pointer;
}

void* allocate_device(size_t bytes) { return allocate(bytes, false); }
void* allocate_pinned(size_t bytes) { return allocate(bytes, true); }

bool release_device(void* pointer) {
    Registry& all = registry();
    std::lock_guard lock(all.mutex);
    const auto found = all.allocations.find((uintptr_t)pointer);
    if (found == all.allocations.end()) return false;
    const auto [bytes, pinned] = found->second;
    const size_t size = round_up(std::max<size_t>(bytes, 1), alignment);
    const unsigned char* first = static_cast<unsigned char*>(pointer);
    const bool intact = std::all_of(first + bytes, first + size, [](unsigned char byte) { return byte == poison; });
    unmap_guarded(static_cast<char*>(pointer) + size, size);
    all.allocations.erase(found);
    if (!pinned) all.in_use -= size;
    return intact;
}

void accept_host_memory() { host_memory_accepted = true; }

bool is_device(const void* pointer) {
    if (host_memory_accepted) return true;
    Registry& all = registry();
    std::lock_guard lock(all.mutex);
    auto after = all.allocations.upper_bound((uintptr_t)pointer);
    if (after == all.allocations.begin()) return false;
    const auto& [start, allocation] = *--after;
    return (uintptr_t)pointer <= start + allocation.bytes;
}

void describe_address(const void* address, char* sentence, size_t size) {
    Registry& all = registry();
    std::snprintf(sentence, size, "in no memory of the device");
    std::unique_lock lock(all.mutex, std::try_to_lock);
    if (!lock) return;
    const uintptr_t place = (uintptr_t)address;
    const auto after = all.allocations.upper_bound(place);
    if (after != all.allocations.begin()) {
        const auto& [start, allocation] = *std::prev(after);
        const size_t bytes = allocation.bytes;
        if (place - start - bytes <= 2 * page())
            std::snprintf(sentence, size, "%zu bytes behind the end of an allocation of %zu", place - start - bytes,
                          bytes);
    }
    if (after != all.allocations.end() && after->first - place <= 2 * page())
        std::snprintf(sentence, size, "%zu bytes before an allocation of %zu", after->first - place,
                      after->second.bytes);
}

void keep_device_bytes(size_t bytes) {
    std::lock_guard lock(registry().mutex);
    registry().kept += bytes;
}

void give_back_device_bytes(size_t bytes) {
    std::lock_guard lock(registry().mutex);
    registry().kept -= bytes;
}

size_t device_bytes_kept() {
    std::lock_guard lock(registry().mutex);
    return registry().kept;
}

size_t device_bytes_in_use() {
    std::lock_guard lock(registry().mutex);
    return registry().in_use;
}

}  // namespace medmamba::cuda::emulator
