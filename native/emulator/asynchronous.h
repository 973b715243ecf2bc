// What a block of Hopper waits for without its threads meeting: barriers in shared memory that count arrivals and bytes
// (mbarrier), and boxes of tensors that the tensor memory accelerator (TMA) copies there.
//
// A box is copied as late as it may be: when no thread of the block can run any more, one of those that are under way is
// done, drawn from the dice. Until then its place in shared memory is NaN, from the moment on that the copy was started: so a
// read that does not wait shows, and so does a copy that is started before its place has been read by everybody.
//
// TMA and wgmma see shared memory through a proxy of their own. What threads write there becomes visible to that by
// fence_proxy_async() alone; until then they see what was there before, at first NaN.
#pragma once

#include <cstdint>

#include "block.h"
#include "stream.h"

namespace medmamba::cuda::emulator {

struct Thread;

// Address of the shared window, as descriptors and swizzling take it.
uint32_t shared_address(const void* pointer, Place place);

void barrier_init(uint64_t* barrier, int arrivals, Place place);
void fence_barrier_init();
void fence_proxy_async();
void arrive(uint64_t* barrier, Place place);
void arrive_expecting(uint64_t* barrier, int bytes, Place place);
// Returns once the phase of this parity is complete.
void wait_for_phase(uint64_t* barrier, unsigned parity, Place place);

// `map` is the kernel's CUtensorMap; the first coordinate is that of the innermost dimension.
void start_box(const void* map, void* to, uint64_t* barrier, const int* coordinates, int rank, Place place);

// ---- for the scheduler of a block's threads (block.cpp), and for wgmma.cpp -----------------------------------

void forget_barriers_and_boxes();
// Whether the phase that the thread waits for is complete.
bool phase_is_complete(const Thread& thread);
bool are_boxes_under_way();
// Does one of the copies under way; false if there are none.
bool finish_a_box(Dice& dice);
// What the thread's barrier lacks, in words.
void describe_phase(const Thread& thread, char* text, int size);
// Shared memory as TMA and wgmma see it, from its first byte on.
const char* proxy_view();

}  // namespace medmamba::cuda::emulator
