// C = op(A) op(B): one tiled product (tile.cuh, product.cuh) for the four ways in which the operands may lie, since
// a transpose is only the question whether k runs along the stored rows or across them.
//
// Where products are of bfloat16, A, which is activations, is rounded in memory if it does not lie there as bfloat16
// already (inside the block it does), and B, which is mostly weights, on its way into shared memory. On Hopper, products
// whose A has k along its rows are those of product_sm90.cu.
#include "bfloat16_rows.cuh"
#include "matrix_operand.cuh"
#include "product.cuh"
#include "product_sm90.cuh"

namespace medmamba::cuda {

namespace {

// Element: what is multiplied; StoredB: what B is in memory. A is in memory what is multiplied.
template <class Element, class StoredB>
mm_status multiply_as(mm_stream* stream, const mm_matmul_params* p, const float* data_a, int64_t a_row, int64_t a_batch,
                      const Epilogue& epilogue) {
    const int64_t b_row = row_stride(p->b_row, p->transpose_b ? p->k : p->n);
    const auto with = [&](auto a, auto b) {
        constexpr bool with_moments = decltype(a)::k_along && !decltype(b)::k_along;
        return multiply<with_moments>(stream, "matmul", p->batch, p->k, a, b, epilogue);
    };
    const auto with_b = [&](auto a) {
        return p->transpose_b ? with(a, Matrix<Element, StoredB, true>(p->b, b_row, p->b_batch, p->n, p->k))
                              : with(a, Matrix<Element, StoredB, false>(p->b, b_row, p->b_batch, p->n, p->k));
    };
    return p->transpose_a ? with_b(Matrix<Element, Element, false>(data_a, a_row, a_batch, p->m, p->k))
                          : with_b(Matrix<Element, Element, true>(data_a, a_row, a_batch, p->m, p->k));
}

ColumnsOfB columns_of_b(const mm_matmul_params* p) {
    const int64_t row = row_stride(p->b_row, p->transpose_b ? p->k : p->n), matrices = p->b_batch ? p->batch : 1;
    const int64_t k_stride = p->transpose_b ? 1 : row, n_stride = p->transpose_b ? row : 1;
    return {p->b, p->b_dtype, p->k, 1, p->n, matrices, k_stride, n_stride, p->b_batch};
}

}  // namespace

mm_status matmul(mm_stream* stream, const mm_matmul_params* p) {
    if (p->batch <= 0 || p->m <= 0 || p->n <= 0) return MM_OK;
    const int64_t a_rows = p->transpose_a ? p->k : p->m, a_columns = p->transpose_a ? p->m : p->k;
    const int64_t a_row = row_stride(p->a_row, a_columns);
    return with_storages(stream, "matmul", p->b_dtype, p->c_dtype, [&](auto b, auto) {
        Epilogue epilogue{p->c, p->c_dtype, row_stride(p->c_row, p->n), p->c_batch, p->m, p->n, p->bias,
                          p->accumulate != 0, p->relu != 0};
        epilogue.moments = moments_of(p->moments, p->n);
        const bool is_bf16 = stream->precision == Precision::bf16 || p->a_dtype == MM_BFLOAT16 ||
                             p->b_dtype == MM_BFLOAT16;
        if constexpr (std::is_same_v<decltype(b), float>) {
            if (!is_bf16) return multiply_as<float, float>(stream, p, p->a, a_row, p->a_batch, epilogue);
        }
        const int64_t matrices = p->a_batch ? p->batch : 1;
        const BFloat16Rows a(stream, "matmul", {p->a, p->a_dtype, a_row, p->a_batch, matrices, a_rows, a_columns});
        if (a.status() != MM_OK) return a.status();
        const auto rows = PixelRows::of_matrices(a.data(), a.row(), a.batch(), p->m, p->k, p->batch);
        const bool may_have_moments = p->batch == 1 && !p->transpose_b;
        if (!p->transpose_a && (!p->moments.sums || may_have_moments) && fits_sm90(stream, rows))
            return multiply_sm90(stream, "matmul", rows, columns_of_b(p), epilogue);
        return multiply_as<BFloat16, decltype(b)>(stream, p, a.data(), a.row(), a.batch(), epilogue);
    });
}

}  // namespace medmamba::cuda
