// Products with tensor cores, of every entry point that has them: matrix products in all four layouts, and the 3x3
// convolution with its two gradients, in TF32 and bf16.
//
// Inputs that the precision holds exactly must give the product in double to the rounding of float32 sums: that finds
// any element which meets a wrong partner. Inputs of all bits must give it to the precision's own rounding, and must
// not give it better than that, or something else was computed.
#include "support/convolution.h"
#include "support/kernel_case.h"
#include "support/matrix_product.h"

using medmamba::cuda::Precision;

namespace {

struct PrecisionCase {
    const char* name;
    Precision precision;
    int kept_bits;  // of a float32's 23 bits of fraction
    double tolerance;
};

// Uniform in -1..1, of so many bits of fraction.
Floats floats_of_bits(int64_t count, uint32_t seed, int bits) {
    Floats values = uniform_floats(count, seed);
    for (float& v : values) {
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

Product matrix_product(Kernels& kernels, int bits, const MatrixProduct& shape) {
    const Floats a = floats_of_bits(shape.m * shape.k, 1, bits), b = floats_of_bits(shape.k * shape.n, 2, bits);
    Product product{shape.name(), Floats((size_t)(shape.m * shape.n)), shape.naive(a, b, [](float x) { return x; })};
    that(kernels.matmul(shape.parameters(a.data(), b.data(), nullptr, product.y.data())) == MM_OK, product.name);
    return product;
}

enum class Convolution { forward, data, weight };

Product convolution(Kernels& kernels, int bits, Convolution which, const Image& image, int64_t in, int64_t out) {
    const Floats x = floats_of_bits(image.pixels() * in, 1, bits), dy = floats_of_bits(image.pixels() * out, 2, bits);
    const Floats w = floats_of_bits(out * in * 9, 3, bits);
    NaiveConv3x3 naive(
        image, in, out, [&](int64_t pixel, int64_t i) { return x[(size_t)(pixel * in + i)]; },
        [&](int64_t index) { return w[(size_t)index]; },
        [&](int64_t pixel, int64_t o) { return dy[(size_t)(pixel * out + o)]; });
    Conv3x3 conv{image, in, out, 0, 0, x.data(), w.data()};
    conv.dy = dy.data();
    Product product;
    mm_status status = MM_INTERNAL;
    switch (which) {
        case Convolution::forward:
            product = {"conv3x3 forward", Floats(dy.size()), naive.y};
            status = kernels.conv3x3_forward(conv.forward(product.y.data()));
            break;
        case Convolution::data:
            product = {"conv3x3 backward data", Floats(x.size()), naive.dx};
            status = kernels.conv3x3_backward_data(conv.backward_data(product.y.data()));
            break;
        case Convolution::weight:
            product = {"conv3x3 backward weight", Floats(w.size()), naive.dweight};
            status = kernels.conv3x3_backward_weight(conv.backward_weight(product.y.data(), nullptr));
            break;
    }
    that(status == MM_OK, product.name);
    return product;
}

// run(bits) computes a product of inputs with so many bits of fraction.
template <class Run>
void rounding_case(const PrecisionCase& c, Recorded& results, Run&& run) {
    const Product exact = run(c.kept_bits);
    const std::string name = std::string(c.name) + " " + exact.name;
    close(name + " of inputs that it holds", exact.y, exact.expected, 2e-6);
    const Product rounded = run(23);
    close(name, rounded.y, rounded.expected, c.tolerance);
    results.keep(name, exact.y, rounded.y);
    double largest = 0, worst = 0;
    for (size_t i = 0; i < rounded.y.size(); ++i) {
        largest = std::fmax(largest, std::fabs(rounded.expected[i]));
        worst = std::fmax(worst, std::fabs(rounded.y[i] - rounded.expected[i]));
    }
    that(worst > largest * c.tolerance * 1e-2, name + " rounds its inputs");
}

void all_cases(Kernels& kernels, Recorded& results, const PrecisionCase& c) {
    kernels.stream().precision = c.precision;
    const auto product = [&](const MatrixProduct& shape) {
        rounding_case(c, results, [&](int bits) { return matrix_product(kernels, bits, shape); });
    };
    for (const bool transpose_a : {false, true})
        for (const bool transpose_b : {false, true})
            for (const auto& [m, n, k] : {std::tuple{1, 1, 1}, {37, 53, 19}, {65, 70, 129}, {130, 65, 700}})
                product({1, m, n, k, transpose_a, transpose_b});
    // Enough of k, in ranges, for tiles of 128 rows.
    product({1, 260, 130, 1500, false, true});
    for (const Convolution which : {Convolution::forward, Convolution::data, Convolution::weight}) {
        const auto convolved = [&](const Image& image, int64_t in, int64_t out) {
            rounding_case(c, results, [&](int bits) { return convolution(kernels, bits, which, image, in, out); });
        };
        convolved({1, 1, 3}, 1, 2);
        convolved({2, 9, 7}, 24, 40);
        convolved({3, 5, 6}, 19, 33);
        // Hopper's tiles of 192, 128 and 96 columns, and boxes of pixels that reach beyond the images.
        convolved({1, 9, 11}, 50, 190);
        convolved({2, 15, 7}, 70, 98);
    }
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        all_cases(kernels, results, {"tf32", Precision::tf32, 10, 2e-3});
        all_cases(kernels, results, {"bf16", Precision::bf16, 7, 2e-2});
    });
}
