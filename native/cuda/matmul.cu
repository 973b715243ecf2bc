// C = op(A) op(B): one tiled product (tile.cuh, product.cuh) for the four ways in which the operands may lie, since
// a transpose is only the question whether k runs along the stored rows or across them.
#include "matrix_operand.cuh"
#include "product.cuh"

namespace medmamba::cuda {

mm_status matmul(mm_stream* stream, const mm_matmul_params* p) {
    if (p->batch <= 0 || p->m <= 0 || p->n <= 0) return MM_OK;
    const int64_t a_row = row_stride(p->a_row, p->transpose_a ? p->m : p->k);
    const int64_t b_row = row_stride(p->b_row, p->transpose_b ? p->k : p->n);
    const Output output{p->c, row_stride(p->c_row, p->n), p->c_batch, p->m, p->n, p->bias,
                        p->accumulate != 0, p->relu != 0};
    const auto with = [&](auto a, auto b) { return multiply(stream, "matmul", p->batch, p->k, a, b, output); };
    const auto with_b = [&](auto a) {
        return p->transpose_b ? with(a, Matrix<true>(p->b, b_row, p->b_batch, p->n, p->k))
                              : with(a, Matrix<false>(p->b, b_row, p->b_batch, p->n, p->k));
    };
    return p->transpose_a ? with_b(Matrix<false>(p->a, a_row, p->a_batch, p->m, p->k))
                          : with_b(Matrix<true>(p->a, a_row, p->a_batch, p->m, p->k));
}

}  // namespace medmamba::cuda
