// A square of `lanes` rows is transposed in registers: rows whose numbers differ in one bit exchange the lanes
// that differ in that bit, bit after bit.
#include "lanes.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

template <int distance, int... I>
inline void exchange(vfloat& a, vfloat& b, LaneNumbers<I...>) {
    const vfloat low = __builtin_shufflevector(a, b, (I & distance ? (I ^ distance) + lanes : I)...);
    b = __builtin_shufflevector(a, b, (I & distance ? I + lanes : I ^ distance)...);
    a = low;
}

template <int distance = lanes / 2>
inline void transpose(vfloat (&rows)[lanes]) {
    if constexpr (distance > 0) {
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i)
            if ((i & distance) == 0) exchange<distance>(rows[i], rows[i + distance], AllLanes());
        transpose<distance / 2>(rows);
    }
}

}  // namespace

void load_columns(const float* from, int64_t from_row, int64_t rows, int64_t count, float* to, int64_t to_row) {
    for (int64_t i = 0; i < rows; i += lanes) {
        for (int64_t t = 0; t < count; t += lanes) {
            const Lanes width{std::min<int64_t>(lanes, count - t)};
            vfloat square[lanes];
            for (int64_t k = 0; k < lanes; ++k)
                square[k] = i + k < rows ? width.load(from + (i + k) * from_row + t) : vfloat{};
            transpose(square);
            for (int64_t k = 0; k < width.count; ++k) store(to + (t + k) * to_row + i, square[k]);
        }
    }
}

void store_columns(const float* from, int64_t from_row, int64_t rows, int64_t count, float* to, int64_t to_row) {
    for (int64_t i = 0; i < rows; i += lanes) {
        for (int64_t t = 0; t < count; t += lanes) {
            const Lanes width{std::min<int64_t>(lanes, count - t)};
            vfloat square[lanes];
            for (int64_t k = 0; k < lanes; ++k)
                square[k] = k < width.count ? load(from + (t + k) * from_row + i) : vfloat{};
            transpose(square);
            for (int64_t k = 0; k < lanes && i + k < rows; ++k) width.store(to + (i + k) * to_row + t, square[k]);
        }
    }
}

}  // namespace medmamba::cpu::MM_SIMD
