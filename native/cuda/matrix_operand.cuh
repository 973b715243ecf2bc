// A matrix in memory as an operand of a product (chunk_stream.cuh). One of float32 for panels of bfloat16 is rounded on
// the way.
#pragma once

#include <type_traits>

#include "stream.cuh"
#include "tile.cuh"

namespace medmamba::cuda {

template <class Element_, class Stored, bool k_along_>
struct Matrix {
    using Element = Element_;
    static constexpr bool k_along = k_along_, is_direct = std::is_same_v<Element, Stored>;

    const Stored* data;
    int64_t row, batch;  // elements between stored rows, and between matrices
    int64_t rows, k;     // rows: m of A, n of B
    int vector;

    Matrix(const float* data, int64_t row, int64_t batch, int64_t rows, int64_t k)
        : data(stored<Stored>(data)), row(row), batch(batch), rows(rows), k(k),
          vector(vector_width(row, batch, this->data)) {}

    template <class Chunks>
    class Address {
    public:
        __device__ __forceinline__ Address(const Matrix& matrix, int64_t index, int64_t row0, int64_t k0)
            : row_(matrix.row), vector_(matrix.vector) {
            const int64_t line = (k_along ? row0 : k0) + Chunks::line(0);
            const int64_t offset = (k_along ? k0 : row0) + Chunks::offset();
            from_ = matrix.data + index * matrix.batch + line * row_ + offset;
            lines_left_ = (k_along ? matrix.rows : matrix.k) - line;
            length_left_ = (k_along ? matrix.k : matrix.rows) - offset;
        }

        __device__ __forceinline__ const Stored* from(int j) const { return from_ + j * Chunks::pass * row_; }
        __device__ __forceinline__ int count(int j) const {
            return j * Chunks::pass < lines_left_ ? chunk_count<Element>(length_left_) : 0;
        }
        __device__ __forceinline__ int vector() const { return vector_; }
        __device__ __forceinline__ void advance() {
            from_ += k_step<Element> * (k_along ? 1 : row_);
            (k_along ? length_left_ : lines_left_) -= k_step<Element>;
        }
        __device__ __forceinline__ auto function() const {
            return [](const auto& chunk) { return chunk; };
        }
        __device__ __forceinline__ static bool is_inside(int) { return true; }

    private:
        const Stored* from_;
        int64_t row_, lines_left_, length_left_;
        int vector_;
    };
};

}  // namespace medmamba::cuda
