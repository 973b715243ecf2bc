// A thread of the block that runs: its stack, and what it waits for.
#pragma once

#include <vector>

#include "block.h"

namespace medmamba::cuda::emulator {

enum class Wait : uint8_t { nothing, barrier, warp, shuffle, ballot, tile_bf16, tile_tf32, matrices, products, phase, ended };

inline const char* name_of(Wait wait) {
    static constexpr const char* names[] = {"",  "__syncthreads", "__syncwarp", "__shfl_sync", "__ballot_sync",
                                            "mma_bf16_16x8x16", "mma_tf32_16x8x8", "load_matrices", "wgmma_wait", "wait", ""};
    return names[(int)wait];
}

// A copy that has been started; it is made when somebody waits for it, no earlier.
struct Copy {
    char* to;
    const char* from;
    int bytes;
    bool valid;
    int group;
};

// A product of the thread's warpgroup that has been started, and the sums on their way to the registers (wgmma.h).
struct Product {
    float* registers;
    int columns;
    uint64_t a, b;  // descriptors
    int group;
};
struct Sums {
    float* registers;
    int count;
    float values[128];
};

struct Thread {
    char* stack_top = nullptr;
    void* place = nullptr;  // on its stack, where it goes on
    int index = 0;          // in the block

    Wait wait = Wait::nothing;
    unsigned mask = 0;
    Place asked_at{};
    uint64_t value = 0;  // of a shuffle or a vote: what it gives, then what it gets
    int source = 0;
    float* d = nullptr;  // of a tile: its fragments
    const uint32_t *a = nullptr, *b = nullptr;
    uint32_t* matrices = nullptr;  // of four matrices: its elements, and the row that it gives
    const uint16_t* row = nullptr;
    bool transposed = false;

    std::vector<Copy> copies;
    int committed = 0;

    const uint64_t* barrier = nullptr;  // in shared memory, whose phase of this parity it waits for
    unsigned parity = 0;

    std::vector<Product> products;
    std::vector<Sums> sums;
    int product_group = 0, products_started = 0;
    bool is_fenced = false;  // wgmma_fence() has come since the last wait
};

// The thread that runs, and its block's shared memory: it ends where a guard page begins.
struct SharedMemory {
    char* end;
    size_t bytes;
};
Thread& running_thread();
SharedMemory shared_of_block();
// Fails if 16 bytes of a matrix row do not lie there, or not at a multiple of 16.
void expect_shared_row(const void* row, Place place);

// Lets others run until the thread is woken; until all lanes of its warp have asked for the same.
void suspend(Wait wait, Place place);
void suspend_warp(Wait wait, Place place);

// Ends the grid with this sentence. `fail` is for the thread that runs: it does not return.
__attribute__((format(printf, 1, 2), noreturn)) void fail(const char* format, ...);
__attribute__((format(printf, 1, 2))) void fail_later(const char* format, ...);

// The file's name without its folders.
const char* file_of(Place place);

}  // namespace medmamba::cuda::emulator
