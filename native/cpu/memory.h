// Memory of tensors and of kernels' scratch.
#pragma once

#include <cstddef>

namespace medmamba::cpu {

// Kernels walk many pages, most of them once: with 2 MiB pages the walk misses the TLB 512 times less, and the first
// touch of fresh memory costs one fault instead of 512. In a virtual machine, where a miss walks two sets of tables,
// it is worth some percent of a convolution (docs/performance.md).
constexpr size_t huge_page = size_t(2) << 20;

// Uninitialised, aligned to a cache line, on huge pages where it is large enough to have one; null if there is none.
void* allocate_memory(size_t bytes);
void release_memory(void* memory);

}  // namespace medmamba::cpu
