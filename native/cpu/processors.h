// Which processors this process may use, and staying on one of them.
#pragma once

#include <vector>

namespace medmamba::cpu {

// Processors that this process may run on, ascending; a container or `taskset` leaves it fewer than the machine has, and so does
// Windows where there are more than 64 (of its group, and numbered there).
// Asked once, before any thread was told to stay anywhere. Never empty; where the system cannot say, there are as many
// as hardware threads.
const std::vector<int>& allowed_processors();

// Keeps the calling thread on one processor. Does nothing where the system has no such call.
void stay_on(int processor);

}  // namespace medmamba::cpu
