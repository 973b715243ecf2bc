// softmax of one row: p[c] = exp(x[c] - m) / s,  m = max x,  s = sum exp(x[c] - m).
//
// Taking the maximum away first keeps every exponential in 0..1, whatever the logits. A NaN in the row, a row
// of -infinity alone, or a +infinity makes s NaN, and so the whole row, as in PyTorch.
#pragma once

#include "each_vector.h"

namespace medmamba::cpu::MM_SIMD {

struct RowSum {
    float maximum, sum;
    double log_sum_exp() const { return (double)maximum + std::log((double)sum); }
};

// Lanes that are not there must not win the maximum, which may be far below zero.
template <class Extent>
vfloat or_lowest(vfloat v, Extent part) {
    return only(broadcast(1.0f), part) != 0.0f ? v : broadcast(-INFINITY);
}

// `exponentials` (may be x, or NULL) receives exp(x[c] - m).
inline RowSum exponential_sum(const float* x, int64_t channels, float* exponentials) {
    vfloat largest = broadcast(-INFINITY);
    each_vector(channels, [&](int64_t c, auto part) {
        largest = max(or_lowest(load(x + c, part), part), largest);
    });
    float maximum = -INFINITY;
    for (int i = 0; i < lanes; ++i) maximum = largest[i] > maximum ? largest[i] : maximum;

    vfloat total{};
    each_vector(channels, [&](int64_t c, auto part) {
        const vfloat e = exp(load(x + c, part) - maximum);
        if (exponentials) store(exponentials + c, e, part);
        total += only(e, part);
    });
    return {maximum, sum(total)};
}

inline RowSum softmax_row(const float* x, int64_t channels, float* probabilities) {
    const RowSum row = exponential_sum(x, channels, probabilities);
    const float inverse = 1.0f / row.sum;
    each_vector(channels, [&](int64_t c, auto part) {
        store(probabilities + c, load(probabilities + c, part) * inverse, part);
    });
    return row;
}

}  // namespace medmamba::cpu::MM_SIMD
