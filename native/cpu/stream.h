// The CPU's stream: a team of threads, scratch memory, and the sentence about the last failure.
//
// Functions of the backend run to completion on the thread that calls them; that calls arrive in order and
// off Node's event loop is the addon's doing (its executor thread).
//
// What is not a template is defined in stream.cpp, which no SIMD flags touch: an inline function here would be compiled
// at every level, and the linker might keep the copy that the machine cannot run.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../backend/backend.h"
#include "thread_pool.h"

namespace medmamba::cpu {

// Scratch memory that grows to what was needed once and is then reused: in steady state an operation
// allocates nothing. `take` hands out 64-byte aligned pieces; `Scope` gives them back at the end of a task.
class Scratch {
public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch(Scratch&&) noexcept;

    template <class T = float>
    T* take(int64_t count) {
        return static_cast<T*>(take_bytes((size_t)count * sizeof(T)));
    }

    class Scope {
    public:
        explicit Scope(Scratch& scratch) : scratch_(scratch), block_(scratch.block_), used_(scratch.used_) {}
        ~Scope() {
            scratch_.block_ = block_;
            scratch_.used_ = used_;
        }

    private:
        Scratch& scratch_;
        size_t block_, used_;
    };

private:
    struct Block {
        void* memory;
        size_t bytes;
    };

    // Throws std::bad_alloc, which the backend's entry points turn into MM_OUT_OF_MEMORY.
    void* take_bytes(size_t bytes);

    std::vector<Block> blocks_;
    size_t block_ = 0, used_ = 0;
};

}  // namespace medmamba::cpu

struct mm_stream {
    explicit mm_stream(int threads);
    ~mm_stream();

    medmamba::cpu::ThreadPool pool;
    medmamba::cpu::Scratch scratch;                      // of the operation as a whole (packed weights, partial sums)
    std::vector<medmamba::cpu::Scratch> worker_scratch;  // of one task on one worker
    char last_error[256] = "";
    char simd[16] = "";
    bool bfloat16_products = false;  // matrix products and convolutions round their factors to bfloat16
    bool amx_products = false;       // and multiply them by AMX
    int64_t limit_bytes = 0;         // that tensors may have; 0 if there is none
    std::atomic<int64_t> taken_bytes{0};

    // Keeps the sentence and returns the status, so that an operation can `return stream->fail(...)`.
    __attribute__((format(printf, 3, 4))) mm_status fail(mm_status status, const char* format, ...);
};
