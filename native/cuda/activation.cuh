// The activations that several kernels share, one float at a time.
//
// `Stored` is what the result is stored as. float keeps the accuracy of expf and of the division, some 20 instructions.
// Of bfloat16's 8 bits the special function unit's 2^x and 1 / x, a few ulp of float, spoil none: 4 instructions.
#pragma once

#include <cmath>

#include "device.cuh"

namespace medmamba::cuda {

template <class Stored = float>
__device__ __forceinline__ float sigmoid(float x) {
    if constexpr (sizeof(Stored) == 2)
        return reciprocal_approx(1.0f + exp2_approx(x * -1.44269504f));
    else
        return 1.0f / (1.0f + expf(-x));
}

template <class Stored = float>
__device__ __forceinline__ float silu(float x) {
    if constexpr (sizeof(Stored) == 2)
        return x * sigmoid<Stored>(x);
    else
        return x / (1.0f + expf(-x));
}

// d silu(x) / dx, with s = sigmoid(x).
template <class Stored = float>
__device__ __forceinline__ float silu_slope(float x) {
    const float s = sigmoid<Stored>(x);
    return s * (1.0f + x * (1.0f - s));
}

}  // namespace medmamba::cuda
