// The whole of the native tests' framework: count what passed, print what failed.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace check {

inline int64_t passed = 0, failed = 0;

inline bool that(bool holds, const char* what) {
    if (holds) {
        ++passed;
    } else {
        ++failed;
        std::printf("FAILED %s\n", what);
    }
    return holds;
}

// Every value within `allowed` of the expected one. NaN never passes.
template <class Expected>
bool within(const char* what, const float* actual, const Expected* expected, int64_t count, double allowed) {
    for (int64_t i = 0; i < count; ++i) {
        const double error = std::fabs((double)actual[i] - (double)expected[i]);
        if (error <= allowed) continue;
        ++failed;
        std::printf("FAILED %s: element %lld of %lld is %.9g, expected %.9g (off by %.2g, %.2g allowed)\n", what,
                    (long long)i, (long long)count, (double)actual[i], (double)expected[i], error, allowed);
        return false;
    }
    ++passed;
    return true;
}

// Every value within `tolerance` times the largest |expected| (or 1e-30, where all are zero).
template <class Expected>
bool close(const char* what, const float* actual, const Expected* expected, int64_t count, double tolerance) {
    double largest = 1e-30;
    for (int64_t i = 0; i < count; ++i) largest = std::fmax(largest, std::fabs((double)expected[i]));
    return within(what, actual, expected, count, tolerance * largest);
}

// The same bytes, NaN included.
inline bool same_bits(const char* what, const void* a, const void* b, int64_t bytes) {
    if (std::memcmp(a, b, (size_t)bytes) == 0) {
        ++passed;
        return true;
    }
    ++failed;
    std::printf("FAILED %s: bits differ\n", what);
    return false;
}

// What main() returns.
inline int report() {
    std::printf("%lld passed, %lld failed\n", (long long)passed, (long long)failed);
    return failed ? 1 : 0;
}

}  // namespace check
