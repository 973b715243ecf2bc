// Sums whose terms were cut into ranges: each range has summed its own, and here they are added in their order.
#pragma once

#include "stream.cuh"

namespace medmamba::cuda {

// Where matrices go: c = relu?(sum + c? + bias?), (rows, columns) each, `batch` floats apart.
struct Output {
    float* c;
    int64_t row, batch;  // floats between rows, and between matrices
    int64_t rows, columns;
    const float* bias;  // (columns), optional
    bool accumulate, relu;

    __device__ __forceinline__ float finished(float sum, float c_before, int64_t column) const {
        if (accumulate) sum += c_before;
        if (bias) sum += bias[column];
        return relu && sum < 0 ? 0.0f : sum;  // NaN stays
    }
};

// sums: (ranges, matrices, rows, columns), the matrices and rows of `output`.
mm_status add_ranges(mm_stream* stream, const char* what, const float* sums, int64_t ranges, int64_t matrices,
                     const Output& output);

}  // namespace medmamba::cuda
