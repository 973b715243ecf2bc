// A thread makes eight elements, 16 bytes. Neighbours read what lies together: the taps of a weight, then whichever of k and n
// has the smaller stride. Weights are small; what it costs is the launch.
#include "packed_columns.cuh"

#include "each_vector.cuh"

namespace medmamba::cuda {

namespace {

constexpr int together = 8;

template <class T>
__global__ void __launch_bounds__(threads_per_block) pack_columns(ColumnsOfB b, int64_t chunks, BFloat16* to) {
    const int64_t count = b.matrices * b.n * b.taps * chunks, threads = threads_of_grid();
    for (int64_t i = thread_of_grid(); i < count; i += threads) {
        const int64_t tap = i % b.taps, column = i / b.taps, matrix = column / (chunks * b.n);
        const bool k_lies_together = b.k_stride < b.n_stride;
        const int64_t chunk = k_lies_together ? column % chunks : column / b.n % chunks;
        const int64_t n = k_lies_together ? column / chunks % b.n : column % b.n;
        const T* from = stored<T>(b.data) + matrix * b.matrix_stride + n * b.n_stride + (b.mirrored ? b.taps - 1 - tap : tap);
        Floats<together> v;
        for (int j = 0; j < together; ++j) {
            const int64_t k = chunk * together + j;
            v.lane[j] = k < b.k ? to_float(from[k * b.k_stride]) : 0.0f;
        }
        store(to + (((matrix * b.n + n) * b.taps + tap) * chunks + chunk) * together, v);
    }
}

}  // namespace

PackedColumns::PackedColumns(mm_stream* stream, const char* what, const ColumnsOfB& b)
    : padded_k_(ceil_div(b.k, together) * together), memory_(stream, b.matrices * b.n * b.taps * padded_k_ / 2),
      status_(memory_.status()) {
    if (status_ != MM_OK) return;
    const int64_t chunks = padded_k_ / together, count = b.matrices * b.n * b.taps * chunks;
    status_ = with_storage(stream, what, b.dtype, [&](auto element) {
        return launch(stream, what, pack_columns<decltype(element)>, blocks_for_pass(stream, count), threads_per_block, 0, b,
                      chunks, stored<BFloat16>(memory_.data()));
    });
}

}  // namespace medmamba::cuda
