// An access outside of memory, in a kernel: says which kernel, block and thread, and ends the process, as there is no
// way back from it.
#pragma once

#include <csignal>

namespace medmamba::cuda::emulator {

// While one of these lives, faults of the thread that made it are the running kernel's.
class FaultMessages {
public:
    FaultMessages();
    ~FaultMessages();

private:
    struct sigaction before_[3];
};

// The operation whose kernel runs, or null.
const char* running_operation();

}  // namespace medmamba::cuda::emulator
