// Sums whose terms were cut into ranges: each range has summed its own, and here they are added in their order.
#pragma once

#include <algorithm>

#include "storage.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

// What becomes of the sums of a product: c = relu?((sum + c? + bias?) * scale? + shift?), matrices of (rows, columns),
// `batch` elements apart.
struct Epilogue {
    float* c;  // of the type that `dtype` stores
    int32_t dtype;
    int64_t row, batch;  // elements between rows, and between matrices
    int64_t rows, columns;
    const float* bias = nullptr;  // (columns), optional
    bool accumulate = false, relu = false;
    const float *scale = nullptr, *shift = nullptr;  // (columns), both or neither
    int vector = vector_of_c();  // how many elements of a row may be written at once

    // What belongs to `width` columns from `column` on.
    template <int width>
    struct Columns {
        Floats<width> bias, scale, shift;
    };
    template <int width>
    __device__ __forceinline__ Columns<width> columns_at(int64_t column, Width<width> vector) const {
        const auto of = [&](const float* p, float none) {
            return p ? load(p + column, vector) : broadcast(none, vector);
        };
        return {of(bias, 0.0f), of(scale, 1.0f), of(shift, 0.0f)};
    }
    template <int width>
    __device__ __forceinline__ Floats<width> finished(Floats<width> sums, const Floats<width>& before,
                                                      const Columns<width>& columns) const {
        for (int i = 0; i < width; ++i) {
            float& sum = sums.lane[i];
            if (accumulate) sum += before.lane[i];
            sum += columns.bias.lane[i];
            if (scale) sum = fmaf(sum, columns.scale.lane[i], columns.shift.lane[i]);
            if (relu && sum < 0) sum = 0.0f;  // NaN stays
        }
        return sums;
    }
    // Calls write(c) with c as what it points to: one branch for all that a thread writes.
    template <class Write>
    __device__ __forceinline__ void as_stored(Write&& write) const {
        if (dtype == MM_BFLOAT16)
            write(stored<BFloat16>(c));
        else
            write(c);
    }

private:
    int vector_of_c() const {
        const int of_rows = vector_width(bias, scale, shift, row, batch, columns);
        return std::min(of_rows, dtype == MM_BFLOAT16 ? vector_width(stored<BFloat16>(c)) : vector_width(c));
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
