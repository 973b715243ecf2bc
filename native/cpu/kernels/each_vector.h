// A run of floats as whole vectors and one part of a vector, with one loop body for both.
#pragma once

#include "kernels.h"

namespace medmamba::cpu::MM_SIMD {

struct Whole {};
struct Part {
    int64_t count;
};

inline vfloat load(const float* p, Whole) { return load(p); }
inline vfloat load(const float* p, Part part) { return load_partial(p, part.count); }
inline void store(float* p, vfloat v, Whole) { store(p, v); }
inline void store(float* p, vfloat v, Part part) { store_partial(p, v, part.count); }

// Only the lanes that are there: what a partial load filled with zeros need not stay zero in a difference.
inline vfloat only(vfloat v, Whole) { return v; }
inline vfloat only(vfloat v, Part part) {
    vint lane;
    for (int i = 0; i < lanes; ++i) lane[i] = i;
    return lane < (int32_t)part.count ? v : vfloat{};
}

// Calls body(i, Whole) for each full vector that starts at element i of `count`, then body(i, Part) for the rest.
template <class Body>
inline void each_vector(int64_t count, Body&& body) {
    int64_t i = 0;
    for (; i + lanes <= count; i += lanes) body(i, Whole{});
    if (i < count) body(i, Part{count - i});
}

// Elements (or rows times channels) that one task is given where the work is a pass over memory: some
// microseconds, against the fraction of one that handing out a task takes.
constexpr int64_t elements_per_task = 16384;

inline int64_t rows_per_task(int64_t channels) {
    return std::max<int64_t>(1, elements_per_task / std::max<int64_t>(1, channels));
}

}  // namespace medmamba::cpu::MM_SIMD
