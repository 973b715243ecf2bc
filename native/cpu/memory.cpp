#include "memory.h"

#include <algorithm>
#include <cstdlib>

#if defined(_WIN32)
#include <malloc.h>
#else
#include <sys/mman.h>
#endif

namespace medmamba::cpu {

#if defined(_WIN32)

void* allocate_memory(size_t bytes) { return _aligned_malloc(std::max<size_t>(bytes, 1), 64); }

void release_memory(void* memory) { _aligned_free(memory); }

#else

void* allocate_memory(size_t bytes) {
    void* memory = nullptr;
    const size_t alignment = bytes >= huge_page ? huge_page : 64;
    if (posix_memalign(&memory, alignment, std::max<size_t>(bytes, 1)) != 0) return nullptr;
#if defined(MADV_HUGEPAGE)
    if (alignment == huge_page) madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    return memory;
}

void release_memory(void* memory) { std::free(memory); }

#endif

}  // namespace medmamba::cpu
