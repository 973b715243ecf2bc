// A GPU for a kernel's test: the arrays that an operation is called with are copied to the GPU before it, and back after.
//
// Which fields of a parameter struct are arrays the addon's table tells. What an array is part of is known from operator
// new, so all of it goes there and back: what a kernel writes beside what it should is seen by the test, and what it
// writes in front of the array or behind it, by the guards on both sides.
#pragma once

#include <cstddef>
#include <vector>

#include "../../../native/addon/operations.h"
#include "../../../native/cuda/stream.cuh"

// False, with a sentence, if there is no GPU.
bool simd_level_runs_here();

inline void prepare_run(int) {}

// What operations have for themselves comes from memory that was full of NaN.
void fill_scratch_with_nan(mm_stream& stream);

// Arrays end where their memory does, for compute-sanitizer to see what lies beside them: no guards of our own.
void allocate_without_guards();

// The arrays of one call while it lasts.
class DeviceCopies {
public:
    explicit DeviceCopies(mm_stream& stream) : stream_(stream) {}
    ~DeviceCopies();  // copies back, in the order of the stream, and waits
    DeviceCopies(const DeviceCopies&) = delete;
    DeviceCopies& operator=(const DeviceCopies&) = delete;

    // Replaces what points to arrays of the host in the parameters of an operation, or in a part of them.
    void take(const medmamba::addon::Structure& structure, void* parameters);

private:
    struct Copy {
        unsigned char *host, *device;
        size_t bytes;
    };
    void* device_pointer(void* pointer);

    mm_stream& stream_;
    std::vector<Copy> copies_;
    std::vector<std::vector<void*>> lists_;
};

template <class Params>
class Passed {
public:
    Passed(mm_stream& stream, const char* operation, const Params& given) : params(given), copies_(stream) {
        copies_.take(*medmamba::addon::find_operation(operation)->parameters, &params);
    }
    Params params;

private:
    DeviceCopies copies_;
};
