// Sums whose terms were computed by different blocks of a scan, each into a place of its own, and are added here in
// the order of the places.
#pragma once

#include "storage.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

// y[i] = sum over copies of x[copy, i]: a few large copies.
mm_status add_copies(mm_stream* stream, const char* what, int64_t copies, int64_t count, const float* x, float* y);
mm_status add_copies(mm_stream* stream, const char* what, int64_t copies, int64_t count, const BFloat16* x,
                     BFloat16* y);

constexpr int part_lanes = 8, part_columns = 32;

struct PartSums {
    float sum[part_lanes][part_columns];
};

// write(i, sum over parts of x[part, i]): many small parts. 32 neighbouring elements are a warp's lanes; each of a
// block's 8 warps adds every eighth part, then the first adds the warps.
template <class Write>
__global__ void __launch_bounds__(part_lanes* part_columns)
    add_parts_kernel(int64_t parts, int64_t count, const float* x, Write write) {
    PartSums& shared = shared_memory<PartSums>();
    const int column = threadIdx.x % part_columns, lane = threadIdx.x / part_columns;
    const int64_t i = (int64_t)blockIdx.x * part_columns + column;
    float sum = 0.0f;
    if (i < count) {
#pragma unroll 4
        for (int64_t part = lane; part < parts; part += part_lanes) sum += x[part * count + i];
    }
    shared.sum[lane][column] = sum;
    __syncthreads();
    if (lane > 0 || i >= count) return;
    for (int other = 1; other < part_lanes; ++other) sum += shared.sum[other][column];
    write(i, sum);
}

template <class Write>
mm_status add_parts(mm_stream* stream, const char* what, int64_t parts, int64_t count, const float* x, Write write) {
    return launch(stream, what, add_parts_kernel<Write>, dim3((unsigned)ceil_div(count, part_columns)),
                  dim3(part_lanes * part_columns), sizeof(PartSums), parts, count, x, write);
}

}  // namespace medmamba::cuda
