// What the kernel tests share: a level's operations on a stream, run with one thread and with two.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "simd_level.h"

using Bytes = std::vector<unsigned char>;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

// The operations of the level that this test is compiled for, called with their structs.
class Kernels {
public:
    explicit Kernels(int threads) : stream_(threads) {}

#define MM_CALL_KERNEL(name)                                                         \
    mm_status name(const mm_##name##_params& params) {                               \
        const OperationScope scope(stream_);                                         \
        return finished(stream_, medmamba::cpu::MM_SIMD::name(&stream_, &params));   \
    }
    MM_OPERATIONS(MM_CALL_KERNEL)
#undef MM_CALL_KERNEL

private:
    TestStream stream_;
};

// A case appends every byte of its results to `results`; two threads must reproduce those of one.
inline int run_on_one_thread_and_two(const std::function<void(Kernels&, Bytes& results)>& test_case) {
    if (!simd_level_runs_here()) return 0;
    Bytes results[2];
    for (int threads : {1, 2}) {
        Kernels kernels(threads);
        test_case(kernels, results[threads - 1]);
    }
    check::that(results[0] == results[1], "two threads give the bits of one");
    return check::report();
}

template <class... Arrays>
void append_bytes(Bytes& results, const Arrays&... arrays) {
    const auto append = [&](const auto& array) {
        const auto* first = reinterpret_cast<const unsigned char*>(array.data());
        results.insert(results.end(), first, first + array.size() * sizeof array[0]);
    };
    (append(arrays), ...);
}

inline Floats normal_floats(int64_t count, uint32_t seed, float mean = 0, float spread = 1) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> distribution(mean, spread);
    Floats values((size_t)count);
    for (float& value : values) value = distribution(generator);
    return values;
}

inline bool that(bool holds, const std::string& what) { return check::that(holds, what.c_str()); }

inline bool close(const std::string& what, const Floats& actual, const Doubles& expected, double tolerance) {
    return check::close(what.c_str(), actual.data(), expected.data(), (int64_t)expected.size(), tolerance);
}

// For results that cancel: the error is measured by the size of what they are made of.
inline bool close_beside(const std::string& what, const Floats& actual, const Doubles& expected, double scale,
                         double tolerance) {
    return check::within(what.c_str(), actual.data(), expected.data(), (int64_t)expected.size(),
                         tolerance * std::fmax(scale, 1e-30));
}
