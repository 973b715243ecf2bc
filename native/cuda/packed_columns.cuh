// The columns of B, for the length of a product, as TMA reads them: bfloat16 with k along the lines, (matrices, n, taps, k) with
// k padded to multiples of 8. Weights are float32 in memory; they are rounded here, and turned over where n runs along their
// lines.
#pragma once

#include "stream.cuh"

namespace medmamba::cuda {

// B of a product, or the weights of a 3x3 convolution: element (k, tap, n) of a matrix is
// data[k * k_stride + n * n_stride + (mirrored ? taps - 1 - tap : tap)].
struct ColumnsOfB {
    const float* data;  // of the type that `dtype` stores
    int32_t dtype;
    int64_t k, taps, n, matrices;
    int64_t k_stride, n_stride, matrix_stride;
    bool mirrored = false;
};

class PackedColumns {
public:
    PackedColumns(mm_stream* stream, const char* what, const ColumnsOfB& b);

    mm_status status() const { return status_; }
    const float* data() const { return memory_.data(); }  // points to bfloat16
    int64_t padded_k() const { return padded_k_; }

private:
    int64_t padded_k_;
    Workspace memory_;
    mm_status status_;
};

}  // namespace medmamba::cuda
