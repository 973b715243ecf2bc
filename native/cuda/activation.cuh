// The activations that several kernels share, one float at a time.
#pragma once

#include <cmath>

#include "device.cuh"

namespace medmamba::cuda {

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
__device__ __forceinline__ float silu(float x) { return x / (1.0f + expf(-x)); }

// d silu(x) / dx, with s = sigmoid(x).
__device__ __forceinline__ float silu_slope(float x) {
    const float s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

}  // namespace medmamba::cuda
