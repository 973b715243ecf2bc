// What mm_stream_options.memory_limit comes to.
#pragma once

#include <algorithm>
#include <cstdint>

namespace medmamba {

// In bytes, of a device with so many; 0 is no limit.
inline int64_t limit_in_bytes(double limit, int64_t total_bytes) {
    return (int64_t)(limit > 1 ? limit : limit * (double)total_bytes);
}

// Of the device's free bytes, those that a limit leaves to who has so many already.
inline int64_t free_within(int64_t limit_bytes, int64_t taken_bytes, int64_t free_bytes) {
    return limit_bytes ? std::min(free_bytes, std::max<int64_t>(limit_bytes - taken_bytes, 0)) : free_bytes;
}

}  // namespace medmamba
