// The matrix product against the triple loop in double precision: tails of every kind, all four layouts, strides,
// batches, the cut of a long sum into ranges; and the same bits from one thread and two. NaN is in scratch memory and
// between the rows of the factors. Where the level has products in bfloat16, all of it once more with those, and by
// AMX, whose tiles no task may leave in use.
#include "support/kernel_case.h"
#include "support/matrix_product.h"

namespace {

void matmul_case(Kernels& kernels, Recorded& results, const MatrixProduct& c, bool with_bias) {
    const Floats a = rows_beside_nan(c.all_a_rows(), c.a_row() - c.gap, c.a_row(), 1);
    const Floats b = rows_beside_nan(c.all_b_rows(), c.b_row() - c.gap, c.b_row(), 2);
    const Floats bias = uniform_floats(c.n, 3), before = uniform_floats(c.all_c_rows() * c.n, 4);
    Doubles expected = c.naive(a, b, [&](float x) { return kernels.factor(x); });
    for (size_t i = 0; i < expected.size(); ++i) {
        if (c.accumulate) expected[i] += before[i];
        if (with_bias) expected[i] += bias[i % (size_t)c.n];
        if (c.relu) expected[i] = std::fmax(expected[i], 0.0);
    }

    const std::string name = kernels.products() + c.name() + (with_bias ? " bias" : "");
    Floats y((size_t)(c.all_c_rows() * c.c_row()), untouched);
    for (int64_t row = 0; row < c.all_c_rows(); ++row)
        std::copy_n(before.data() + row * c.n, c.n, y.data() + row * c.c_row());
    kernels.fill_scratch_with_nan();
    mm_matmul_params params = c.parameters(a.data(), b.data(), with_bias ? bias.data() : nullptr, y.data());
    if (!c.gap) params.a_row = params.b_row = params.c_row = 0;  // dense
    that(kernels.matmul(params) == MM_OK, name);
    results.keep(name, y);
    close(name, dense_of_untouched(name, y, c.c_row(), c.n), expected, 2e-6);
}

// NaN and infinity come through where the arithmetic says so, and nowhere else.
void not_finite_case(Kernels& kernels, Recorded& results) {
    const int64_t m = 11, n = 50, k = 20;
    Floats a = uniform_floats(m * k, 1), b = uniform_floats(k * n, 2), y((size_t)(m * n));
    a[(size_t)(3 * k + 5)] = std::numeric_limits<float>::quiet_NaN();
    b[(size_t)(2 * n + 49)] = std::numeric_limits<float>::infinity();
    MatrixProduct product{1, m, n, k};
    product.relu = true;
    that(kernels.matmul(product.parameters(a.data(), b.data(), nullptr, y.data())) == MM_OK, "not finite");
    results.keep("not finite", y);
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
    that(right, "NaN stays in its row and infinity in its column");
}

// Whether the calling thread has tiles of AMX that the system would have to save.
bool tiles_are_in_use() {
    uint32_t in_use = 0;
#if defined(__x86_64__)
    constexpr uint32_t of_what_is_in_use = 1, tile_data = 18;
    [[maybe_unused]] uint32_t upper;
    asm volatile("xgetbv" : "=a"(in_use), "=d"(upper) : "c"(of_what_is_in_use));
    in_use = in_use >> tile_data & 1;
#endif
    return in_use;
}

void all_cases(Kernels& kernels, Recorded& results) {
    for (const bool transpose_a : {false, true}) {
        for (const bool transpose_b : {false, true}) {
            // In this layout, with gap and sharing as given.
            const auto product = [&](int64_t batch, int64_t m, int64_t n, int64_t k, int64_t gap = 0,
                                     bool share_b = false) {
                return MatrixProduct{batch, m, n, k, transpose_a, transpose_b, gap, share_b};
            };
            const auto accumulating = [](MatrixProduct c) { return c.accumulate = true, c; };
            const auto with_relu = [](MatrixProduct c) { return c.relu = true, c; };
            const auto plain = [&](const MatrixProduct& c) { matmul_case(kernels, results, c, false); };
            const auto biased = [&](const MatrixProduct& c) { matmul_case(kernels, results, c, true); };
            for (int64_t m : {1, 2, 5, 9, 13, 16, 17, 33})
                for (int64_t n : {1, 7, 16, 33, 48, 53})
                    for (int64_t k : {1, 6, 17, 32, 45}) plain(product(1, m, n, k, m % 4));
            biased(product(1, 8, 7, 768));
            biased(accumulating(with_relu(product(3, 10, 20, 30, 5))));
            biased(accumulating(product(2, 65, 70, 401, 3, true)));
            biased(with_relu(product(1, 520, 200, 40)));
            biased(accumulating(with_relu(product(1, 30, 50, 3000, 2))));  // in ranges
            biased(product(2, 19, 21, 1500, 1, true));
            plain(product(1, 20, 512, 512));  // strides of a power of two
            plain(accumulating(product(1, 250, 130, 90)));
            biased(with_relu(product(1, 12, 34, 0)));  // no sum: the bias
            plain(accumulating(product(1, 12, 34, 0)));
        }
    }
    that(kernels.matmul({}) == MM_OK, "empty product");
    not_finite_case(kernels, results);
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        all_cases(kernels, results);
        if (kernels.multiply_in_bfloat16()) all_cases(kernels, results);
        if (kernels.multiply_by_amx()) {
            all_cases(kernels, results);
            that(!tiles_are_in_use(), "tiles are released");
        }
    });
}
