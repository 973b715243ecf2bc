// The last step of a product: what becomes of its sums, and how they reach memory. Any main loop may end in it.
//
// 128 threads take 64 rows of the result, a *part*, out of shared memory, where those who computed them left them, so
// that each thread writes 16 bytes and threads side by side write a row. On the way they can add up what a BatchNorm
// wants to know of its columns (Moments): a thread its own rows, then the threads in order. A part has its own sums
// in memory, and parts are counted by rows alone, whatever tile they belong to.
#pragma once

#include <algorithm>

#include "storage.cuh"

namespace medmamba::cuda {

constexpr int part_rows = 64, part_threads = 128;

// Sums over a part's rows of what is written, for each column:
//
//     of values v             (parts, 3, columns)   p | sum of v - p | sum of (v - p)^2, with p the first row's value, so
//                                                   that nothing cancels, however far the mean is from zero
//     of a gradient v, of x   (parts, 2, columns)   sum of g (x - mean) | sum of g, with g what ReLU passed of v
//
// Values are taken as they are stored, rounded. Products of one matrix leave them; those of values do not accumulate.
struct Moments {
    float* sums = nullptr;     // null: none are wanted
    const float* x = nullptr;  // null: of values
    int32_t x_dtype = MM_FLOAT32;
    int64_t x_row = 0;
    const float *mean = nullptr, *scale = nullptr, *shift = nullptr;  // the last two: both, or none without a ReLU

    __host__ __device__ __forceinline__ int kinds() const { return x ? 2 : 3; }
    bool is_aligned(int width) const {
        const int of_x = x_dtype == MM_BFLOAT16 ? vector_width(x_row, stored<BFloat16>(x)) : vector_width(x_row, x);
        return std::min(of_x, vector_width(sums, mean, scale, shift)) >= width;
    }
};

// c = relu?((sum + c? + bias?) * scale? + shift?), matrices of (rows, columns), `batch` elements apart.
struct Epilogue {
    float* c;  // of the type that `dtype` stores
    int32_t dtype;
    int64_t row, batch;  // elements between rows, and between matrices
    int64_t rows, columns;
    const float* bias = nullptr;  // (columns), optional
    bool accumulate = false, relu = false;
    const float *scale = nullptr, *shift = nullptr;  // (columns), both or neither
    Moments moments = {};
    int vector = vector_of_c();  // how many elements of a row may be written at once

    // What belongs to `width` columns from `column` on.
    template <int width>
    struct Columns {
        Floats<width> bias, scale, shift;
    };
    template <int width>
    __device__ __forceinline__ Columns<width> columns_at(int64_t column, Width<width> vector) const {
        const auto of = [&](const float* p, float none) {
            return p ? load(p + column, vector) : broadcast(none, vector);
        };
        return {of(bias, 0.0f), of(scale, 1.0f), of(shift, 0.0f)};
    }
    template <int width>
    __device__ __forceinline__ Floats<width> finished(Floats<width> sums, const Floats<width>& before,
                                                      const Columns<width>& columns) const {
        for (int i = 0; i < width; ++i) {
            float& sum = sums.lane[i];
            if (accumulate) sum += before.lane[i];
            sum += columns.bias.lane[i];
            if (scale) sum = fmaf(sum, columns.scale.lane[i], columns.shift.lane[i]);
            if (relu && sum < 0) sum = 0.0f;  // NaN stays
        }
        return sums;
    }
    // Calls write(c) with c as what it points to: one branch for all that a thread writes.
    template <class Write>
    __device__ __forceinline__ void as_stored(Write&& write) const {
        if (dtype == MM_BFLOAT16)
            write(stored<BFloat16>(c));
        else
            write(c);
    }
    // Whether `leave_part` leaves the moments; otherwise `leave_moments` does, of what is in memory (column_moments.cuh).
    bool adds_moments() const {
        const int widest = dtype == MM_BFLOAT16 ? 8 : 4;
        return moments.sums && vector >= widest && moments.is_aligned(widest);
    }

private:
    int vector_of_c() const {
        const int of_rows = vector_width(bias, scale, shift, row, batch, columns);
        return std::min(of_rows, dtype == MM_BFLOAT16 ? vector_width(stored<BFloat16>(c)) : vector_width(c));
    }
};

// A part on its way to memory. Tensor-core tiles write pairs of columns, of rows that begin 8 banks apart.
template <int columns_>
union ResultPart {
    static constexpr int columns = columns_;
    static_assert(columns % 8 == 0 && columns <= 128);

    alignas(16) float sums[part_rows][columns + 8];
    float of_threads[2 * 8 * part_threads];  // once the rows have been read
};

// Which of a part's columns a thread has, `width` side by side, and which rows: every `threads_down`-th.
template <int columns, int width>
struct PartThread {
    static constexpr int across = columns / width, threads_down = part_threads / across;
    int thread, first_row, column;

    __device__ __forceinline__ explicit PartThread(int thread)
        : thread(thread), first_row(thread / across), column(thread % across * width) {}
    __device__ __forceinline__ bool exists() const { return first_row < threads_down; }
};

// Adds what is written to a thread's sums. Of values:
template <int width>
struct ValueMoments {
    Floats<width> pivot;
    Floats<width> sums[2] = {};

    __device__ __forceinline__ void add(int64_t, const Floats<width>& v) {
#pragma unroll
        for (int i = 0; i < width; ++i) {
            const float difference = v.lane[i] - pivot.lane[i];
            sums[0].lane[i] += difference;
            sums[1].lane[i] += difference * difference;
        }
    }
};

// Of a gradient:
template <int width, class X>
struct GradientMoments {
    const X* x;  // from the thread's columns of row 0 on
    int64_t x_row;
    Floats<width> mean, scale, shift;
    bool relu;
    Floats<width> sums[2] = {};

    __device__ __forceinline__ GradientMoments(const Moments& moments, int64_t column)
        : x(stored<X>(moments.x) + column), x_row(moments.x_row), relu(moments.scale) {
        const auto of = [&](const float* p) {
            return p ? load(p + column, Width<width>{}) : broadcast(0.0f, Width<width>{});
        };
        mean = of(moments.mean), scale = of(moments.scale), shift = of(moments.shift);
    }
    __device__ __forceinline__ void add(int64_t row, const Floats<width>& v) {
        const Floats<width> at = load(x + row * x_row, Width<width>{});
#pragma unroll
        for (int i = 0; i < width; ++i) {
            const bool passes = !relu || at.lane[i] * scale.lane[i] + shift.lane[i] > 0.0f;
            const float g = passes ? v.lane[i] : 0.0f;
            sums[0].lane[i] += g * (at.lane[i] - mean.lane[i]);
            sums[1].lane[i] += g;
        }
    }
};

// sum(those of the two that `moments` asks for), of columns from `column` on. first(): the part's first row, which the
// thread that `has_first` leaves in front of the sums.
template <int width, class First, class Sum>
__device__ __forceinline__ void sum_moments(const Moments& moments, int64_t column, float* of_part, bool has_first,
                                            Width<width>, First&& first, Sum&& sum) {
    if (!moments.x) {
        const Floats<width> pivot = first();
        if (has_first) store(of_part + column, pivot);
        sum(ValueMoments<width>{pivot});
    } else if (moments.x_dtype == MM_FLOAT32) {
        sum(GradientMoments<width, float>(moments, column));
    } else {
        sum(GradientMoments<width, BFloat16>(moments, column));
    }
}

template <int width>
struct NoMoments {
    __device__ __forceinline__ void add(int64_t, const Floats<width>&) {}
};

// The thread's rows of a part to rows of c from `row0` on, and their values to `moments`.
template <int width, int columns, class C, class Sums>
__device__ __forceinline__ void write_rows(const ResultPart<columns>& part, const PartThread<columns, width>& own,
                                           const Epilogue& epilogue, C* c, int64_t row0, int64_t column0, Sums& moments) {
    constexpr Width<width> vector{};
    constexpr int step = PartThread<columns, width>::threads_down;
    const int64_t column = column0 + own.column, rows = epilogue.rows - row0;
    const auto of_columns = epilogue.columns_at(column, vector);
    C* to = c + (row0 + own.first_row) * epilogue.row + column;
#pragma unroll 2
    for (int i = own.first_row; i < part_rows; i += step, to += step * epilogue.row) {
        if (i >= rows) break;
        const Floats<width> before = epilogue.accumulate ? load(to, vector) : broadcast(0.0f, vector);
        const Floats<width> v = epilogue.finished(load(part.sums[i] + own.column, vector), before, of_columns);
        store(to, v);
        moments.add(row0 + i, rounded_to<C>(v));
    }
}

// The part, without moments.
template <int width, int columns, class C>
__device__ __forceinline__ void write_part(const ResultPart<columns>& part, int thread, const Epilogue& epilogue, C* c,
                                           int64_t row0, int64_t column0) {
    const PartThread<columns, width> own(thread);
    NoMoments<width> none;
    if (own.exists() && column0 + own.column < epilogue.columns)
        write_rows(part, own, epilogue, c, row0, column0, none);
}

// The sums of a part's 128 threads: leave(s, column, total) with both sums of each of its columns, added in the threads'
// order. `of_threads` has room for ResultPart's.
template <int columns, int width, class Meet, class Leave>
__device__ __forceinline__ void add_threads(float* of_threads, const PartThread<columns, width>& own,
                                            const Floats<width> (&sums)[2], Meet&& meet, Leave&& leave) {
    constexpr int down = PartThread<columns, width>::threads_down;
    if (own.exists())
        for (int s = 0; s < 2; ++s) store(of_threads + (s * down + own.first_row) * columns + own.column, sums[s]);
    meet();
    for (int i = own.thread; i < 2 * columns; i += part_threads) {
        const int s = i / columns, column = i % columns;
        float total = 0.0f;
        for (int other = 0; other < down; ++other) total += of_threads[(s * down + other) * columns + column];
        leave(s, column, total);
    }
}

// The same with them. The threads' sums take the place of the part.
template <int columns, class C, class Meet>
__device__ __forceinline__ void write_part_and_moments(ResultPart<columns>& part, int thread, const Epilogue& epilogue,
                                                       C* c, int64_t row0, int64_t column0, Meet&& meet) {
    constexpr int width = 16 / (int)sizeof(C);
    constexpr Width<width> vector{};
    using Own = PartThread<columns, width>;
    const Own own(thread);
    const Moments& moments = epilogue.moments;
    const int kinds = moments.kinds();
    const int64_t column = column0 + own.column;
    const bool writes = own.exists() && column < epilogue.columns && row0 < epilogue.rows;
    float* const of_part = moments.sums + row0 / part_rows * kinds * epilogue.columns;

    Floats<width> sums[2] = {};
    if (writes) {
        const auto first = [&] {
            return rounded_to<C>(epilogue.finished(load(part.sums[0] + own.column, vector), broadcast(0.0f, vector),
                                                   epilogue.columns_at(column, vector)));
        };
        sum_moments(moments, column, of_part, own.first_row == 0, vector, first, [&](auto of_rows) {
            write_rows(part, own, epilogue, c, row0, column0, of_rows);
            sums[0] = of_rows.sums[0], sums[1] = of_rows.sums[1];
        });
    }

    meet();  // the part has been read
    add_threads<columns>(part.of_threads, own, sums, meet, [&](int s, int of_column, float total) {
        if (column0 + of_column < epilogue.columns && row0 < epilogue.rows)
            of_part[(kinds - 2 + s) * epilogue.columns + column0 + of_column] = total;
    });
}

// What the 128 threads of a part come to when it lies in shared memory, seen by all of them. c: the matrix; the part's
// place in it is (row0, column0), row0 a multiple of 64. meet() is a barrier for the 128, or for more who all come here.
template <bool with_moments, int columns, class C, class Meet>
__device__ __forceinline__ void leave_part(ResultPart<columns>& part, int thread, const Epilogue& epilogue, C* c,
                                           int64_t row0, int64_t column0, Meet&& meet) {
    constexpr int widest = 16 / (int)sizeof(C);
    if constexpr (with_moments)
        if (epilogue.moments.sums) return write_part_and_moments(part, thread, epilogue, c, row0, column0, meet);
    if (epilogue.vector >= widest)
        write_part<widest>(part, thread, epilogue, c, row0, column0);
    else if (widest > 4 && epilogue.vector >= 4)
        write_part<4>(part, thread, epilogue, c, row0, column0);
    else
        write_part<1>(part, thread, epilogue, c, row0, column0);
}

}  // namespace medmamba::cuda
