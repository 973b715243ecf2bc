// What the kernel tests share: a level's operations on a stream, run with one thread and with two, random arrays, and
// comparisons of arrays.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "simd_level.h"

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
using check::that;

#if !defined(MM_TEST_GPU)
// What an operation is called with. Only a GPU has to be given copies of the test's arrays (gpu/level.h).
template <class Params>
struct Passed {
    Passed(TestStream&, const char*, const Params& params) : params(params) {}
    const Params& params;
};
#endif

// ---- the run -------------------------------------------------------------------------------------------------

// The operations of the level that this test is compiled for, called with their structs.
class Kernels {
public:
    explicit Kernels(int threads) : stream_(threads) {}

#define MM_CALL_KERNEL(name)                                                         \
    mm_status name(const mm_##name##_params& params) {                               \
        const OperationScope scope(stream_);                                         \
        const Passed<mm_##name##_params> passed(stream_, #name, params);             \
        const auto run = medmamba::cpu::MM_SIMD::name;                               \
        return finished(stream_, run(&stream_, &passed.params));                     \
    }
    MM_OPERATIONS(MM_CALL_KERNEL)
#undef MM_CALL_KERNEL

    const char* last_error() const { return stream_.last_error; }
    TestStream& stream() { return stream_; }

    // No result may show what was in scratch memory before.
    void fill_scratch_with_nan() { ::fill_scratch_with_nan(stream_); }

    // From here on products round their factors to bfloat16, or do so and go through AMX; false where this level or
    // processor cannot.
    bool multiply_in_bfloat16() { return bfloat16_ = ::multiply_in_bfloat16(stream_); }
    bool multiply_by_amx() { return amx_ = ::multiply_by_amx(stream_); }
    bool multiplies_in_bfloat16() const { return bfloat16_; }
    // What a product makes of an element before it multiplies.
    double factor(float x) const { return bfloat16_ ? to_bfloat16(x) : x; }
    // Before the name of a case.
    std::string products() const { return amx_ ? "AMX " : bfloat16_ ? "bfloat16 " : ""; }

private:
    TestStream stream_;
    bool bfloat16_ = false, amx_ = false;
};

// What a test computed, to the bit: kept at its first run, compared at its second.
class Recorded {
public:
    template <class... Arrays>
    void keep(const std::string& name, const Arrays&... arrays) {
        Bytes bytes;
        const auto append = [&](const auto& array) {
            const auto* first = reinterpret_cast<const unsigned char*>(array.data());
            bytes.insert(bytes.end(), first, first + array.size() * sizeof array[0]);
        };
        (append(arrays), ...);
        if (first_run_) {
            kept_.emplace_back(name, std::move(bytes));
        } else {
            const bool same = next_ < kept_.size() && kept_[next_] == std::pair(name, std::move(bytes));
            that(same, same ? name : name + ": two threads do not give the bits of one");
            ++next_;
        }
    }

    void begin_second_run() { first_run_ = false; }
    bool all_were_compared() const { return next_ == kept_.size(); }

private:
    using Bytes = std::vector<unsigned char>;
    std::vector<std::pair<std::string, Bytes>> kept_;
    bool first_run_ = true;
    size_t next_ = 0;
};

// Runs the test with one thread, then with two, and answers with what main() returns.
inline int run_on_one_thread_and_two(const std::function<void(Kernels&, Recorded& results)>& test) {
    if (!simd_level_runs_here()) return 0;
    Recorded results;
    for (int threads : {1, 2}) {
        if (threads == 2) results.begin_second_run();
        Kernels kernels(threads);
        test(kernels, results);
    }
    that(results.all_were_compared(), "two threads give the bits of one");
    return check::report();
}

// ---- random arrays: the same ones at each run, told apart by their seeds ---------------------------------------

template <class Value, class Distribution>
std::vector<Value> random_values(int64_t count, uint32_t seed, Distribution distribution) {
    std::mt19937 generator(seed);
    std::vector<Value> values((size_t)count);
    for (Value& value : values) value = (Value)distribution(generator);
    return values;
}

inline Floats normal_floats(int64_t count, uint32_t seed, float mean = 0, float spread = 1) {
    return random_values<float>(count, seed, std::normal_distribution<float>(mean, spread));
}

inline Floats uniform_floats(int64_t count, uint32_t seed, float largest = 1) {
    return random_values<float>(count, seed, std::uniform_real_distribution<float>(-largest, largest));
}

// From 0 to `most`.
template <class Integer>
std::vector<Integer> uniform_integers(int64_t count, uint32_t seed, int64_t most) {
    return random_values<Integer>(count, seed, std::uniform_int_distribution<int64_t>(0, most));
}

// ---- rows that lie further apart than they are long -------------------------------------------------------------

// What nothing may be written over: between rows, and behind the end.
constexpr float untouched = 77.0f;

// Uniform rows `row` apart, with NaN between them, which no result may show.
inline Floats rows_beside_nan(int64_t rows, int64_t channels, int64_t row, uint32_t seed) {
    Floats values = uniform_floats(rows * row, seed);
    for (int64_t i = 0; i < rows; ++i)
        std::fill_n(values.data() + i * row + channels, row - channels, std::numeric_limits<float>::quiet_NaN());
    return values;
}

// Dense rows out of a matrix whose rows are `row` apart.
inline Floats dense(const Floats& wide, int64_t row, int64_t channels) {
    Floats values;
    for (size_t i = 0; i < wide.size(); ++i)
        if ((int64_t)i % row < channels) values.push_back(wide[i]);
    return values;
}

// The same, checking that what lies between was left `untouched`.
inline Floats dense_of_untouched(const std::string& name, const Floats& wide, int64_t row, int64_t channels) {
    bool kept = true;
    for (size_t i = 0; i < wide.size(); ++i) kept &= (int64_t)i % row < channels || wide[i] == untouched;
    that(kept, name + ": floats between the rows are left alone");
    return dense(wide, row, channels);
}

// ---- comparisons ---------------------------------------------------------------------------------------------

inline bool close(const std::string& what, const Floats& actual, const Doubles& expected, double tolerance) {
    return check::close(what, actual.data(), expected.data(), (int64_t)expected.size(), tolerance);
}

// For results that cancel: the error is measured by the size of what they are made of.
inline bool close_beside(const std::string& what, const Floats& actual, const Doubles& expected, double scale,
                         double tolerance) {
    return check::within(what, actual.data(), expected.data(), (int64_t)expected.size(),
                         tolerance * std::fmax(scale, 1e-30));
}

template <class Element>
bool same_bits(const std::string& what, const std::vector<Element>& actual, const std::vector<Element>& expected) {
    return that(actual.size() == expected.size(), what + ": size") &&
           check::same_bits(what, actual.data(), expected.data(), (int64_t)(actual.size() * sizeof(Element)));
}
