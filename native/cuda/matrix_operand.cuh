// A matrix in memory as an operand of a product: copied asynchronously into panels, chunk by chunk, zeros outside.
//
// What an operand is to multiply_tiles: `k_along`, and a Copy that begins to fill one panel after the other, from
// row0 and k0 on, and finishes each after the panel before it was multiplied.
#pragma once

#include "stream.cuh"
#include "tile.cuh"

namespace medmamba::cuda {

template <bool k_along_>
struct Matrix {
    static constexpr bool k_along = k_along_;

    const float* data;
    int64_t row, batch;  // floats between stored rows, and between matrices
    int64_t rows, k;     // rows: m of A, n of B
    bool aligned;

    Matrix(const float* data, int64_t row, int64_t batch, int64_t rows, int64_t k)
        : data(data), row(row), batch(batch), rows(rows), k(k), aligned(is_aligned(data, row, batch)) {}

    template <class Panel, int threads>
    class Copy {
        using Chunks = ThreadChunks<Panel, threads>;

    public:
        __device__ __forceinline__ Copy(const Matrix& matrix, int64_t index, int64_t row0, int64_t k0)
            : row_(matrix.row), aligned_(matrix.aligned) {
            const int64_t line = (k_along ? row0 : k0) + Chunks::line(0);
            const int64_t offset = (k_along ? k0 : row0) + Chunks::offset();
            from_ = matrix.data + index * matrix.batch + line * row_ + offset;
            lines_left_ = (k_along ? matrix.rows : matrix.k) - line;
            length_left_ = (k_along ? matrix.k : matrix.rows) - offset;
        }

        __device__ __forceinline__ void begin(Panel& panel) {
            const int count = chunk_count(length_left_);
#pragma unroll
            for (int j = 0; j < Chunks::count; ++j)
                copy_chunk(panel.at(Chunks::line(j), Chunks::offset()), from_ + j * Chunks::pass * row_,
                           j * Chunks::pass < lines_left_ ? count : 0, aligned_);
            if constexpr (k_along) {
                from_ += k_step;
                length_left_ -= k_step;
            } else {
                from_ += k_step * row_;
                lines_left_ -= k_step;
            }
        }

        __device__ __forceinline__ void finish(Panel&) {}

    private:
        const float* from_;
        int64_t row_, lines_left_, length_left_;
        bool aligned_;
    };
};

}  // namespace medmamba::cuda
