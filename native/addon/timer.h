// Time between two moments of a stream's work, taken where the work runs: a GPU is behind the calls that queue it.
#pragma once

#include "../backend/backend.h"

namespace medmamba::addon {

class Timer {
public:
    Timer(const mm_backend* backend, mm_stream* stream) : backend_(backend), stream_(stream) {}
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    // On the executor, in the order of the work. A timer may be used again.
    mm_status start();
    mm_status stop();

    // After start and stop: waits for the work between them.
    mm_status elapsed(double* seconds) const;

private:
    mm_status record(mm_event** event);

    const mm_backend* backend_;
    mm_stream* stream_;
    mm_event* begin_ = nullptr;
    mm_event* end_ = nullptr;
};

}  // namespace medmamba::addon
