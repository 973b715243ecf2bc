// Work beside a stream's own, as what goes to other ranks while backward goes on: the beside_* functions of the table.
//
// It is queued on a second CUDA stream, which waits for an event of the first where it begins, and which the first waits for
// where it is joined. A capture follows these waits from stream to stream, so that a graph holds both as branches.
//
// Between begin and end the second stream takes the place of the first, for every operation alike. What operations need for
// themselves comes from a pool in stream order, and a capture's from pieces that its operations share one after another: so
// beside are operations that need none, as copies, sums over ranks and what NCCL does.
#pragma once

#include "../backend/backend.h"
#include "device.cuh"

struct mm_stream;

namespace medmamba::cuda {

class Beside {
public:
    // The functions of backend.h.
    mm_status begin(mm_stream* stream);
    mm_status end(mm_stream* stream);
    mm_status join(mm_stream* stream);

    // What was captured, and not joined, is gone with its capture.
    void forget() { pending_ = false; }

    cudaError_t open();
    // Waits for what is queued.
    void close();

private:
    cudaStream_t stream_ = nullptr;  // the second
    cudaStream_t first_ = nullptr;   // while the second has its place; null otherwise
    cudaEvent_t begun_ = nullptr, done_ = nullptr;
    bool pending_ = false;
};

}  // namespace medmamba::cuda
