// Sums whose terms were cut into ranges: each range has summed its own, and here they are added in their order.
#pragma once

#include "epilogue.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

// Sums of a range, dense and plain.
inline Epilogue partial_sums(float* sums, int64_t rows, int64_t columns) {
    return {sums, MM_FLOAT32, columns, rows * columns, rows, columns};
}

// sums: (ranges, matrices, rows, columns), the matrices and rows of `epilogue`.
mm_status add_ranges(mm_stream* stream, const char* what, const float* sums, int64_t ranges, int64_t matrices,
                     const Epilogue& epilogue);

}  // namespace medmamba::cuda
