// Philox against its published vectors and a plain implementation, the distributions against their formulas in
// double, and dropout.
#include <cmath>

#include "support/kernel_case.h"

namespace {

// Philox4x32-10 as in the paper, one counter of four words at a time.
struct Counter {
    uint32_t word[4];
};

Counter naive_philox(Counter x, uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
        const uint64_t a = (uint64_t)0xD2511F53u * x.word[0], b = (uint64_t)0xCD9E8D57u * x.word[2];
        x = {{(uint32_t)(b >> 32) ^ x.word[1] ^ key0, (uint32_t)b, (uint32_t)(a >> 32) ^ x.word[3] ^ key1,
              (uint32_t)a}};
    }
    return x;
}

uint32_t naive_word(int64_t seed, int64_t offset, int64_t element) {
    const uint64_t counter = (uint64_t)offset + (uint64_t)element / 4;
    const Counter x = naive_philox({{(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0}}, (uint32_t)seed,
                                   (uint32_t)((uint64_t)seed >> 32));
    return x.word[element % 4];
}

double naive_unit(int64_t seed, int64_t offset, int64_t element) {
    return (naive_word(seed, offset, element) >> 8) * 0x1p-24;
}

// Known-answer vectors of Random123 (kat_vectors, philox4x32 10).
void published_vectors() {
    const struct {
        Counter counter;
        uint32_t key0, key1;
        Counter expected;
    } vectors[] = {
        {{{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
        {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff,
         {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
        {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
         {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
    };
    for (const auto& vector : vectors) {
        const Counter seen = naive_philox(vector.counter, vector.key0, vector.key1);
        check::same_bits("published vector", seen.word, vector.expected.word, 16);
    }
}

Floats drawn(Kernels& kernels, Recorded& results, int32_t distribution, int64_t count, int64_t seed, int64_t offset,
             float low, float high) {
    Floats y((size_t)count + 1, untouched);
    that(kernels.random({distribution, count, seed, offset, low, high, y.data()}) == MM_OK, "random");
    results.keep("random", y);
    that(y.back() == untouched, "nothing is written behind the end");
    y.pop_back();
    return y;
}

// The uniforms are words shifted and scaled by powers of two, so they hold Philox to the bit.
void uniform_case(Kernels& kernels, Recorded& results, int64_t count, int64_t seed, int64_t offset) {
    const Floats y = drawn(kernels, results, MM_UNIFORM, count, seed, offset, 0.0f, 1.0f);
    Floats expected((size_t)count);
    for (int64_t i = 0; i < count; ++i) expected[i] = (float)naive_unit(seed, offset, i);
    same_bits("uniform", y, expected);
    const Floats scaled = drawn(kernels, results, MM_UNIFORM, count, seed, offset, -3.0f, 5.0f);
    Doubles expected_scaled((size_t)count);
    for (int64_t i = 0; i < count; ++i) expected_scaled[i] = -3.0 + 8.0 * naive_unit(seed, offset, i);
    close("uniform -3..5", scaled, expected_scaled, 1e-6);
}

void normal_case(Kernels& kernels, Recorded& results, int64_t count, int64_t seed, int64_t offset) {
    const Floats y = drawn(kernels, results, MM_NORMAL, count, seed, offset, 0.5f, 2.0f);
    Doubles expected((size_t)count);
    for (int64_t i = 0; i < count; ++i) {
        const double radius = std::sqrt(-2.0 * std::log(1.0 - naive_unit(seed, offset, i & ~1)));
        const double angle = 2.0 * M_PI * naive_unit(seed, offset, i | 1);
        expected[i] = 0.5 + 2.0 * radius * (i % 2 ? std::sin(angle) : std::cos(angle));
    }
    close("normal", y, expected, 1e-6);
}

double normal_distribution(double z) { return 0.5 * std::erfc(-z * std::sqrt(0.5)); }

// The defining equation instead of another inverse: Phi((y - mean) / std) must be the uniform it came from.
void truncated_normal_case(Kernels& kernels, Recorded& results, int64_t count, float mean, float deviation) {
    const Floats y = drawn(kernels, results, MM_TRUNCATED_NORMAL, count, 11, 3, mean, deviation);
    const double low = normal_distribution((-2.0 - mean) / deviation);
    const double high = normal_distribution((2.0 - mean) / deviation);
    double total = 0.0, squares = 0.0;
    int64_t outside = 0, wrong = 0;
    for (int64_t i = 0; i < count; ++i) {
        const double p = low + (high - low) * ((naive_word(11, 3, i) + 0.5) * 0x1p-32);
        const double z = ((double)y[i] - mean) / deviation;
        // An error dz of the value shows as density(z) dz.
        const double density = std::exp(-0.5 * z * z) / std::sqrt(2.0 * M_PI);
        const double allowed = density * (3e-6 * (std::fabs(z) + 1.0) + 2e-7 * std::fabs(mean) / deviation);
        wrong += std::fabs(normal_distribution(z) - p) > allowed + 1e-12;
        outside += !(y[i] >= -2.0f && y[i] <= 2.0f);
        total += y[i];
        squares += (double)y[i] * y[i];
    }
    that(wrong == 0, "truncated normal inverts the distribution function");
    that(outside == 0, "truncated normal stays within two units");
    if (deviation == 0.02f && count > 100000) {
        const double average = total / (double)count;
        that(std::fabs(average - mean) < 2e-4, "mean of the truncated normal");
        that(std::fabs(std::sqrt(squares / (double)count - average * average) - 0.02) < 1e-4,
                    "standard deviation of the truncated normal");
    }
}

void dropout_case(Kernels& kernels, Recorded& results, int64_t count, float rate) {
    Floats x((size_t)count), y((size_t)count), expected((size_t)count);
    for (int64_t i = 0; i < count; ++i) x[i] = (float)i - 3.5f;
    that(kernels.dropout({count, 42, 1000, rate, x.data(), y.data()}) == MM_OK, "dropout");
    results.keep("dropout", y);
    const float scale = rate < 1.0f ? 1.0f / (1.0f - rate) : 0.0f;
    for (int64_t i = 0; i < count; ++i)
        expected[i] = x[i] * ((float)naive_unit(42, 1000, i) < rate ? 0.0f : scale);
    same_bits("dropout", y, expected);

    const Floats factors = drawn(kernels, results, MM_BERNOULLI_SCALE, count, 42, 1000, rate, 0.0f);
    for (int64_t i = 0; i < count; ++i) expected[i] = x[i] * factors[i];
    same_bits("dropout is the factor of BERNOULLI_SCALE", y, expected);
}

void invalid_arguments(Kernels& kernels) {
    Floats y = {5.0f};
    that(kernels.random({MM_NORMAL, 1, 0, 0, 0.0f, -1.0f, y.data()}) == MM_INVALID_ARGUMENT, "a negative deviation");
    that(kernels.random({9, 1, 0, 0, 0.0f, 1.0f, y.data()}) == MM_INVALID_ARGUMENT, "an unknown distribution");
    that(kernels.random({MM_BERNOULLI_SCALE, 1, 0, 0, 1.5f, 0.0f, y.data()}) == MM_INVALID_ARGUMENT,
         "a rate above one");
    that(kernels.dropout({1, 0, 0, NAN, y.data(), y.data()}) == MM_INVALID_ARGUMENT, "a rate that is no number");
    that(y[0] == 5.0f, "outputs are untouched");
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        published_vectors();
        for (int64_t count : {1, 2, 3, 4, 5, 15, 63, 64, 65, 257, 40003}) {
            uniform_case(kernels, results, count, 0, 0);
            uniform_case(kernels, results, count, 0x123456789abcdLL, 0xfffffffeLL);  // the counter's low word overflows
            uniform_case(kernels, results, count, -5, -2);
            normal_case(kernels, results, count, 7, 123456789012LL);
            for (float rate : {0.0f, 0.1f, 0.5f, 1.0f}) dropout_case(kernels, results, count, rate);
        }
        truncated_normal_case(kernels, results, 300007, 0.0f, 0.02f);
        truncated_normal_case(kernels, results, 5, 0.0f, 0.02f);
        truncated_normal_case(kernels, results, 100003, 0.0f, 1.0f);
        truncated_normal_case(kernels, results, 10007, 0.25f, 1.5f);
        truncated_normal_case(kernels, results, 10007, 0.0f, 30.0f);
        invalid_arguments(kernels);
    });
}
