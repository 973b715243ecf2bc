// Products with tensor cores, of every entry point that has them: matrix products in all four layouts, and the 3x3
// convolution with its two gradients, in TF32 and bf16, on the emulator.
//
// Inputs that the precision holds exactly must give the product in double to the rounding of float32 sums: that finds
// any element which meets a wrong partner. Inputs of all bits must give it to the precision's own rounding, and must
// not give it better than that, or something else was computed.
#include <random>
#include <string>

#include "../../native/cuda/stream.cuh"
#include "check.h"
#include "emulated_cuda.h"

namespace emulated = medmamba::cuda;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

namespace {

struct PrecisionCase {
    const char* name;
    emulated::Precision precision;
    int kept_bits;  // of a float32's 23 bits of fraction
    double tolerance;
};

std::mt19937 generator(11);

// Uniform in -1..1, of so many bits of fraction.
Floats random_floats(int64_t count, int bits) {
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    Floats values((size_t)count);
    for (float& v : values) {
        v = uniform(generator);
        int exponent;
        const float fraction = std::frexp(v, &exponent);
        v = std::ldexp(std::nearbyint(std::ldexp(fraction, bits + 1)), exponent - bits - 1);
    }
    return values;
}

struct Product {
    std::string name;
    Floats y;
    Doubles expected;
};

Product matrix_product(TestStream& stream, int bits, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                       int64_t k) {
    const Floats a = random_floats(m * k, bits), b = random_floats(k * n, bits);
    Product product{std::string("matmul") + (transpose_a ? " A^T" : "") + (transpose_b ? " B^T" : ""),
                    Floats((size_t)(m * n)), Doubles((size_t)(m * n))};
    for (int64_t i = 0; i < m; ++i)
        for (int64_t l = 0; l < k; ++l)
            for (int64_t j = 0; j < n; ++j)
                product.expected[(size_t)(i * n + j)] += (double)a[(size_t)(transpose_a ? l * m + i : i * k + l)] *
                                                         b[(size_t)(transpose_b ? j * k + l : l * n + j)];
    mm_matmul_params p{};
    p.batch = 1, p.m = m, p.n = n, p.k = k, p.transpose_a = transpose_a, p.transpose_b = transpose_b;
    p.a = a.data(), p.b = b.data(), p.c = product.y.data();
    check::that(finished(stream, emulated::matmul(&stream, &p)) == MM_OK, product.name.c_str());
    return product;
}

enum class Convolution { forward, data, weight };

// Output channel o of pixel (r, c) meets input channel i of its neighbour by tap `tap`: one of the three is the result.
Product convolution(TestStream& stream, int bits, Convolution which, int64_t batch, int64_t height, int64_t width,
                    int64_t in, int64_t out) {
    const int64_t pixels = batch * height * width;
    const bool forward = which == Convolution::forward, data = which == Convolution::data;
    const Floats x = random_floats(pixels * in, bits), dy = random_floats(pixels * out, bits);
    const Floats w = random_floats(out * in * 9, bits);
    const size_t count = forward ? dy.size() : data ? x.size() : w.size();
    Product product{std::string("conv3x3 ") + (forward ? "forward" : data ? "backward data" : "backward weight"),
                    Floats(count), Doubles(count)};
    for (int64_t pixel = 0; pixel < pixels; ++pixel)
        for (int64_t tap = 0; tap < 9; ++tap) {
            const int64_t row = pixel / width % height + tap / 3 - 1, column = pixel % width + tap % 3 - 1;
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            const int64_t from = pixel + (tap / 3 - 1) * width + tap % 3 - 1;
            for (int64_t o = 0; o < out; ++o)
                for (int64_t i = 0; i < in; ++i) {
                    const size_t of_x = (size_t)(from * in + i), of_y = (size_t)(pixel * out + o);
                    const size_t of_w = (size_t)((o * in + i) * 9 + tap);
                    if (forward) product.expected[of_y] += (double)x[of_x] * w[of_w];
                    else if (data) product.expected[of_x] += (double)dy[of_y] * w[of_w];
                    else product.expected[of_w] += (double)dy[of_y] * x[of_x];
                }
        }
    mm_status status;
    if (forward) {
        const mm_conv3x3_forward_params p{batch, height, width, in, out, 0, 0, 0, 0, x.data(), nullptr, nullptr,
                                          w.data(), nullptr, product.y.data(), MM_FLOAT32, MM_FLOAT32};
        status = emulated::conv3x3_forward(&stream, &p);
    } else if (data) {
        const mm_conv3x3_backward_data_params p{batch, height, width, in, out, 0, 0, dy.data(), w.data(),
                                                product.y.data(), MM_FLOAT32, MM_FLOAT32};
        status = emulated::conv3x3_backward_data(&stream, &p);
    } else {
        const mm_conv3x3_backward_weight_params p{batch, height, width, in, out, 0, 0, 0, x.data(), nullptr, nullptr,
                                                  dy.data(), product.y.data(), nullptr, MM_FLOAT32, MM_FLOAT32};
        status = emulated::conv3x3_backward_weight(&stream, &p);
    }
    check::that(finished(stream, status) == MM_OK, product.name.c_str());
    return product;
}

// run(bits) computes a product of inputs with so many bits of fraction.
template <class Run>
void test(const PrecisionCase& c, Run&& run) {
    const Product exact = run(c.kept_bits);
    const std::string name = std::string(c.name) + " " + exact.name;
    const auto count = (int64_t)exact.y.size();
    check::close((name + " of inputs that it holds").c_str(), exact.y.data(), exact.expected.data(), count, 2e-6);
    const Product rounded = run(23);
    check::close(name.c_str(), rounded.y.data(), rounded.expected.data(), count, c.tolerance);
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < count; ++i) {
        largest = std::fmax(largest, std::fabs(rounded.expected[(size_t)i]));
        worst = std::fmax(worst, std::fabs(rounded.y[(size_t)i] - rounded.expected[(size_t)i]));
    }
    check::that(worst > largest * c.tolerance * 1e-2, (name + " rounds its inputs").c_str());
}

}  // namespace

int main() {
    for (const PrecisionCase& c : {PrecisionCase{"tf32", emulated::Precision::tf32, 10, 2e-3},
                                   PrecisionCase{"bf16", emulated::Precision::bf16, 7, 2e-2}}) {
        TestStream stream(1);
        stream.precision = c.precision;
        for (const bool transpose_a : {false, true})
            for (const bool transpose_b : {false, true})
                for (const auto& [m, n, k] : {std::tuple{1, 1, 1}, {37, 53, 19}, {65, 70, 129}, {130, 65, 700}})
                    test(c, [&, m = m, n = n, k = k](int bits) {
                        return matrix_product(stream, bits, transpose_a, transpose_b, m, n, k);
                    });
        // Enough of k, in ranges, for tiles of 128 rows.
        test(c, [&](int bits) { return matrix_product(stream, bits, false, true, 260, 130, 1500); });
        for (const Convolution which : {Convolution::forward, Convolution::data, Convolution::weight}) {
            test(c, [&](int bits) { return convolution(stream, bits, which, 1, 1, 3, 1, 2); });
            test(c, [&](int bits) { return convolution(stream, bits, which, 2, 9, 7, 24, 40); });
            test(c, [&](int bits) { return convolution(stream, bits, which, 3, 5, 6, 19, 33); });
        }
    }
    return check::report();
}
