// The matrix product against the triple loop in double precision: tails of every kind, all four layouts, strides,
// batches, the cut of a long sum into ranges; and the same bits from one thread and two. NaN is in scratch memory and
// between the rows of the factors. Where the level has products in bfloat16, all of it once more with those, and by
// AMX, whose tiles no task may leave in use.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "simd_level.h"

using namespace medmamba::cpu::MM_SIMD;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

namespace {

constexpr float untouched = 77.0f;  // between the rows of C, where nothing may be written

TestStream one_thread(1), two_threads(2);
bool bfloat16 = false, amx = false;
std::mt19937 generator(7);

Floats random_floats(int64_t count) {
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    Floats values((size_t)count);
    for (float& v : values) v = uniform(generator);
    return values;
}

// What a product makes of an element before it multiplies.
double factor(float x) { return bfloat16 ? to_bfloat16(x) : x; }

// A matrix of rows wider than their elements, and NaN behind these.
Floats random_rows(int64_t rows, int64_t elements, int64_t row) {
    Floats values = random_floats(rows * row);
    for (int64_t i = 0; i < rows; ++i)
        std::fill_n(values.data() + i * row + elements, row - elements, std::numeric_limits<float>::quiet_NaN());
    return values;
}

struct Case {
    int64_t batch, m, n, k;
    bool transpose_a = false, transpose_b = false, accumulate = false, relu = false, bias = false;
    int64_t gap = 0;  // floats between the rows of all three matrices
    bool share_b = false;
};

std::string name_of(const Case& c) {
    return std::string(amx ? "AMX " : bfloat16 ? "bfloat16 " : "") + "matmul " + std::to_string(c.batch) + "x(" +
           std::to_string(c.m) + ", " + std::to_string(c.n) + ", " + std::to_string(c.k) + ")" +
           (c.transpose_a ? " A^T" : "") + (c.transpose_b ? " B^T" : "") + (c.accumulate ? " accumulate" : "") +
           (c.relu ? " relu" : "") + (c.bias ? " bias" : "");
}

void test(const Case& c) {
    mm_matmul_params p{};
    p.batch = c.batch;
    p.m = c.m;
    p.n = c.n;
    p.k = c.k;
    p.transpose_a = c.transpose_a;
    p.transpose_b = c.transpose_b;
    p.accumulate = c.accumulate;
    p.relu = c.relu;
    const int64_t a_rows = c.transpose_a ? c.k : c.m, a_row = (c.transpose_a ? c.m : c.k) + c.gap;
    const int64_t b_rows = c.transpose_b ? c.n : c.k, b_row = (c.transpose_b ? c.k : c.n) + c.gap;
    const int64_t c_row = c.n + c.gap;
    if (c.gap) {
        p.a_row = a_row;
        p.b_row = b_row;
        p.c_row = c_row;
    }
    p.a_batch = a_rows * a_row;
    p.b_batch = c.share_b ? 0 : b_rows * b_row;
    p.c_batch = c.m * c_row;
    const Floats a = random_rows(c.batch * a_rows, a_row - c.gap, a_row);
    const Floats b = random_rows((c.share_b ? 1 : c.batch) * b_rows, b_row - c.gap, b_row);
    const Floats bias = random_floats(c.n);
    p.a = a.data();
    p.b = b.data();
    p.bias = c.bias ? bias.data() : nullptr;

    Floats before = random_floats(c.batch * p.c_batch);
    for (int64_t i = 0; i < c.batch * c.m; ++i)
        for (int64_t j = c.n; j < c_row; ++j) before[(size_t)(i * c_row + j)] = untouched;
    Doubles expected(before.begin(), before.end());
    for (int64_t i = 0; i < c.batch; ++i) {
        for (int64_t row = 0; row < c.m; ++row) {
            for (int64_t column = 0; column < c.n; ++column) {
                double& y = expected[(size_t)(i * p.c_batch + row * c_row + column)];
                double sum = (c.accumulate ? y : 0.0) + (c.bias ? bias[(size_t)column] : 0.0);
                for (int64_t k = 0; k < c.k; ++k)
                    sum += factor(a[(size_t)(i * p.a_batch + (c.transpose_a ? k * a_row + row : row * a_row + k))]) *
                           factor(b[(size_t)(i * p.b_batch + (c.transpose_b ? column * b_row + k : k * b_row + column))]);
                y = c.relu ? std::fmax(sum, 0.0) : sum;
            }
        }
    }
    const std::string name = name_of(c);
    Floats y = before, again = before;
    for (TestStream* stream : {&one_thread, &two_threads}) fill_scratch_with_nan(*stream);
    p.c = y.data();
    check::that(matmul(&one_thread, &p) == MM_OK, name.c_str());
    p.c = again.data();
    check::that(matmul(&two_threads, &p) == MM_OK, name.c_str());
    check::same_bits(name.c_str(), y.data(), again.data(), (int64_t)(y.size() * sizeof(float)));
    check::close(name.c_str(), y.data(), expected.data(), (int64_t)y.size(), 2e-6);
}

// NaN and infinity come through where the arithmetic says so, and nowhere else.
void test_not_finite() {
    const int64_t m = 11, n = 50, k = 20;
    Floats a = random_floats(m * k), b = random_floats(k * n), y((size_t)(m * n));
    a[(size_t)(3 * k + 5)] = std::numeric_limits<float>::quiet_NaN();
    b[(size_t)(2 * n + 49)] = std::numeric_limits<float>::infinity();
    mm_matmul_params p{};
    p.batch = 1;
    p.m = m;
    p.n = n;
    p.k = k;
    p.relu = 1;
    p.a = a.data();
    p.b = b.data();
    p.c = y.data();
    check::that(matmul(&two_threads, &p) == MM_OK, "not finite");
    bool right = true;
    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
            const float value = y[(size_t)(i * n + j)];
            if (i == 3)
                right &= std::isnan(value);
            else if (j == 49)
                right &= value == (a[(size_t)(i * k + 2)] > 0 ? std::numeric_limits<float>::infinity() : 0.0f);
            else
                right &= std::isfinite(value);
        }
    check::that(right, "NaN stays in its row and infinity in its column");
}

// Whether the calling thread has tiles of AMX that the system would have to save.
bool tiles_are_in_use() {
    uint32_t in_use = 0;
#if defined(__x86_64__)
    constexpr uint32_t of_what_is_in_use = 1, tile_data = 18;
    uint32_t upper;
    asm volatile("xgetbv" : "=a"(in_use), "=d"(upper) : "c"(of_what_is_in_use));
    in_use = in_use >> tile_data & 1;
#endif
    return in_use;
}

void test_all() {
    for (const bool transpose_a : {false, true}) {
        for (const bool transpose_b : {false, true}) {
            const auto with_layout = [&](Case c) {
                c.transpose_a = transpose_a;
                c.transpose_b = transpose_b;
                test(c);
            };
            for (int64_t m : {1, 2, 5, 9, 13, 16, 17, 33})
                for (int64_t n : {1, 7, 16, 33, 48, 53})
                    for (int64_t k : {1, 6, 17, 32, 45})
                        with_layout({1, m, n, k, false, false, false, false, false, m % 4});
            with_layout({1, 8, 7, 768, false, false, false, false, true});
            with_layout({3, 10, 20, 30, false, false, true, true, true, 5});
            with_layout({2, 65, 70, 401, false, false, true, false, true, 3, true});
            with_layout({1, 520, 200, 40, false, false, false, true, true});
            with_layout({1, 30, 50, 3000, false, false, true, true, true, 2});  // in ranges
            with_layout({2, 19, 21, 1500, false, false, false, false, true, 1, true});
            with_layout({1, 20, 512, 512, false, false, false, false, false});  // strides of a power of two
            with_layout({1, 250, 130, 90, false, false, true});
            with_layout({1, 12, 34, 0, false, false, false, true, true});  // no sum: the bias
            with_layout({1, 12, 34, 0, false, false, true, false, false});
        }
    }
    const mm_matmul_params nothing{};
    check::that(matmul(&two_threads, &nothing) == MM_OK, "empty product");
    test_not_finite();
}

}  // namespace

int main() {
    if (!simd_level_runs_here()) return 0;
    test_all();
    bfloat16 = multiply_in_bfloat16(one_thread) && multiply_in_bfloat16(two_threads);
    if (bfloat16) test_all();
    amx = multiply_by_amx(one_thread) && multiply_by_amx(two_threads);
    if (amx) {
        test_all();
        check::that(!tiles_are_in_use(), "tiles are released");
    }
    return check::report();
}
