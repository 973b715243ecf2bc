// The four-direction scan as its tests describe it: inputs, said once, of which each function makes a parameter struct.
#pragma once

#include "kernel_case.h"

struct Scan4 {
    int64_t batch, height, width, channels, states, rank;
    const float *u, *projected, *dt_weight, *dt_bias, *A_log, *skip, *dy;
    int32_t dtype = MM_FLOAT32;

    mm_scan4_forward_params forward(float* y, float* checkpoints) const {
        return {batch,   height, width, channels, states,      rank, u, projected, dt_weight,
                dt_bias, A_log,  skip,  y,        checkpoints, dtype, 0};
    }
    mm_scan4_backward_params backward(const float* checkpoints, float* du, float* dprojected, float* ddt_weight,
                                      float* ddt_bias, float* dA_log, float* dskip) const {
        return {batch, height, width,       channels, states, rank,       u,          projected, dt_weight, dt_bias,
                A_log, skip,   checkpoints, dy,       du,     dprojected, ddt_weight, ddt_bias,  dA_log,    dskip,
                dtype};
    }
};
