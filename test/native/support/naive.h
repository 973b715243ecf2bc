// Functions of one number in double, and their slopes: what the tests compare with.
#pragma once

#include <cmath>

inline double naive_sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double naive_softplus(double x) { return std::log1p(std::exp(x)); }
inline double naive_silu(double x) { return x * naive_sigmoid(x); }
inline double naive_silu_slope(double x) {
    const double s = naive_sigmoid(x);
    return s * (1.0 + x * (1.0 - s));
}
