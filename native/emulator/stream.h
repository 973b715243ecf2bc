// A stream of the emulator: a device, and the dice that the order of its threads and blocks is thrown with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph.h"
#include "runtime.h"

namespace medmamba::cuda::emulator {

struct Capture;

// xorshift64*
class Dice {
public:
    explicit Dice(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du) {}

    // From 0 to below `sides`.
    unsigned below(unsigned sides) {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return (unsigned)((state_ * 0x2545f4914f6cdd1du >> 32) * sides >> 32);
    }

private:
    uint64_t state_;
};

struct Stream {
    Stream(int on, uint64_t seed) : device(on), dice(seed) {}

    int device;
    Dice dice;
    int busy_waits = 0;
    Capture* capture = nullptr;  // of what is queued, while it is captured

    // Of a stream that has waited for another: what is queued then is beside the other's work, and done at once or as late as
    // may be, when somebody waits for it, so that a wait that is missing shows. How many of all that was queued are done.
    bool is_beside = false;
    std::vector<Node> put_off;
    uint64_t queued = 0, done = 0;
};

// Does what was put off, up to what was queued as the `last`; in a capture, it takes its place in the graph then.
void catch_up(Stream* stream, uint64_t last);

// Keeps the sentence for cudaGetErrorString; the error is what the thread's next cudaGetLastError() answers.
__attribute__((format(printf, 2, 3))) void set_last_error(cudaError_t error, const char* format, ...);

// The ranges of the calling thread so far, "outer(inner)", "(" where one began and ")" where it ended.
const std::string& annotated_ranges();

// How often somebody has waited for `stream` (null: for an event without cudaEventBlockingSync) with a busy processor.
int busy_waits(const Stream* stream);

// As a GPU does it: what is queued is done later, so that an error of a kernel is told by whoever waits, or by what is
// queued after somebody has waited, and by every call from then on. Off, an error is told at once and then forgotten;
// turning it off ends what was queued and forgets. A graph runs until somebody has waited for it, or for what came after.
void set_late(bool late);

// Work that is queued and has a number from here on, and whether that has run: with set_late, once somebody has waited.
uint64_t queue_work();
bool has_run(uint64_t work);
void wait_for_work(uint64_t work);


// The dynamic shared memory that a kernel may be launched with.
size_t most_shared_bytes(const void* kernel);

constexpr size_t shared_bytes_by_default = 48 << 10, shared_bytes_at_most = 227 << 10;

}  // namespace medmamba::cuda::emulator
