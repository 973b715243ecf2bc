// y[o, i] = scale * sum over r of x[o, r, i].
//
// The sums are cut into pieces by shape alone; each piece ends in double, and the pieces are added in order, so
// the result is that of a double sum to rounding, whatever the length and the number of threads.
#include "each_vector.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Short runs add up in float, four vectors at a time; runs add up in double.
double sum_of_row(const float* x, int64_t count) {
    constexpr int64_t run = 1024, step = 4 * lanes;
    double total = 0;
    for (int64_t first = 0; first < count; first += run) {
        const float* p = x + first;
        const int64_t length = std::min(run, count - first);
        vfloat a{}, b{}, c{}, d{};
        int64_t i = 0;
        for (; i + step <= length; i += step) {
            a += load(p + i);
            b += load(p + i + lanes);
            c += load(p + i + 2 * lanes);
            d += load(p + i + 3 * lanes);
        }
        each_vector(length - i, [&](int64_t j, auto part) { a += load(p + i + j, part); });
        total += (double)sum((a + b) + (c + d));
    }
    return total;
}

// Sums along the last axis. A row longer than a task is cut into several tasks.
mm_status reduce_rows(mm_stream* stream, const mm_reduce_params* params) {
    const int64_t length = params->reduced, pieces = ceil_div(length, elements_per_task);
    if (pieces <= 1) {
        parallel_ranges(stream, params->outer, rows_per_task(length), [&](int64_t first, int64_t last, int) {
            for (int64_t o = first; o < last; ++o) {
                params->y[o] = (float)(params->scale * sum_of_row(params->x + o * length, length));
            }
        });
        return MM_OK;
    }
    double* partial = stream->scratch.take<double>(params->outer * pieces);
    stream->pool.run(params->outer * pieces, [&](int64_t task, int) {
        const int64_t o = task / pieces, first = task % pieces * elements_per_task;
        partial[task] = sum_of_row(params->x + o * length + first, std::min(elements_per_task, length - first));
    });
    for (int64_t o = 0; o < params->outer; ++o) {
        double total = 0;
        for (int64_t piece = 0; piece < pieces; ++piece) total += partial[o * pieces + piece];
        params->y[o] = (float)(params->scale * total);
    }
    return MM_OK;
}

constexpr int64_t block = 1024;  // columns of a task, whose sums stay in L1

// total[i] = the sum of x[r, i] over r from `first` to before `last`; x has `rows` rows in all, `columns` apart.
void add_rows(const float* x, int64_t rows, int64_t columns, int64_t first, int64_t last, int64_t count,
              double* __restrict total) {
    constexpr int64_t few = 16;
    for (int64_t i = 0; i < count; ++i) total[i] = 0;
    int64_t r = first;
    // Few rows, as those of a job's ranks, are added one after another, which is an order that can be told.
    for (; rows > few && r + 4 <= last; r += 4) {
        const float *a = x + r * columns, *b = a + columns, *c = b + columns, *d = c + columns;
        for (int64_t i = 0; i < count; ++i) {
            total[i] += ((double)a[i] + (double)b[i]) + ((double)c[i] + (double)d[i]);
        }
    }
    for (; r < last; ++r) {
        for (int64_t i = 0; i < count; ++i) total[i] += (double)x[r * columns + i];
    }
}

// Of so few rows that a task has all of them: nothing goes through memory but what it reads and the result. A sum over ranks is
// such a one.
mm_status reduce_few_rows(mm_stream* stream, const mm_reduce_params* params) {
    const int64_t rows = params->reduced, columns = params->inner, blocks = ceil_div(columns, block);
    const int64_t each = std::max<int64_t>(1, rows_per_task(rows * std::min(columns, block)));
    parallel_ranges(stream, params->outer * blocks, each, [&](int64_t first, int64_t end, int) {
        double total[block];
        for (int64_t task = first; task < end; ++task) {
            const int64_t o = task / blocks, column = task % blocks * block, count = std::min(block, columns - column);
            add_rows(params->x + o * rows * columns + column, rows, columns, 0, rows, count, total);
            float* y = params->y + o * columns + column;
            for (int64_t i = 0; i < count; ++i) y[i] = (float)(params->scale * total[i]);
        }
    });
    return MM_OK;
}

// Sums along an axis before the last. A task owns some columns and some rows of one `outer`.
mm_status reduce_columns(mm_stream* stream, const mm_reduce_params* params) {
    const int64_t rows = params->reduced, columns = params->inner;
    const int64_t blocks = ceil_div(columns, block), width = std::min(columns, block);
    const int64_t rows_each = std::max<int64_t>(64, elements_per_task / width);
    const int64_t pieces = std::max<int64_t>(1, ceil_div(rows, rows_each));
    if (pieces == 1) return reduce_few_rows(stream, params);
    double* partial = stream->scratch.take<double>(params->outer * pieces * columns);
    stream->pool.run(params->outer * pieces * blocks, [&](int64_t task, int) {
        const int64_t column = task % blocks * block, piece = task / blocks % pieces, o = task / blocks / pieces;
        const int64_t count = std::min(block, columns - column);
        const int64_t last = std::min(rows, (piece + 1) * rows_each);
        double* total = partial + (o * pieces + piece) * columns + column;
        add_rows(params->x + o * rows * columns + column, rows, columns, piece * rows_each, last, count, total);
    });
    parallel_ranges(stream, params->outer * blocks, std::max<int64_t>(1, rows_per_task(pieces * width)),
                    [&](int64_t first, int64_t end, int) {
        for (int64_t task = first; task < end; ++task) {
            const int64_t o = task / blocks, column = task % blocks * block;
            const int64_t last = std::min(columns, column + block);
            double* __restrict total = partial + o * pieces * columns;
            for (int64_t piece = 1; piece < pieces; ++piece) {
                const double* more = total + piece * columns;
                for (int64_t i = column; i < last; ++i) total[i] += more[i];
            }
            for (int64_t i = column; i < last; ++i) params->y[o * columns + i] = (float)(params->scale * total[i]);
        }
    });
    return MM_OK;
}

}  // namespace

mm_status reduce(mm_stream* stream, const mm_reduce_params* params) {
    if (params->outer == 0 || params->inner == 0) return MM_OK;
    return params->inner == 1 ? reduce_rows(stream, params) : reduce_columns(stream, params);
}

}  // namespace medmamba::cpu::MM_SIMD
