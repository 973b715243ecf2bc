// The whole of the native tests' framework: count what passed, print what failed.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

namespace check {

inline int64_t passed = 0, failed = 0;

inline bool that(bool holds, const std::string& what) {
    if (holds) {
        ++passed;
    } else {
        ++failed;
        std::printf("FAILED %s\n", what.c_str());
    }
    return holds;
}

// Every value within `allowed` of the expected one. NaN never passes.
template <class Expected>
bool within(const std::string& what, const float* actual, const Expected* expected, int64_t count, double allowed) {
    for (int64_t i = 0; i < count; ++i) {
        const double error = std::fabs((double)actual[i] - (double)expected[i]);
        if (error <= allowed) continue;
        ++failed;
        std::printf("FAILED %s: element %lld of %lld is %.9g, expected %.9g (off by %.2g, %.2g allowed)\n",
                    what.c_str(), (long long)i, (long long)count, (double)actual[i], (double)expected[i], error,
                    allowed);
        return false;
    }
    ++passed;
    return true;
}

// Every value within `tolerance` times the largest |expected| (or 1e-30, where all are zero).
template <class Expected>
bool close(const std::string& what, const float* actual, const Expected* expected, int64_t count, double tolerance) {
    double largest = 1e-30;
    for (int64_t i = 0; i < count; ++i) largest = std::fmax(largest, std::fabs((double)expected[i]));
    return within(what, actual, expected, count, tolerance * largest);
}

// The same bytes, NaN included.
inline bool same_bits(const std::string& what, const void* a, const void* b, int64_t bytes) {
    const bool same = bytes == 0 || std::memcmp(a, b, (size_t)bytes) == 0;
    return that(same, same ? what : what + ": bits differ");
}

// What main() returns.
inline int report() {
    std::printf("%lld passed, %lld failed\n", (long long)passed, (long long)failed);
    return failed ? 1 : 0;
}

}  // namespace check
