// Rows whose lanes are channels: registers that are not full, padding, and the way from and to layouts in which
// the channels are not next to each other.
#pragma once

#include "kernels.h"

namespace medmamba::cpu::MM_SIMD {

inline int64_t padded(int64_t count) { return ceil_div(count, lanes) * lanes; }

// The last block of channels may be narrower than a register; its other lanes are zero throughout.
struct Lanes {
    int64_t count;
    vfloat load(const float* p) const { return count == lanes ? MM_SIMD::load(p) : load_partial(p, count); }
    void store(float* p, vfloat v) const {
        count == lanes ? MM_SIMD::store(p, v) : store_partial(p, v, count);
    }
};

// The numbers of all lanes as a parameter pack, for shuffles.
template <int... I>
struct LaneNumbers {};
template <int count, int... I>
struct CountLanes : CountLanes<count - 1, count - 1, I...> {};
template <int... I>
struct CountLanes<0, I...> {
    using Numbers = LaneNumbers<I...>;
};
using AllLanes = typename CountLanes<lanes>::Numbers;

inline void set_zero(float* p, int64_t count) { std::memset(p, 0, (size_t)count * sizeof(float)); }

// Copies a row and fills it with zeros up to a whole number of registers.
inline void copy_padded(float* to, const float* from, int64_t count) {
    for (; count >= lanes; count -= lanes, from += lanes, to += lanes) store(to, load(from));
    if (count > 0) store(to, load_partial(from, count));
}

// Rows of a channels-first matrix become columns: to[t * to_row + i] = from[i * from_row + t]. Of `to`, whole
// registers are written: columns from `rows` up to the next multiple of `lanes` are zero.
void load_columns(const float* from, int64_t from_row, int64_t rows, int64_t count, float* to, int64_t to_row);
// The way back: to[i * to_row + t] = from[t * from_row + i].
void store_columns(const float* from, int64_t from_row, int64_t rows, int64_t count, float* to, int64_t to_row);

}  // namespace medmamba::cpu::MM_SIMD
