// Philox against its published vectors and a plain implementation, the distributions against their formulas in
// double, and dropout.
#include <cmath>
#include <string>
#include <vector>

#include "check.h"
#include "simd_level.h"

using namespace medmamba::cpu::MM_SIMD;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

namespace {

TestStream one_thread(1), two_threads(2);

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
void test_published_vectors() {
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

Floats random_values(int32_t distribution, int64_t count, int64_t seed, int64_t offset, float low, float high) {
    Floats y((size_t)count + 1, -77.0f), again((size_t)count + 1, -77.0f);
    mm_random_params params = {distribution, count, seed, offset, low, high, y.data()};
    check::that(random(&one_thread, &params) == MM_OK, "random");
    params.y = again.data();
    check::that(random(&two_threads, &params) == MM_OK, "random");
    check::same_bits("random on two threads", y.data(), again.data(), (count + 1) * (int64_t)sizeof(float));
    check::that(y.back() == -77.0f, "nothing is written behind the end");
    y.pop_back();
    return y;
}

// The uniforms are words shifted and scaled by powers of two, so they hold Philox to the bit.
void test_uniform(int64_t count, int64_t seed, int64_t offset) {
    const Floats y = random_values(MM_UNIFORM, count, seed, offset, 0.0f, 1.0f);
    Floats expected((size_t)count);
    for (int64_t i = 0; i < count; ++i) expected[i] = (float)naive_unit(seed, offset, i);
    check::same_bits("uniform", y.data(), expected.data(), count * (int64_t)sizeof(float));
    const Floats scaled = random_values(MM_UNIFORM, count, seed, offset, -3.0f, 5.0f);
    Doubles expected_scaled((size_t)count);
    for (int64_t i = 0; i < count; ++i) expected_scaled[i] = -3.0 + 8.0 * naive_unit(seed, offset, i);
    check::close("uniform -3..5", scaled.data(), expected_scaled.data(), count, 1e-6);
}

void test_normal(int64_t count, int64_t seed, int64_t offset) {
    const Floats y = random_values(MM_NORMAL, count, seed, offset, 0.5f, 2.0f);
    Doubles expected((size_t)count);
    for (int64_t i = 0; i < count; ++i) {
        const double radius = std::sqrt(-2.0 * std::log(1.0 - naive_unit(seed, offset, i & ~1)));
        const double angle = 2.0 * M_PI * naive_unit(seed, offset, i | 1);
        expected[i] = 0.5 + 2.0 * radius * (i % 2 ? std::sin(angle) : std::cos(angle));
    }
    check::close("normal", y.data(), expected.data(), count, 1e-6);
}

double normal_distribution(double z) { return 0.5 * std::erfc(-z * std::sqrt(0.5)); }

// The defining equation instead of another inverse: Phi((y - mean) / std) must be the uniform it came from.
void test_truncated_normal(int64_t count, float mean, float deviation) {
    const Floats y = random_values(MM_TRUNCATED_NORMAL, count, 11, 3, mean, deviation);
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
    check::that(wrong == 0, "truncated normal inverts the distribution function");
    check::that(outside == 0, "truncated normal stays within two units");
    if (deviation == 0.02f && count > 100000) {
        const double average = total / (double)count;
        check::that(std::fabs(average - mean) < 2e-4, "mean of the truncated normal");
        check::that(std::fabs(std::sqrt(squares / (double)count - average * average) - 0.02) < 1e-4,
                    "standard deviation of the truncated normal");
    }
}

void test_dropout(int64_t count, float rate) {
    Floats x((size_t)count), y((size_t)count), again((size_t)count), expected((size_t)count);
    for (int64_t i = 0; i < count; ++i) x[i] = (float)i - 3.5f;
    mm_dropout_params params = {count, 42, 1000, rate, x.data(), y.data()};
    check::that(dropout(&one_thread, &params) == MM_OK, "dropout");
    params.y = again.data();
    check::that(dropout(&two_threads, &params) == MM_OK, "dropout");
    check::same_bits("dropout on two threads", y.data(), again.data(), count * (int64_t)sizeof(float));
    const float scale = rate < 1.0f ? 1.0f / (1.0f - rate) : 0.0f;
    for (int64_t i = 0; i < count; ++i)
        expected[i] = x[i] * ((float)naive_unit(42, 1000, i) < rate ? 0.0f : scale);
    check::same_bits("dropout", y.data(), expected.data(), count * (int64_t)sizeof(float));

    const Floats factors = random_values(MM_BERNOULLI_SCALE, count, 42, 1000, rate, 0.0f);
    for (int64_t i = 0; i < count; ++i) expected[i] = x[i] * factors[i];
    check::same_bits("dropout is the factor of BERNOULLI_SCALE", y.data(), expected.data(),
                     count * (int64_t)sizeof(float));
}

void test_invalid_arguments() {
    float y = 5.0f;
    const mm_random_params negative = {MM_NORMAL, 1, 0, 0, 0.0f, -1.0f, &y}, unknown = {9, 1, 0, 0, 0.0f, 1.0f, &y};
    const mm_random_params rate = {MM_BERNOULLI_SCALE, 1, 0, 0, 1.5f, 0.0f, &y};
    const mm_dropout_params dropped = {1, 0, 0, NAN, &y, &y};
    check::that(random(&one_thread, &negative) == MM_INVALID_ARGUMENT, "a negative deviation");
    check::that(random(&one_thread, &unknown) == MM_INVALID_ARGUMENT, "an unknown distribution");
    check::that(random(&one_thread, &rate) == MM_INVALID_ARGUMENT, "a rate above one");
    check::that(dropout(&one_thread, &dropped) == MM_INVALID_ARGUMENT, "a rate that is no number");
    check::that(y == 5.0f, "outputs are untouched");
}

}  // namespace

int main() {
    if (!simd_level_runs_here()) return 0;
    test_published_vectors();
    for (int64_t count : {1, 2, 3, 4, 5, 15, 63, 64, 65, 257, 40003}) {
        test_uniform(count, 0, 0);
        test_uniform(count, 0x123456789abcdLL, 0xfffffffeLL);  // the counter's low word overflows
        test_uniform(count, -5, -2);
        test_normal(count, 7, 123456789012LL);
        for (float rate : {0.0f, 0.1f, 0.5f, 1.0f}) test_dropout(count, rate);
    }
    test_truncated_normal(300007, 0.0f, 0.02f);
    test_truncated_normal(5, 0.0f, 0.02f);
    test_truncated_normal(100003, 0.0f, 1.0f);
    test_truncated_normal(10007, 0.25f, 1.5f);
    test_truncated_normal(10007, 0.0f, 30.0f);
    test_invalid_arguments();
    return check::report();
}
