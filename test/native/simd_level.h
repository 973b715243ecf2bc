// A kernel's test is compiled once for each SIMD level, with the level's flags, and calls that level's functions
// by name: it needs the kernels under test and the thread pool, nothing else of the backend.
#pragma once

#include <cstdio>

#include "../../native/cpu/kernels/kernels.h"

#define MM_NAME_OF(level) MM_NAME_OF_EXPANDED(level)
#define MM_NAME_OF_EXPANDED(level) #level

// Whether this processor runs the level; says so if it does not.
inline bool simd_level_runs_here() {
    bool runs = true;
#if defined(__AVX512F__)
    runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#elif defined(__AVX2__)
    runs = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    std::printf("%s%s\n", MM_NAME_OF(MM_SIMD), runs ? "" : ": this processor does not run it, skipped");
    return runs;
}
