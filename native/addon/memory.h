// Memory of one stream's device, cached: a training step takes and gives back the same sizes again and again,
// and asking the system each time would cost more than many a kernel.
//
// Everything here happens on the thread that queues work. A block that is given back may be handed out again at
// once, though queued work still reads it: work runs in the order of its queueing, so whatever is put into the
// block by its next owner is put there later. Only giving memory back to the system has to wait for the queue.
//
// Sizes are rounded up to classes at most 12.5 % apart (exactly, to 64 bytes, from 1 MiB on), so that nearly
// equal requests meet; a cached block serves a request if it is at most a quarter larger. The cache may hold as
// much as was ever in use since it was last emptied, or 64 MiB: a miss beyond that empties it.
//
// What graphs allocate while they are captured is theirs: given back, it goes to their pool, from where only graphs
// take, because a launch will write to it again. The pool draws on the cache and returns all to it at its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "queue.h"

namespace medmamba::addon {

class Block;
class Memory;

// Memory that one graph, or several that are never of use at the same time, can rely on as long as the pool lives.
class Pool {
public:
    explicit Pool(std::shared_ptr<Memory> memory) : memory_(std::move(memory)) {}
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

private:
    friend class Memory;

    std::shared_ptr<Memory> memory_;
    std::multimap<size_t, void*> cached_;  // not in use at the moment, by capacity
};

class Memory : public std::enable_shared_from_this<Memory> {
public:
    // `on_change` is told by how many bytes the reserved memory has grown or shrunk.
    Memory(const mm_backend* backend, mm_stream* stream, Queue& queue, std::function<void(int64_t)> on_change)
        : backend_(backend), stream_(stream), queue_(queue), on_change_(std::move(on_change)) {}

    // Uninitialised memory; empty, with the state of things in *why, if there is none left.
    std::shared_ptr<Block> allocate(size_t bytes, std::string* why);

    // Gives what is cached back to the system, when all that is queued has run: waits for that.
    void trim();

    // Allocates from this pool from here on; from the cache, if it is null.
    void use_pool(std::shared_ptr<Pool> pool) { pool_ = std::move(pool); }

    // How many blocks have been made: a block's `number` is below it if the block is older.
    uint64_t block_count() const { return block_count_; }

    // Frees everything, blocks in use included: they become unusable. The queue must have stopped.
    void close();
    bool closed() const { return closed_; }

    size_t live() const { return live_; }
    size_t live_bytes() const { return live_bytes_; }
    size_t peak_bytes() const { return peak_bytes_; }
    size_t reserved_bytes() const { return cached_bytes_ + used_bytes_; }

    // What the device itself says it has and has left, where it says so.
    std::optional<mm_device_description> device() const;

private:
    friend class Block;
    friend class Pool;

    void* take_of_pool(size_t size, size_t* capacity);
    void* take_cached(size_t size, size_t* capacity);
    void* take_new(size_t size);
    void recycle(const Block& block);
    void end_pool(Pool& pool);

    const mm_backend* backend_;
    mm_stream* stream_;
    Queue& queue_;
    std::function<void(int64_t)> on_change_;
    std::unordered_map<void*, size_t> owned_;   // all that the backend gave, with its capacity
    std::multimap<size_t, void*> cached_;       // those not in use, by capacity
    size_t cached_bytes_ = 0, used_bytes_ = 0;  // capacities; what a pool has is in use
    std::shared_ptr<Pool> pool_;
    uint64_t block_count_ = 0;
    size_t live_ = 0, live_bytes_ = 0, peak_bytes_ = 0;  // blocks in use, and their bytes as asked for
    size_t high_water_ = 0;                     // most of used_bytes_ since the cache was emptied
    bool closed_ = false;
};

// A piece of memory; goes back to its cache when the last of its owners lets go.
class Block {
public:
    Block(std::shared_ptr<Memory> memory, std::weak_ptr<Pool> pool, uint64_t number, void* pointer, size_t bytes,
          size_t capacity)
        : memory_(std::move(memory)), pool_(std::move(pool)), number_(number), pointer_(pointer), bytes_(bytes),
          capacity_(capacity) {}
    ~Block() { memory_->recycle(*this); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;

    const Memory* memory() const { return memory_.get(); }
    void* pointer() const { return pointer_; }
    size_t bytes() const { return bytes_; }  // as asked for
    size_t capacity() const { return capacity_; }
    uint64_t number() const { return number_; }
    // Null if it is from the cache, or its pool has ended.
    std::shared_ptr<Pool> pool() const { return pool_.lock(); }

private:
    std::shared_ptr<Memory> memory_;
    std::weak_ptr<Pool> pool_;
    uint64_t number_;
    void* pointer_;
    size_t bytes_, capacity_;
};

}  // namespace medmamba::addon
