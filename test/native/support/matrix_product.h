// A matrix product as its tests describe it: the parameter struct, and the product in double.
#pragma once

#include "kernel_case.h"

struct MatrixProduct {
    int64_t batch, m, n, k;
    bool transpose_a = false, transpose_b = false;
    int64_t gap = 0;  // elements between the rows of all three matrices
    bool share_b = false;
    bool accumulate = false, relu = false;
    int32_t a_dtype = MM_FLOAT32, b_dtype = MM_FLOAT32, c_dtype = MM_FLOAT32;

    int64_t a_rows() const { return transpose_a ? k : m; }
    int64_t b_rows() const { return transpose_b ? n : k; }
    int64_t a_row() const { return (transpose_a ? m : k) + gap; }
    int64_t b_row() const { return (transpose_b ? k : n) + gap; }
    int64_t c_row() const { return n + gap; }
    // Of all matrices together.
    int64_t all_a_rows() const { return batch * a_rows(); }
    int64_t all_b_rows() const { return (share_b ? 1 : batch) * b_rows(); }
    int64_t all_c_rows() const { return batch * m; }

    std::string name() const {
        return "matmul " + std::to_string(batch) + "x(" + std::to_string(m) + ", " + std::to_string(n) + ", " +
               std::to_string(k) + ")" + (transpose_a ? " A^T" : "") + (transpose_b ? " B^T" : "") +
               (accumulate ? " accumulate" : "") + (relu ? " relu" : "");
    }

    mm_matmul_params parameters(const float* a, const float* b, const float* bias, float* c) const {
        const int64_t a_batch = a_rows() * a_row(), b_batch = share_b ? 0 : b_rows() * b_row(), c_batch = m * c_row();
        return {batch,   m,       n,       k, transpose_a, transpose_b, accumulate, relu,    a_row(), b_row(), c_row(),
                a_batch, b_batch, c_batch, a, b,           bias,        c,          a_dtype, b_dtype, c_dtype,
                {}};
    }

    // (batch, m, n), dense: op(A) op(B) of what `factor` makes of the elements.
    template <class Factor>
    Doubles naive(const Floats& a, const Floats& b, Factor factor) const {
        Doubles product;
        for (int64_t i = 0; i < batch; ++i) {
            const float* a_i = a.data() + i * a_rows() * a_row();
            const float* b_i = b.data() + (share_b ? 0 : i * b_rows() * b_row());
            for (int64_t row = 0; row < m; ++row)
                for (int64_t column = 0; column < n; ++column) {
                    double sum = 0;
                    for (int64_t l = 0; l < k; ++l)
                        sum += (double)factor(a_i[transpose_a ? l * a_row() + row : row * a_row() + l]) *
                               (double)factor(b_i[transpose_b ? column * b_row() + l : l * b_row() + column]);
                    product.push_back(sum);
                }
        }
        return product;
    }
};
