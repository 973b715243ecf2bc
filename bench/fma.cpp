// What a loop of nothing but fused multiply-adds gives on so many threads: no memory, no dependence that is longer
// than the units are deep. It prints one JSON object: multiply-adds a second, the best of several tries, and the seconds
// of many equal windows in which the threads wait for each other a hundred times, as the operations of a network make
// them. How far the slowest of those lie above the median is the machine's doing.
//
//   c++ -std=c++17 -O3 -march=native -pthread bench/fma.cpp -o fma && ./fma 2
#include <algorithm>
#include <atomic>
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
constexpr int windows = 250, meetings = 100;
constexpr double window_seconds = 0.04;

__attribute__((noinline)) float multiply_add(float seed, long steps) {
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
        team.emplace_back([&results, i] { results[(size_t)i] = multiply_add(1e-3f * (float)i, steps); });
    for (std::thread& thread : team) thread.join();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Each thread does its part of a hundredth of a window, then waits for the others.
std::vector<double> window_times(int threads, double steps_a_second) {
    const long part = (long)(steps_a_second * window_seconds / meetings);
    std::atomic<long> arrived{0};
    std::vector<double> times;
    std::vector<float> results((size_t)threads);
    const auto work = [&](int thread) {
        for (long window = 0; window < windows; ++window) {
            const auto start = std::chrono::steady_clock::now();
            for (long meeting = 1; meeting <= meetings; ++meeting) {
                results[(size_t)thread] = multiply_add(1e-3f * (float)thread, part);
                arrived.fetch_add(1);
                while (arrived.load() < (window * meetings + meeting) * threads) {
                }
            }
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            if (thread == 0) times.push_back(took.count());
        }
    };
    std::vector<std::thread> team;
    for (int i = 1; i < threads; ++i) team.emplace_back(work, i);
    work(0);
    for (std::thread& thread : team) thread.join();
    return times;
}

}  // namespace

int main(int, char** arguments) {
    const int threads = arguments[1] ? std::max(1, std::atoi(arguments[1])) : 1;
    double best = seconds(threads);
    for (int i = 0; i < 4; ++i) best = std::min(best, seconds(threads));
    const double done = (double)threads * steps * sums * lanes;
    std::printf("{\"threads\": %d, \"multiplyAdds\": %.6g, \"windows\": [", threads, done / best);
    const std::vector<double> times = window_times(threads, steps / best);
    for (size_t i = 0; i < times.size(); ++i) std::printf("%s%.6f", i ? ", " : "", times[i]);
    std::printf("]}\n");
}
