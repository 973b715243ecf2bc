// A thread makes eight elements, 16 bytes, whose rows begin at multiples of that; zeros behind the last column. Bound
// by memory.
#include "bfloat16_rows.cuh"

#include "each_vector.cuh"

namespace medmamba::cuda {

namespace {

constexpr int together = 8;

int64_t padded(int64_t columns) { return ceil_div(columns, together) * together; }

bool lie_as_wanted(const StoredRows& x) { return x.dtype == MM_BFLOAT16 && !x.scale && !x.relu; }

template <class T>
__global__ void __launch_bounds__(threads_per_block)
round_rows(StoredRows x, int64_t chunks, bool vectorized, BFloat16* to) {
    const int64_t count = x.matrices * x.rows * chunks, threads = threads_of_grid();
    for (int64_t i = thread_of_grid(); i < count; i += threads) {
        const int64_t column = i % chunks * together, row = i / chunks;
        const T* from = stored<T>(x.data) + row / x.rows * x.batch + row % x.rows * x.row + column;
        Floats<together> v = broadcast(0.0f, Width<together>{});
        if (vectorized && column + together <= x.columns) {
            v = load(from, Width<together>{});
        } else {
            for (int j = 0; j < together; ++j)
                if (column + j < x.columns) v.lane[j] = to_float(from[j]);
        }
        for (int j = 0; j < together; ++j) {
            if (column + j >= x.columns) break;
            if (x.scale) v.lane[j] = fmaf(v.lane[j], x.scale[column + j], x.shift[column + j]);
            if (x.relu && v.lane[j] < 0.0f) v.lane[j] = 0.0f;  // NaN stays
        }
        store(to + i * together, v);
    }
}

}  // namespace

BFloat16Rows::BFloat16Rows(mm_stream* stream, const char* what, const StoredRows& x)
    : memory_(stream, lie_as_wanted(x) ? 0 : x.matrices * x.rows * padded(x.columns) / 2), data_(x.data), row_(x.row),
      batch_(x.batch), status_(memory_.status()) {
    if (lie_as_wanted(x) || status_ != MM_OK) return;
    data_ = memory_.data();
    row_ = padded(x.columns);
    batch_ = x.matrices > 1 ? x.rows * row_ : 0;
    const int64_t chunks = row_ / together, count = x.matrices * x.rows * chunks;
    status_ = with_storage(stream, what, x.dtype, [&](auto element) {
        using T = decltype(element);
        const bool vectorized = vector_width(stored<T>(x.data), x.row, x.batch) == together;
        return launch(stream, what, round_rows<T>, blocks_for_pass(stream, count), threads_per_block, 0, x, chunks,
                      vectorized, stored<BFloat16>(memory_.data()));
    });
}

}  // namespace medmamba::cuda
