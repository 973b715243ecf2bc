// A matrix in memory as an operand of a product: copied into panels chunk by chunk, zeros outside.
//
// What an operand is to multiply_tiles: `Element`, the type its panels hold, `k_along`, and a Copy that begins to
// fill one panel after the other, from row0 and k0 on, and finishes each after the panel before it was multiplied.
//
// What lies in memory as panels hold it is copied asynchronously. float32 for panels of bfloat16 goes through the
// registers of the thread: loaded before the panel in front is multiplied, rounded and stored after that.
#pragma once

#include <type_traits>

#include "stream.cuh"
#include "tile.cuh"

namespace medmamba::cuda {

template <class Element_, class Stored, bool k_along_>
struct Matrix {
    using Element = Element_;
    static constexpr bool k_along = k_along_, is_rounded = !std::is_same_v<Element, Stored>;

    const Stored* data;
    int64_t row, batch;  // elements between stored rows, and between matrices
    int64_t rows, k;     // rows: m of A, n of B
    int alignment;

    Matrix(const float* data, int64_t row, int64_t batch, int64_t rows, int64_t k)
        : data(stored<Stored>(data)), row(row), batch(batch), rows(rows), k(k),
          alignment(alignment_of(this->data, row, batch)) {}

    template <class Panel, int threads>
    class Copy {
        using Chunks = ThreadChunks<Panel, threads>;

    public:
        __device__ __forceinline__ Copy(const Matrix& matrix, int64_t index, int64_t row0, int64_t k0)
            : row_(matrix.row), alignment_(matrix.alignment) {
            const int64_t line = (k_along ? row0 : k0) + Chunks::line(0);
            const int64_t offset = (k_along ? k0 : row0) + Chunks::offset();
            from_ = matrix.data + index * matrix.batch + line * row_ + offset;
            lines_left_ = (k_along ? matrix.rows : matrix.k) - line;
            length_left_ = (k_along ? matrix.k : matrix.rows) - offset;
        }

        __device__ __forceinline__ void begin(Panel& panel) {
            const int count = chunk_count<Element>(length_left_);
#pragma unroll
            for (int j = 0; j < Chunks::count; ++j) {
                const Stored* from = from_ + j * Chunks::pass * row_;
                const int there = j * Chunks::pass < lines_left_ ? count : 0;
                if constexpr (is_rounded)
                    held_.chunks[j] = load_chunk<chunk<Element>>(from, there, alignment_ == 16);
                else
                    copy_chunk(panel.at(Chunks::line(j), Chunks::offset()), from, there, alignment_);
            }
            if constexpr (k_along) {
                from_ += k_step<Element>;
                length_left_ -= k_step<Element>;
            } else {
                from_ += k_step<Element> * row_;
                lines_left_ -= k_step<Element>;
            }
        }

        __device__ __forceinline__ void finish(Panel& panel) {
            if constexpr (is_rounded) {
#pragma unroll
                for (int j = 0; j < Chunks::count; ++j)
                    store(panel.at(Chunks::line(j), Chunks::offset()), held_.chunks[j]);
            }
        }

    private:
        struct Held {  // between begin and finish
            Floats<chunk<Element>> chunks[Chunks::count];
        };
        struct Nothing {};

        const Stored* from_;
        int64_t row_, lines_left_, length_left_;
        int alignment_;
        std::conditional_t<is_rounded, Held, Nothing> held_;
    };
};

}  // namespace medmamba::cuda
