// Sums whose terms were cut into ranges: each range has summed its own, and here they are added in their order.
#pragma once

#include "storage.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

// Where matrices go: c = relu?(sum + c? + bias?), (rows, columns) each, `batch` elements apart.
struct Output {
    float* c;  // of the type that `dtype` stores
    int32_t dtype;
    int64_t row, batch;  // elements between rows, and between matrices
    int64_t rows, columns;
    const float* bias;  // (columns), optional
    bool accumulate, relu;

    __device__ __forceinline__ float finished(float sum, float c_before, int64_t column) const {
        if (accumulate) sum += c_before;
        if (bias) sum += bias[column];
        return relu && sum < 0 ? 0.0f : sum;  // NaN stays
    }
    // Calls write(c) with c as what it points to: one branch for all that a thread writes.
    template <class Write>
    __device__ __forceinline__ void as_stored(Write&& write) const {
        if (dtype == MM_BFLOAT16)
            write(stored<BFloat16>(c));
        else
            write(c);
    }
};

// Sums of a range, dense and plain.
inline Output partial_sums(float* sums, int64_t rows, int64_t columns) {
    return {sums, MM_FLOAT32, columns, rows * columns, rows, columns, nullptr, false, false};
}

// sums: (ranges, matrices, rows, columns), the matrices and rows of `output`.
mm_status add_ranges(mm_stream* stream, const char* what, const float* sums, int64_t ranges, int64_t matrices,
                     const Output& output);

}  // namespace medmamba::cuda
