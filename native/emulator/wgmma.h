// The products of warpgroups, wgmma: D (64, columns) += A (64, 16) B (16, columns) of bfloat16, both of them in shared memory,
// of which each warp holds 16 rows of D in its registers.
//
// A product is computed when the warp waits for it and no thread of the block can run any more, of what shared memory holds
// then. Until then its sums are NaN
// in the registers: so reading them too early shows, as does shared memory that is written anew too early. It is an error to
// start one without wgmma_fence() after the last wait, to change its sums meanwhile, or if the four warps of a warpgroup do not
// all ask for the same.
#pragma once

#include <cstdint>

#include "block.h"

namespace medmamba::cuda::emulator {

struct Thread;

void wgmma_fence();
// `sums` has the columns / 2 of the thread: [4 j + 2 i + h] is D[16 warp + 8 i + lane / 4][8 j + 2 (lane % 4) + h].
void wgmma(float* sums, int columns, uint64_t a, uint64_t b, Place place);
void wgmma_commit();
void wgmma_wait(int groups_left, Place place);

// ---- for the scheduler of a block's threads (block.cpp) -------------------------------------------------------

void forget_products();
// Of a warp that waits.
void finish_products(Thread* lanes);
// An error if a thread has ended without waiting for what it started, or a warp without the products of the others.
void expect_no_products(const Thread* threads, int count);

}  // namespace medmamba::cuda::emulator
