// What one SIMD level offers: the operations of the table, each in the level's own namespace.
#pragma once

#include <algorithm>

#include "../simd.h"
#include "../stream.h"

namespace medmamba::cpu::MM_SIMD {

#define MM_DECLARE_KERNEL(name) mm_status name(mm_stream* stream, const mm_##name##_params* params);
MM_OPERATIONS(MM_DECLARE_KERNEL)
#undef MM_DECLARE_KERNEL

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A row stride of zero means densely packed rows.
inline int64_t row_stride(int64_t stride, int64_t width) { return stride ? stride : width; }

// Calls task(first, last, worker) for consecutive ranges of at most `grain` of [0, count). The ranges depend
// on count and grain alone, so a result that is kept per range is the same for every number of threads.
template <class Task>
void parallel_ranges(mm_stream* stream, int64_t count, int64_t grain, Task&& task) {
    stream->pool.run(ceil_div(count, grain), [&](int64_t range, int worker) {
        task(range * grain, std::min(count, (range + 1) * grain), worker);
    });
}

}  // namespace medmamba::cpu::MM_SIMD
