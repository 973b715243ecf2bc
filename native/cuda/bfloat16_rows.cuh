// Rows as the bfloat16 that tensor cores multiply, for the length of a product: where they lie, if that is what lies
// there, and otherwise in memory of its own, rounded by one pass that can apply a BatchNorm's affine map and ReLU on
// the way.
#pragma once

#include "storage.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

struct StoredRows {
    const float* data;  // of the type that `dtype` stores
    int32_t dtype;
    int64_t row, batch;               // elements between rows, and between matrices
    int64_t matrices, rows, columns;  // matrices: as many as lie `batch` apart

    // relu?(x * scale + shift) is meant; scale and shift (columns), both or neither.
    const float *scale = nullptr, *shift = nullptr;
    bool relu = false;
};

class BFloat16Rows {
public:
    BFloat16Rows(mm_stream* stream, const char* what, const StoredRows& x);

    mm_status status() const { return status_; }
    const float* data() const { return data_; }  // points to bfloat16
    int64_t row() const { return row_; }
    int64_t batch() const { return batch_; }

private:
    Workspace memory_;
    const float* data_;
    int64_t row_, batch_;
    mm_status status_;
};

}  // namespace medmamba::cuda
