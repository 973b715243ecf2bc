#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

namespace medmamba::cpu {

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

}  // namespace medmamba::cpu
