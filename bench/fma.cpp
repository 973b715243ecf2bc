// What a loop of nothing but fused multiply-adds gives on so many threads: no memory, no dependence that is longer
// than the units are deep. It prints one JSON object: multiply-adds a second, the best of several tries.
//
//   c++ -std=c++17 -O3 -march=native -pthread bench/fma.cpp -o fma && ./fma 2
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

// A vector of the widest registers, and as many sums at once as hide the latency: 4 cycles times 2 units, and more.
#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif
using Vector __attribute__((vector_size(lanes * sizeof(float)))) = float;
constexpr int sums = 12;
constexpr long steps = 20'000'000;

float multiply_add(float seed) {
    Vector sum[sums];
#pragma GCC unroll 12
    for (int i = 0; i < sums; ++i) sum[i] = Vector{} + seed * (float)i;
    const Vector factor = Vector{} + 0.999f, term = Vector{} + seed;
    for (long step = 0; step < steps; ++step) {
#pragma GCC unroll 12
        for (int i = 0; i < sums; ++i) sum[i] = sum[i] * factor + term;
    }
    Vector total{};
#pragma GCC unroll 12
    for (int i = 0; i < sums; ++i) total += sum[i];
    return total[0];
}

double seconds(int threads) {
    std::vector<std::thread> team;
    std::vector<float> results((size_t)threads);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < threads; ++i)
        team.emplace_back([&results, i] { results[(size_t)i] = multiply_add(1e-3f * (float)i); });
    for (std::thread& thread : team) thread.join();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int, char** arguments) {
    const int threads = arguments[1] ? std::max(1, std::atoi(arguments[1])) : 1;
    double best = seconds(threads);
    for (int i = 0; i < 4; ++i) best = std::min(best, seconds(threads));
    const double done = (double)threads * steps * sums * lanes;
    std::printf("{\"threads\": %d, \"multiplyAdds\": %.6g}\n", threads, done / best);
}
