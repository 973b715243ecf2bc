#include "arrays.h"

#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <new>

namespace {

// The map itself allocates by malloc, since it is what operator new asks.
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
using Sizes = std::map<unsigned char*, size_t, std::less<>, Malloc<std::pair<unsigned char* const, size_t>>>;

// Never destroyed: objects that are destroyed at the end of the process still ask.
struct Arrays {
    std::mutex mutex;
    Sizes sizes;
};
Arrays& arrays() {
    static Arrays& all = *new (std::malloc(sizeof(Arrays))) Arrays;
    return all;
}

}  // namespace

std::pair<unsigned char*, size_t> array_of(unsigned char* pointer) {
    Arrays& all = arrays();
    std::lock_guard lock(all.mutex);
    auto after = all.sizes.upper_bound(pointer);
    if (after == all.sizes.begin()) return {nullptr, 0};
    const auto& [start, bytes] = *--after;
    return pointer <= start + bytes ? std::pair(start, bytes) : std::pair<unsigned char*, size_t>(nullptr, 0);
}

void* operator new(size_t bytes) {
    void* pointer = std::malloc(bytes ? bytes : 1);
    if (!pointer) throw std::bad_alloc();
    Arrays& all = arrays();
    std::lock_guard lock(all.mutex);
    all.sizes[static_cast<unsigned char*>(pointer)] = bytes;
    return pointer;
}
void operator delete(void* pointer) noexcept {
    if (!pointer) return;
    {
        Arrays& all = arrays();
        std::lock_guard lock(all.mutex);
        all.sizes.erase(static_cast<unsigned char*>(pointer));
    }
    std::free(pointer);
}
void operator delete(void* pointer, size_t) noexcept { operator delete(pointer); }
