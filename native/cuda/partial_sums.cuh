// Sums whose terms were cut into ranges: each range has summed its own, and here they are added in their order.
#pragma once

#include "storage.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

// What becomes of the sums of a product: c = relu?(sum + c? + bias?), matrices of (rows, columns), `batch` elements
// apart.
struct Epilogue {
    float* c;  // of the type that `dtype` stores
    int32_t dtype;
    int64_t row, batch;  // elements between rows, and between matrices
    int64_t rows, columns;
    const float* bias = nullptr;  // (columns), optional
    bool accumulate = false, relu = false;
    int vector = vector_of_c();  // how many elements of a row may be written at once

    __device__ __forceinline__ float finished(float sum, float before, float bias_of_column) const {
        if (accumulate) sum += before;
        sum += bias_of_column;
        return relu && sum < 0 ? 0.0f : sum;  // NaN stays
    }
    // Calls write(c) with c as what it points to: one branch for all that a thread writes.
    template <class Write>
    __host__ __device__ __forceinline__ auto as_stored(Write&& write) const {
        return dtype == MM_BFLOAT16 ? write(stored<BFloat16>(c)) : write(c);
    }

private:
    int vector_of_c() const {
        return as_stored([&](const auto* matrices) { return vector_width(matrices, bias, row, batch, columns); });
    }
};

// Sums of a range, dense and plain.
inline Epilogue partial_sums(float* sums, int64_t rows, int64_t columns) {
    return {sums, MM_FLOAT32, columns, rows * columns, rows, columns};
}

// sums: (ranges, matrices, rows, columns), the matrices and rows of `epilogue`.
mm_status add_ranges(mm_stream* stream, const char* what, const float* sums, int64_t ranges, int64_t matrices,
                     const Epilogue& epilogue);

}  // namespace medmamba::cuda
