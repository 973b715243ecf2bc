// Conversions between all pairs of dtypes, value by value.
#include <limits>

#include "support/kernel_case.h"

namespace {

// Every float that a dtype treats in a way of its own, and ordinary ones around them.
Floats interesting_floats() {
    Floats values = {0.0f, -0.0f, 0.99f, -0.99f, 1.5f, -1.5f, 254.9f, 255.0f, 255.5f, 256.0f, 300.0f, -3.0f, 1e-40f,
                     2147483520.0f, 2147483648.0f, -2147483648.0f, -2147483904.0f, 3e9f, 9.2233715e18f, 9.2233720e18f,
                     -9.2233720e18f, 1e20f, -1e20f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN};
    const Floats normal = normal_floats(500, 1, 0, 100);
    values.insert(values.end(), normal.begin(), normal.end());
    return values;
}

template <class Integer>
Integer nearest_below(float x) {
    using Limits = std::numeric_limits<Integer>;
    if (std::isnan(x)) return 0;
    if ((double)x >= std::ldexp(1.0, Limits::digits)) return Limits::max();
    if ((double)x <= (double)Limits::min()) return Limits::min();
    return (Integer)x;
}

template <class From, class To, class Convert>
void pair_case(Kernels& kernels, Recorded& results, const char* name, int from, int to, const std::vector<From>& x,
               Convert convert) {
    for (size_t count : {(size_t)0, (size_t)1, (size_t)7, (size_t)33, x.size()}) {
        std::vector<To> y(count + 1, To{3}), want;
        for (size_t i = 0; i < count; ++i) want.push_back(convert(x[i]));
        want.push_back(To{3});
        that(kernels.cast({(int64_t)count, from, to, x.data(), y.data()}) == MM_OK, name);
        same_bits(name, y, want);
        results.keep(name, y);
    }
}

float widened(uint16_t upper) {
    const uint32_t word = (uint32_t)upper << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
}

// The bfloat16 nearest to x, even where two are: found by trying the neighbours of the truncated one.
uint16_t rounded(float x) {
    uint32_t word;
    std::memcpy(&word, &x, sizeof word);
    const uint16_t below = (uint16_t)(word >> 16);
    if (std::isnan(x)) return (uint16_t)(below | 0x40);
    if (std::isinf(x)) return below;
    const double step_back = std::fabs((double)x - (double)widened(below));
    const bool largest = (below & 0x7fff) == 0x7f7f;
    const double above = largest ? std::ldexp(1.0, 128) : std::fabs((double)widened((uint16_t)(below + 1)));
    const double step_on = std::fabs(above - std::fabs((double)x));
    if (step_back == step_on) return (uint16_t)(below + (below & 1));
    return (uint16_t)(below + (step_on < step_back));
}

template <class From>
void from_integers(Kernels& kernels, Recorded& results, const char* name, int from, const std::vector<From>& x) {
    pair_case<From, float>(kernels, results, name, from, MM_FLOAT32, x, [](From v) { return (float)v; });
    pair_case<From, uint16_t>(kernels, results, name, from, MM_BFLOAT16, x, [](From v) { return rounded((float)v); });
    pair_case<From, int32_t>(kernels, results, name, from, MM_INT32, x, [](From v) { return (int32_t)v; });
    pair_case<From, int64_t>(kernels, results, name, from, MM_INT64, x, [](From v) { return (int64_t)v; });
    pair_case<From, uint8_t>(kernels, results, name, from, MM_UINT8, x, [](From v) { return (uint8_t)v; });
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        const Floats x = interesting_floats();
        pair_case<float, float>(kernels, results, "float32 to float32", MM_FLOAT32, MM_FLOAT32, x,
                                [](float v) { return v; });
        pair_case<float, uint16_t>(kernels, results, "float32 to bfloat16", MM_FLOAT32, MM_BFLOAT16, x, rounded);
        pair_case<float, int32_t>(kernels, results, "float32 to int32", MM_FLOAT32, MM_INT32, x,
                                  nearest_below<int32_t>);
        pair_case<float, int64_t>(kernels, results, "float32 to int64", MM_FLOAT32, MM_INT64, x,
                                  nearest_below<int64_t>);
        pair_case<float, uint8_t>(kernels, results, "float32 to uint8", MM_FLOAT32, MM_UINT8, x,
                                  nearest_below<uint8_t>);

        std::vector<uint16_t> halves(65536);
        for (size_t i = 0; i < halves.size(); ++i) halves[i] = (uint16_t)i;
        pair_case<uint16_t, float>(kernels, results, "bfloat16 to float32", MM_BFLOAT16, MM_FLOAT32, halves, widened);
        pair_case<uint16_t, uint16_t>(kernels, results, "bfloat16 to bfloat16", MM_BFLOAT16, MM_BFLOAT16, halves,
                                      [](uint16_t v) { return v; });
        pair_case<uint16_t, int32_t>(kernels, results, "bfloat16 to int32", MM_BFLOAT16, MM_INT32, halves,
                                     [](uint16_t v) { return nearest_below<int32_t>(widened(v)); });
        pair_case<uint16_t, int64_t>(kernels, results, "bfloat16 to int64", MM_BFLOAT16, MM_INT64, halves,
                                     [](uint16_t v) { return nearest_below<int64_t>(widened(v)); });
        pair_case<uint16_t, uint8_t>(kernels, results, "bfloat16 to uint8", MM_BFLOAT16, MM_UINT8, halves,
                                     [](uint16_t v) { return nearest_below<uint8_t>(widened(v)); });

        std::vector<int32_t> words = {0, 1, -1, 255, 256, -300, 16777217, 2147483647, -2147483647 - 1};
        std::vector<int64_t> longs = {0, -1, 300, 16777217, (int64_t)1 << 40, INT64_MAX, INT64_MIN};
        std::vector<uint8_t> bytes, y(4);
        for (int i = 0; i < 256; ++i) {
            bytes.push_back((uint8_t)i);
            words.push_back(i * 7919 * 1000);
            longs.push_back((int64_t)i * 7919 * 1000003 * (i % 2 ? 1 : -1));
        }
        from_integers(kernels, results, "from int32", MM_INT32, words);
        from_integers(kernels, results, "from int64", MM_INT64, longs);
        from_integers(kernels, results, "from uint8", MM_UINT8, bytes);
        that(kernels.cast({1, 9, 0, bytes.data(), y.data()}) == MM_INVALID_ARGUMENT, "cast refuses an unknown dtype");
    });
}
