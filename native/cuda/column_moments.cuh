// The sums of BatchNorm that the operation in front has left, part by part (Moments, epilogue.cuh): left by a pass of
// their own where no epilogue could, and read.
#pragma once

#include "epilogue.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

int64_t moment_count(int64_t rows, int64_t channels);

// The moments that `epilogue` asks for, of its first matrix as it lies in memory.
mm_status leave_moments(mm_stream* stream, const char* what, const Epilogue& epilogue);

// One matrix's as the table tells them.
inline Moments moments_of(const mm_gradient_moments& p, int64_t columns) {
    return {p.sums, p.x, p.x_dtype, row_stride(p.x_row, columns), p.mean, p.scale, p.shift};
}

// What the parts of a matrix say of `width` columns from `column` on. `add` is what BatchNorm's own passes over rows do
// with a row (column_sums.cuh), with a part in the row's place.
template <int width>
struct ValueParts {
    const float* sums;
    int64_t rows, columns, column;
    Floats<width> pivot;  // of all parts, the first one's

    __device__ __forceinline__ ValueParts(const float* sums, int64_t rows, int64_t columns, int64_t column, bool exists)
        : sums(sums), rows(rows), columns(columns), column(column),
          pivot(exists ? load(sums + column, Width<width>{}) : broadcast(0.0f, Width<width>{})) {}

    // sum of v - pivot | sum of (v - pivot)^2, moved there from the part's own pivot
    __device__ __forceinline__ void add(int64_t part, float (&total)[2][width]) const {
        constexpr Width<width> vector{};
        const float* from = sums + part * 3 * columns + column;
        const Floats<width> own = load(from, vector), first = load(from + columns, vector);
        const Floats<width> second = load(from + 2 * columns, vector);
        const int64_t left = rows - part * part_rows;
        const float count = left < part_rows ? (float)left : (float)part_rows;
#pragma unroll
        for (int i = 0; i < width; ++i) {
            const float moved = own.lane[i] - pivot.lane[i], of_count = count * moved;
            total[0][i] += first.lane[i] + of_count;
            total[1][i] += second.lane[i] + moved * (2.0f * first.lane[i] + of_count);
        }
    }
};

template <int width>
struct GradientParts {
    const float* sums;
    int64_t rows, columns, column;

    __device__ __forceinline__ GradientParts(const float* sums, int64_t rows, int64_t columns, int64_t column, bool)
        : sums(sums), rows(rows), columns(columns), column(column) {}

    __device__ __forceinline__ void add(int64_t part, float (&total)[2][width]) const {
        const float* from = sums + part * 2 * columns + column;
        for (int s = 0; s < 2; ++s) {
            const Floats<width> sum = load(from + s * columns, Width<width>{});
            for (int i = 0; i < width; ++i) total[s][i] += sum.lane[i];
        }
    }
};

}  // namespace medmamba::cuda
