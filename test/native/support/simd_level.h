// A kernel's test is compiled once for each SIMD level, with the level's flags, and calls that level's functions
// by name: it needs the kernels under test and the thread pool, nothing else of the backend. With MM_TEST_CUDA it is
// compiled for the CUDA kernels instead.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>

#if defined(MM_TEST_CUDA)
#include "cuda_level.h"

#else

#include "../../../native/cpu/amx.h"
#include "../../../native/cpu/instructions.h"
#include "../../../native/cpu/kernels/kernels.h"
#include "../../../native/cpu/kernels/scan.h"

#define MM_NAME_OF(level) MM_NAME_OF_EXPANDED(level)
#define MM_NAME_OF_EXPANDED(level) #level

// Whether this processor runs the level; says so if it does not.
inline bool simd_level_runs_here() {
    bool runs = true;
#if defined(__AVX512F__)
    runs = medmamba::cpu::instructions().avx512;
#elif defined(__AVX2__)
    runs = medmamba::cpu::instructions().avx2;
#endif
    std::printf("%s%s\n", MM_NAME_OF(MM_SIMD), runs ? "" : ": this processor does not run it, skipped");
    return runs;
}

using TestStream = mm_stream;  // made with its number of threads

// Makes a stream's products round their factors to bfloat16; false where this level or processor has no such products.
inline bool multiply_in_bfloat16([[maybe_unused]] TestStream& stream) {
#if defined(__AVX512F__)
    stream.bfloat16_products = medmamba::cpu::instructions().avx512_bfloat16;
#endif
    return stream.bfloat16_products;
}

// Makes these products go through AMX; false where the processor or the system has none.
inline bool multiply_by_amx(TestStream& stream) {
    return stream.amx_products = stream.bfloat16_products && medmamba::cpu::has_amx_bfloat16();
}

// Scratch memory keeps what was in it: NaN, after this, which no result may show.
inline void fill_scratch_with_nan(TestStream& stream) {
    constexpr int64_t floats = 1 << 18;
    const auto fill = [](medmamba::cpu::Scratch& scratch) {
        const medmamba::cpu::Scratch::Scope scope(scratch);
        std::fill_n(scratch.take(floats), floats, std::numeric_limits<float>::quiet_NaN());
    };
    fill(stream.scratch);
    for (medmamba::cpu::Scratch& scratch : stream.worker_scratch) fill(scratch);
}

// What an operation allocates from the stream's scratch is given back with this.
struct OperationScope {
    explicit OperationScope(TestStream& stream) : scope(stream.scratch) {}
    medmamba::cpu::Scratch::Scope scope;
};

inline mm_status finished(TestStream&, mm_status status) { return status; }

inline int64_t moment_count(int64_t, int64_t) { return 0; }
inline int64_t checkpoint_count(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t states) {
    return medmamba::cpu::scan4_checkpoint_count(batch, height, width, channels, states);
}

#endif

// The nearest bfloat16, the even one between two. Not for NaN.
inline float to_bfloat16(float x) {
    uint32_t word;
    std::memcpy(&word, &x, sizeof word);
    word = (word + 0x7fff + ((word >> 16) & 1)) & 0xffff0000;
    std::memcpy(&x, &word, sizeof x);
    return x;
}
