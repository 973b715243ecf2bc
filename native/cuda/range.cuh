// Named stretches of the host's time for Nsight Systems (NVTX): what was queued within one is shown under its name.
//
// Without a tool that listens a range costs two tests of a pointer. A toolkit without NVTX's headers builds none.
#pragma once

#include "device.cuh"

#if !defined(__CUDACC__)  // The emulator has the two functions.
#define MM_HAS_NVTX 1
#elif __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define MM_HAS_NVTX 1
#else
#define MM_HAS_NVTX 0
#endif

namespace medmamba::cuda {

inline void begin_range([[maybe_unused]] const char* name) {
#if MM_HAS_NVTX
    nvtxRangePushA(name);
#endif
}

inline void end_range() {
#if MM_HAS_NVTX
    nvtxRangePop();
#endif
}

// As long as it lives.
class Range {
public:
    explicit Range(const char* name) { begin_range(name); }
    ~Range() { end_range(); }
    Range(const Range&) = delete;
    Range& operator=(const Range&) = delete;
};

}  // namespace medmamba::cuda
