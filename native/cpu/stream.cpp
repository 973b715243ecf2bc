#include "stream.h"

#include <cstdarg>
#include <cstdio>
#include <new>

#include "memory.h"

namespace medmamba::cpu {

Scratch::Scratch() = default;
Scratch::Scratch(Scratch&&) noexcept = default;

Scratch::~Scratch() {
    for (auto& block : blocks_) release_memory(block.memory);
}

void* Scratch::take_bytes(size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    for (; block_ < blocks_.size(); ++block_, used_ = 0) {
        if (used_ + bytes <= blocks_[block_].bytes) {
            void* piece = static_cast<char*>(blocks_[block_].memory) + used_;
            used_ += bytes;
            return piece;
        }
    }
    const size_t size = (bytes + huge_page - 1) / huge_page * huge_page;
    void* memory = allocate_memory(size);
    if (!memory) throw std::bad_alloc();
    blocks_.push_back({memory, size});
    used_ = bytes;
    return memory;
}

}  // namespace medmamba::cpu

mm_stream::mm_stream(int threads) : pool(threads), worker_scratch(threads) {}
mm_stream::~mm_stream() = default;

mm_status mm_stream::fail(mm_status status, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}
