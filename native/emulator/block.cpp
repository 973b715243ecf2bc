// A block's threads are fibers: each runs until it has to wait for others, then the next one does. As only one runs
// at a time, what they write and read depends on nothing but the order in which they are taken, and that order is
// drawn from dice: anew at every rendezvous, lanes of a warp in any order; and some warps, drawn anew at every
// barrier, run only when none of the others can. A result that needs a barrier which is not there differs from throw
// to throw.
//
// What waits is judged when nothing can run any more: a barrier that some thread has not come to, or a warp operation
// that lacks lanes of its mask, will wait for ever. On a GPU that would be a hang or a wrong result, here it ends the
// grid with cudaErrorLaunchFailure.
//
// One grid runs at a time, so that all of this can be plain variables.
#include "block.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "asynchronous.h"
#include "block_state.h"
#include "context.h"
#include "faults.h"
#include "language.h"
#include "launch.h"
#include "memory.h"
#include "model.h"
#include "stream.h"
#include "tensor_cores.h"
#include "wgmma.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace medmamba::cuda::emulator {

namespace {

constexpr int most_threads = 1024, most_warps = most_threads / 32;
constexpr size_t stack_bytes = 64 << 10;

// Of the process: stacks, and memory that every block has in turn.
struct Machine {
    std::mutex one_grid;
    Thread threads[most_threads];
    char* shared_end = nullptr;

    bool prepare(int count) {
        if (!shared_end) {
            void* shared = map_guarded(shared_bytes_at_most);
            if (!shared) return false;
            shared_end = static_cast<char*>(shared) + shared_bytes_at_most;
        }
        for (int i = 0; i < count; ++i) {
            if (threads[i].stack_top) continue;
            void* stack = map_guarded(stack_bytes);
            if (!stack) return false;
            threads[i].stack_top = static_cast<char*>(stack) + stack_bytes;
        }
        return true;
    }
};
Machine& machine = *new Machine;

// Of the grid and the block that run.
const Grid* grid = nullptr;
Thread* current = nullptr;
void* scheduler = nullptr;  // where its stack is kept while a thread runs
int thread_count = 0, warp_count = 0, at_barrier = 0, at_phase = 0;
unsigned ready[most_warps], waiting[most_warps], ended[most_warps];  // a bit for each lane
bool slow[most_warps];
bool stopped = false;
bool sm80 = true;  // or newer, the GPU is
char failure[400];

void to_scheduler() { medmamba_emulator_switch(&current->place, scheduler); }

void run_thread() {
    grid->run_thread(grid->call);
    const int index = current->index;
    ended[index / 32] |= 1u << index % 32;
    current->wait = Wait::ended;
    to_scheduler();
}

uint3 place_in(dim3 size, uint64_t index) {
    return {(unsigned)(index % size.x), (unsigned)(index / size.x % size.y), (unsigned)(index / size.x / size.y)};
}

void resume(Thread& thread) {
    current = &thread;
    threadIdx = place_in(blockDim, (uint64_t)thread.index);
    medmamba_emulator_switch(&scheduler, thread.place);
}

// ---- what threads wait for ------------------------------------------------------------------------------------

// Keeps the calling thread's request and lets others run until it is answered.
void wait_for_warp(Wait wait, unsigned mask, Place place) {
    Thread& self = *current;
    self.wait = wait;
    self.mask = mask;
    self.asked_at = place;
    if (!(mask >> self.index % 32 & 1))
        fail("%s at %s:%d: the mask %08x lacks the lane that calls it, %d", name_of(wait), file_of(place), place.line,
             mask, self.index % 32);
    waiting[self.index / 32] |= 1u << self.index % 32;
    to_scheduler();
}

bool complete(const Thread* lanes, unsigned mask, Wait wait, unsigned present) {
    if (mask & ~present) return false;
    for (unsigned rest = mask; rest; rest &= rest - 1) {
        const Thread& lane = lanes[__builtin_ctz(rest)];
        if (lane.mask != mask || lane.wait != wait) return false;
    }
    return true;
}

void answer(Thread* lanes, unsigned mask, Wait wait) {
    uint64_t values[32];
    unsigned votes = 0;
    for (unsigned rest = mask; rest; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        values[lane] = lanes[lane].value;
        votes |= (unsigned)(lanes[lane].value & 1) << lane;
    }
    if (wait == Wait::tile_bf16) multiply_bf16(lanes);
    if (wait == Wait::tile_tf32) multiply_tf32(lanes);
    if (wait == Wait::matrices) load_matrices(lanes);
    for (unsigned rest = mask; rest; rest &= rest - 1) {
        Thread& lane = lanes[__builtin_ctz(rest)];
        if (wait == Wait::ballot) lane.value = votes;
        if (wait != Wait::shuffle) continue;
        if (mask >> lane.source & 1) {
            lane.value = values[lane.source];
        } else {
            fail_later("__shfl_sync at %s:%d reads lane %d, which its mask %08x does not name",
                       file_of(lane.asked_at), lane.asked_at.line, lane.source, mask);
        }
    }
}

// Answers the warp operations whose lanes have all come.
void answer_warps() {
    for (int warp = 0; warp < warp_count; ++warp) {
        Thread* lanes = machine.threads + warp * 32;
        for (unsigned rest = waiting[warp]; rest; rest &= rest - 1) {
            const Thread& first = lanes[__builtin_ctz(rest)];
            const unsigned mask = first.mask;
            const Wait wait = first.wait;
            if (wait == Wait::products) continue;
            if (!(waiting[warp] >> __builtin_ctz(rest) & 1) || !complete(lanes, mask, wait, waiting[warp])) continue;
            answer(lanes, mask, wait);
            waiting[warp] &= ~mask;
            ready[warp] |= mask;
        }
    }
}

// When nothing else can run: a box of a tensor arrives, or a warp's products are done. False if there is neither.
bool finish_something(Dice& dice) {
    int warps[most_warps], count = 0;
    for (int warp = 0; warp < warp_count; ++warp)
        if (complete(machine.threads + warp * 32, 0xffffffffu, Wait::products, waiting[warp])) warps[count++] = warp;
    if (count == 0 || (are_boxes_under_way() && dice.below(2))) return finish_a_box(dice);
    const int warp = warps[dice.below((unsigned)count)];
    finish_products(machine.threads + warp * 32);
    waiting[warp] = 0;
    ready[warp] = 0xffffffffu;
    return true;
}

// Wakes those whose phase is complete.
void answer_phases() {
    for (int i = 0; at_phase && i < thread_count; ++i) {
        Thread& thread = machine.threads[i];
        if (thread.wait != Wait::phase || !phase_is_complete(thread)) continue;
        thread.wait = Wait::nothing;
        ready[i / 32] |= 1u << i % 32;
        --at_phase;
    }
}

unsigned all_lanes(int warp) {
    const int lanes = std::min(32, thread_count - warp * 32);
    return lanes == 32 ? 0xffffffffu : (1u << lanes) - 1;
}

void open_barrier(Dice& dice) {
    const Place first = machine.threads[0].asked_at;
    for (int i = 1; i < thread_count; ++i) {
        const Place place = machine.threads[i].asked_at;
        if (place.line == first.line && std::strcmp(place.file, first.file) == 0) continue;
        fail_later("thread 0 waits at the barrier of %s:%d, but thread %d at the one of %s:%d", file_of(first),
                   first.line, i, file_of(place), place.line);
    }
    at_barrier = 0;
    for (int warp = 0; warp < warp_count; ++warp) {
        ready[warp] = all_lanes(warp);
        slow[warp] = dice.below(2);
    }
}

// Somebody waits for what will never come: says who and for what.
void explain_deadlock() {
    const auto doing = [](const Thread& thread, char* text, size_t size) {
        if (thread.wait == Wait::ended) {
            std::snprintf(text, size, "has ended");
        } else if (thread.wait == Wait::phase) {
            char lacking[100];
            describe_phase(thread, lacking, sizeof lacking);
            std::snprintf(text, size, "waits at %s:%d for %s", file_of(thread.asked_at), thread.asked_at.line, lacking);
        } else {
            std::snprintf(text, size, "waits in %s (mask %08x) at %s:%d", name_of(thread.wait), thread.mask,
                          file_of(thread.asked_at), thread.asked_at.line);
        }
    };
    char other[240];
    for (int i = 0; i < thread_count; ++i) {
        const Thread& thread = machine.threads[i];
        if (thread.wait != Wait::phase) continue;
        doing(thread, other, sizeof other);
        return fail_later("thread %d %s that nobody will bring", i, other);
    }
    for (int i = 0; i < thread_count; ++i) {
        const Thread& thread = machine.threads[i];
        if (thread.wait == Wait::ended || thread.wait == Wait::barrier) continue;
        for (unsigned lane = 0; lane < 32; ++lane) {
            const Thread& missing = machine.threads[i / 32 * 32 + (int)lane];
            if (!(thread.mask >> lane & 1)) continue;
            const bool exists = all_lanes(i / 32) >> lane & 1;
            if (exists && missing.wait == thread.wait && missing.mask == thread.mask) continue;
            if (exists) doing(missing, other, sizeof other);
            return fail_later("thread %d waits in %s (mask %08x) at %s:%d, but lane %u %s", i, name_of(thread.wait),
                              thread.mask, file_of(thread.asked_at), thread.asked_at.line, lane,
                              exists ? other : "is beyond the block");
        }
    }
    for (int i = 0; i < thread_count; ++i) {
        const Thread& thread = machine.threads[i];
        if (thread.wait != Wait::barrier) continue;
        for (int j = 0; j < thread_count; ++j) {
            if (machine.threads[j].wait == Wait::barrier) continue;
            doing(machine.threads[j], other, sizeof other);
            return fail_later("thread %d waits at the barrier of %s:%d, but thread %d %s", i,
                              file_of(thread.asked_at), thread.asked_at.line, j, other);
        }
    }
}

// ---- blocks and grids -----------------------------------------------------------------------------------------

// The threads that can run next, in the order that the dice give; those of slow warps only if there are no others.
int next_round(Thread** order, Dice& dice) {
    int count = 0;
    for (bool slowly : {false, true}) {
        for (int warp = 0; warp < warp_count; ++warp) {
            if (slow[warp] != slowly) continue;
            for (unsigned rest = ready[warp]; rest; rest &= rest - 1)
                order[count++] = &machine.threads[warp * 32 + __builtin_ctz(rest)];
            ready[warp] = 0;
        }
        if (count) break;
    }
    for (int i = count; i > 1; --i) std::swap(order[i - 1], order[dice.below((unsigned)i)]);
    return count;
}

void run_block(Dice& dice) {
    const size_t shared_bytes = (grid->shared_bytes + 15) / 16 * 16;
    std::memset(machine.shared_end - shared_bytes, poison, shared_bytes);
    at_barrier = at_phase = 0;
    forget_barriers_and_boxes();
    forget_products();
    for (int warp = 0; warp < warp_count; ++warp) {
        ready[warp] = all_lanes(warp);
        waiting[warp] = ended[warp] = 0;
        slow[warp] = dice.below(2);
    }
    for (int i = 0; i < thread_count; ++i) {
        Thread& thread = machine.threads[i];
        thread.index = i;
        thread.wait = Wait::nothing;
        thread.copies.clear();
        thread.committed = 0;
        thread.products.clear();
        thread.sums.clear();
        thread.product_group = thread.products_started = 0;
        thread.is_fenced = false;
        thread.place = new_stack(thread.stack_top, run_thread);
    }
    Thread* order[most_threads];
    const auto all_have_ended = [] {
        int over = 0;
        for (int warp = 0; warp < warp_count; ++warp) over += __builtin_popcount(ended[warp]);
        return over == thread_count;
    };
    for (;;) {
        const int count = next_round(order, dice);
        if (!count && (all_have_ended() || !finish_something(dice))) break;
        for (int i = 0; i < count && !stopped; ++i) resume(*order[i]);
        if (stopped) return;
        answer_warps();
        answer_phases();
        if (at_barrier == thread_count) open_barrier(dice);
        if (stopped) return;
    }
    if (!all_have_ended()) return explain_deadlock();
    if (are_boxes_under_way()) return fail_later("the block has ended before the boxes that it loads have arrived");
    expect_no_products(machine.threads, thread_count);
}

uint64_t greatest_common_divisor(uint64_t a, uint64_t b) { return b ? greatest_common_divisor(b, a % b) : a; }

}  // namespace

// ---- failures -------------------------------------------------------------------------------------------------

void fail_later(const char* format, ...) {
    if (stopped) return;
    stopped = true;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(failure, sizeof failure, format, arguments);
    va_end(arguments);
}

const char* file_of(Place place) {
    const char* slash = std::strrchr(place.file, '/');
    return slash ? slash + 1 : place.file;
}

const char* running_operation() { return grid ? grid->what : nullptr; }

// ---- launching ------------------------------------------------------------------------------------------------

bool expect_device_pointer(const char* what, const void* pointer) {
    if (is_device(pointer)) return true;
    set_last_error(cudaErrorLaunchFailure, "%s: a kernel is given %p, which is no memory of the device", what,
                   pointer);
    return false;
}

bool launchable(const Grid& g) {
    const uint64_t threads = (uint64_t)g.threads.x * g.threads.y * g.threads.z;
    if (threads == 0 || threads > most_threads || g.threads.z > 64) {
        set_last_error(cudaErrorInvalidConfiguration, "%s: a block of %u x %u x %u threads; 1 to 1024 are possible",
                       g.what, g.threads.x, g.threads.y, g.threads.z);
    } else if (!g.blocks.x || !g.blocks.y || !g.blocks.z || g.blocks.x > INT32_MAX || g.blocks.y > 65535 ||
               g.blocks.z > 65535) {
        set_last_error(cudaErrorInvalidConfiguration,
                       "%s: a grid of %u x %u x %u blocks; 2147483647 x 65535 x 65535 are possible", g.what,
                       g.blocks.x, g.blocks.y, g.blocks.z);
    } else if (g.shared_bytes > most_shared_bytes(g.kernel)) {
        set_last_error(cudaErrorInvalidValue, "%s: %zu bytes of shared memory, but the kernel may have %zu", g.what,
                       g.shared_bytes, most_shared_bytes(g.kernel));
    } else if (int device = 0; !g.stream || (cudaGetDevice(&device), device != g.stream->device)) {
        set_last_error(cudaErrorInvalidResourceHandle, "%s: the stream is not one of the current device", g.what);
    } else {
        return true;
    }
    return false;
}

void run(const Grid& g) {
    if (!launchable(g)) return;
    std::lock_guard lock(machine.one_grid);
    const uint64_t blocks = (uint64_t)g.blocks.x * g.blocks.y * g.blocks.z;
    thread_count = (int)(g.threads.x * g.threads.y * g.threads.z);
    warp_count = (thread_count + 31) / 32;
    if (!machine.prepare(thread_count))
        return set_last_error(cudaErrorMemoryAllocation, "no memory for the stacks of threads");
    grid = &g;
    blockDim = g.threads;
    gridDim = g.blocks;
    stopped = false;
    sm80 = has_sm80();

    // Blocks in steps that have no divisor in common with their number: each comes once.
    Dice& dice = g.stream->dice;
    uint64_t step = 1 + dice.below((unsigned)std::min<uint64_t>(blocks, UINT32_MAX));
    while (greatest_common_divisor(step, blocks) != 1) ++step;
    uint64_t block = dice.below((unsigned)std::min<uint64_t>(blocks, UINT32_MAX));
    {
        const FaultMessages faults;
        for (uint64_t i = 0; i < blocks && !stopped; ++i, block = (block + step) % blocks) {
            blockIdx = place_in(g.blocks, block);
            run_block(dice);
        }
    }
    grid = nullptr;
    if (stopped) {
        set_last_error(cudaErrorLaunchFailure, "block (%u, %u, %u) of %s: %s", blockIdx.x, blockIdx.y, blockIdx.z,
                       g.what, failure);
    }
}

// ---- the calling thread's side --------------------------------------------------------------------------------

void fail(const char* format, ...) {
    if (!stopped) {
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(failure, sizeof failure, format, arguments);
        va_end(arguments);
        stopped = true;
    }
    to_scheduler();
    std::abort();  // a thread of a grid that has failed never runs again
}

void barrier(Place place) {
    current->wait = Wait::barrier;
    current->mask = 0xffffffffu;
    current->asked_at = place;
    ++at_barrier;
    to_scheduler();
}

void suspend(Wait wait, Place place) {
    current->wait = wait;
    current->asked_at = place;
    if (wait == Wait::phase) ++at_phase;
    to_scheduler();
}

void suspend_warp(Wait wait, Place place) { wait_for_warp(wait, 0xffffffffu, place); }

void sync_warp(unsigned mask, Place place) { wait_for_warp(Wait::warp, mask, place); }

uint64_t shuffle(unsigned mask, uint64_t value, int source, Place place) {
    Thread& self = *current;
    self.value = value;
    self.source = source & 31;
    wait_for_warp(Wait::shuffle, mask, place);
    return self.value;
}

unsigned ballot(unsigned mask, bool predicate, Place place) {
    Thread& self = *current;
    self.value = predicate;
    wait_for_warp(Wait::ballot, mask, place);
    return (unsigned)self.value;
}

void multiply(Tile tile, float* d, const uint32_t* a, const uint32_t* b, Place place) {
    if (!sm80) fail("tensor cores multiply at %s:%d as no GPU before 8.0 can", file_of(place), place.line);
    current->d = d;
    current->a = a;
    current->b = b;
    wait_for_warp(tile == Tile::bf16_16x8x16 ? Wait::tile_bf16 : Wait::tile_tf32, 0xffffffffu, place);
}

void load_matrices(bool transposed, uint32_t* to, const void* row, Place place) {
    expect_shared_row(row, place);
    current->matrices = to;
    current->row = static_cast<const uint16_t*>(row);
    current->transposed = transposed;
    wait_for_warp(Wait::matrices, 0xffffffffu, place);
}

Thread& running_thread() { return *current; }

SharedMemory shared_of_block() { return {machine.shared_end, grid->shared_bytes}; }

bool copies_at_once() { return !sm80; }

int lane() { return current->index % 32; }

unsigned lanes_alive() { return all_lanes(current->index / 32) & ~ended[current->index / 32]; }

}  // namespace medmamba::cuda::emulator
