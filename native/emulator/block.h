// What a kernel's thread asks of the block that it runs in: the rendezvous of threads, and copies that finish later.
//
// The emulator's side of these is block.cpp and, for memory, block_memory.cpp. Every function names the place in the
// source that calls it, for messages.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medmamba::cuda::emulator {

struct Place {
    const char* file;
    int line;
};

// Waits for every thread of the block. All have to wait at the same place, and none may have ended.
void barrier(Place place);

// Waits for the lanes that `mask` names.
void sync_warp(unsigned mask, Place place);
// The `value` of lane `source`, which has to be one that `mask` names.
uint64_t shuffle(unsigned mask, uint64_t value, int source, Place place);
// A bit for each lane of `mask` whose `predicate` holds.
unsigned ballot(unsigned mask, bool predicate, Place place);

// d += a b on the tiles of tensor_cores.h, of the whole warp.
enum class Tile { bf16_16x8x16, tf32_16x8x8 };
void multiply(Tile tile, float* d, const uint32_t* a, const uint32_t* b, Place place);
// to[i] becomes the two elements of matrix i that are the lane's; `row` is the matrix row that the lane gives.
void load_matrices(bool transposed, uint32_t* to, const void* row, Place place);

// The bytes are NaN from here on, and written when a wait says that they are there.
void start_copy(void* shared, const void* global, int bytes, bool valid, Place place);
void commit_copies();
// Whether the GPU knows no copies that finish later, nor tensor cores for bf16 and tf32.
bool copies_at_once();
void wait_for_copies(int groups_left);

// The block's dynamic shared memory; an error if the kernel was launched with less than `bytes`.
void* shared_memory(size_t bytes, size_t alignment);

// Lane of the calling thread, and the lanes of its warp that have not ended.
int lane();
unsigned lanes_alive();

}  // namespace medmamba::cuda::emulator
