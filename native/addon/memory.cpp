#include "memory.h"

#include <algorithm>
#include <vector>

namespace medmamba::addon {

namespace {

constexpr size_t mebibyte = size_t(1) << 20;
constexpr size_t least_cache = 64 * mebibyte;

// Eight classes to each power of two up to 1 MiB, none closer than a cache line.
size_t size_class(size_t bytes) {
    size_t step = 64;
    if (bytes < mebibyte)
        while (step * 16 <= bytes) step *= 2;
    return std::max<size_t>((bytes + step - 1) / step, 1) * step;
}

// The best fit; among equals the one used last, which is the likeliest to be in the processor's cache.
void* take_best(std::multimap<size_t, void*>& cached, size_t size, size_t* capacity) {
    const auto best = cached.lower_bound(size);
    if (best == cached.end() || best->first > size + size / 4) return nullptr;
    void* pointer = best->second;
    *capacity = best->first;
    cached.erase(best);
    return pointer;
}

void put(std::multimap<size_t, void*>& cached, size_t capacity, void* pointer) {
    cached.emplace_hint(cached.lower_bound(capacity), capacity, pointer);
}

std::string in_mebibytes(size_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f MiB", (double)bytes / mebibyte);
    return text;
}

std::string left_in_words(const mm_device_description& device) {
    if (device.limit_bytes)
        return ", and the limit of " + in_mebibytes((size_t)device.limit_bytes) +
               " (memoryLimit) that was set for this process leaves " + in_mebibytes((size_t)device.free_bytes);
    return ", and the device has " + in_mebibytes((size_t)device.free_bytes) + " of " +
           in_mebibytes((size_t)device.total_bytes) + " free";
}

}  // namespace

std::shared_ptr<Block> Memory::allocate(size_t bytes, std::string* why) {
    const size_t size = size_class(bytes);
    size_t capacity = size;
    const bool possible = size >= bytes;  // otherwise it has wrapped around
    void* pointer = possible && pool_ ? take_of_pool(size, &capacity) : nullptr;
    const bool of_pool = pointer != nullptr;
    if (!pointer && possible) pointer = take_cached(size, &capacity);
    if (!pointer && possible) pointer = take_new(size);
    if (!pointer) {
        const std::optional<mm_device_description> left = device();
        *why = std::to_string(bytes) + " bytes (" + in_mebibytes(bytes) + ") could not be allocated on device \"" +
               backend_->name + "\": " + std::to_string(live_bytes_) + " bytes (" + in_mebibytes(live_bytes_) +
               ") are in use, " + std::to_string(reserved_bytes()) + " bytes (" + in_mebibytes(reserved_bytes()) +
               ") reserved" +
               (left ? left_in_words(*left) : "") +
               ". Use a smaller batch or image, or dispose what is no longer needed.";
        return nullptr;
    }
    if (!of_pool) used_bytes_ += capacity;
    high_water_ = std::max(high_water_, used_bytes_);
    ++live_;
    live_bytes_ += bytes;
    peak_bytes_ = std::max(peak_bytes_, live_bytes_);
    return std::make_shared<Block>(shared_from_this(), pool_, block_count_++, pointer, bytes, capacity);
}

std::optional<mm_device_description> Memory::device() const {
    mm_device_description description{};
    if (backend_->describe(stream_, &description) != MM_OK) return std::nullopt;
    return description;
}

void* Memory::take_of_pool(size_t size, size_t* capacity) { return take_best(pool_->cached_, size, capacity); }

void* Memory::take_cached(size_t size, size_t* capacity) {
    void* pointer = take_best(cached_, size, capacity);
    if (pointer) cached_bytes_ -= *capacity;
    return pointer;
}

void* Memory::take_new(size_t size) {
    if (cached_bytes_ > std::max(high_water_, least_cache)) trim();
    void* pointer = nullptr;
    mm_status status = backend_->allocate(stream_, size, &pointer);
    if (status != MM_OK) {
        trim();  // also what only the backend has: the memory of operations that are over
        status = backend_->allocate(stream_, size, &pointer);
    }
    if (status != MM_OK) return nullptr;
    owned_.emplace(pointer, size);
    on_change_((int64_t)size);
    return pointer;
}

// Queued work may still use what is cached: it has to be done first, on the device as well.
void Memory::trim() {
    queue_.push("synchronize", [this] { return backend_->synchronize(stream_); });
    queue_.drain();
    for (const auto& [capacity, pointer] : cached_) {
        owned_.erase(pointer);
        backend_->release(stream_, pointer, capacity);
    }
    backend_->trim(stream_);
    cached_.clear();
    on_change_(-(int64_t)cached_bytes_);
    cached_bytes_ = 0;
    high_water_ = used_bytes_;
}

void Memory::recycle(const Block& block) {
    --live_;
    live_bytes_ -= block.bytes();
    if (closed_) return;
    if (const std::shared_ptr<Pool> pool = block.pool()) return put(pool->cached_, block.capacity(), block.pointer());
    used_bytes_ -= block.capacity();
    cached_bytes_ += block.capacity();
    put(cached_, block.capacity(), block.pointer());
}

void Memory::end_pool(Pool& pool) {
    if (closed_) return;
    for (const auto& [capacity, pointer] : pool.cached_) {
        used_bytes_ -= capacity;
        cached_bytes_ += capacity;
        put(cached_, capacity, pointer);
    }
}

Pool::~Pool() { memory_->end_pool(*this); }

void Memory::close() {
    if (closed_) return;
    closed_ = true;
    pool_.reset();
    for (const auto& [pointer, capacity] : owned_) backend_->release(stream_, pointer, capacity);
    owned_.clear();
    cached_.clear();
    on_change_(-(int64_t)reserved_bytes());
    cached_bytes_ = used_bytes_ = 0;
}

}  // namespace medmamba::addon
