// The team of threads: every index once, whatever the number of threads and however late they come.
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>
#include <vector>

#include "../../native/cpu/thread_pool.h"
#include "support/check.h"

using medmamba::cpu::ThreadPool;

namespace {

// Loops follow each other at once, so that helpers are still spinning, or after a pause, so that they sleep; long ones
// and those that the caller has done before a helper is there.
void every_index_once(int threads) {
    ThreadPool pool(threads);
    check::that(pool.threads() == threads, "as many threads as asked for");
    std::vector<std::atomic<int>> calls(1000);
    bool once = true, known = true;
    for (int loop = 0; loop < 3000; ++loop) {
        const int count = loop % 7 == 0 ? 1000 : loop % 5;
        for (auto& call : calls) call = 0;
        std::atomic<bool> strange{false};
        pool.run(count, [&](int64_t index, int worker) {
            calls[(size_t)index].fetch_add(1);
            if (worker < 0 || worker >= threads) strange = true;
        });
        known &= !strange;
        for (int i = 0; i < 1000; ++i) once &= calls[(size_t)i] == (i < count ? 1 : 0);
        if (loop % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    check::that(once, "every index once, and none after the loop has returned");
    check::that(known, "workers have numbers below the number of threads");
}

// What a loop wrote is there when it returns.
void results_are_visible(int threads) {
    ThreadPool pool(threads);
    std::vector<int64_t> values(257);
    bool right = true;
    for (int64_t loop = 1; loop < 3000; ++loop) {
        pool.run((int64_t)values.size(), [&](int64_t index, int) { values[(size_t)index] = loop * index; });
        for (size_t i = 0; i < values.size(); ++i) right &= values[i] == loop * (int64_t)i;
    }
    check::that(right, "results of a loop are there when it has returned");
}

void out_of_memory(int threads) {
    ThreadPool pool(threads);
    bool thrown = false;
    try {
        pool.run(100, [](int64_t index, int) {
            if (index == 50) throw std::bad_alloc();
        });
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    check::that(thrown, "a task that runs out of memory makes the loop throw");
    std::atomic<int> calls{0};
    pool.run(100, [&](int64_t, int) { ++calls; });
    check::that(calls == 100, "and the next loop is whole");
}

// The loop ends with its tasks, not with a helper that has no processor: here, one for each of many helpers.
void ends_without_helpers() {
    ThreadPool pool((int)std::thread::hardware_concurrency() * 8);
    std::atomic<int64_t> calls{0};
    for (int loop = 0; loop < 200; ++loop) pool.run(64, [&](int64_t, int) { ++calls; });
    check::that(calls == 200 * 64, "more threads than processors");
}

#if defined(__linux__)
// Helpers have a stack of their own size where the system's default is small, as musl's is.
void stacks_are_large_enough() {
    pthread_attr_t small, usual;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 << 10);
    check::that(pthread_getattr_default_np(&usual) == 0 && pthread_setattr_default_np(&small) == 0, "a default of 128 KB");
    std::atomic<size_t> helpers_stack{0};
    {
        ThreadPool pool(2);
        while (!helpers_stack) {
            pool.run(2, [&](int64_t, int worker) {
                if (worker == 0) return std::this_thread::sleep_for(std::chrono::milliseconds(1));
                pthread_attr_t own;
                size_t bytes = 0;
                pthread_getattr_np(pthread_self(), &own);
                pthread_attr_getstacksize(&own, &bytes);
                pthread_attr_destroy(&own);
                helpers_stack = bytes;
            });
        }
    }
    pthread_setattr_default_np(&usual);
    // musl counts what it has put there itself, the thread's own variables.
    check::that(helpers_stack >= medmamba::cpu::Thread::least_stack * 9 / 10, "stacks of 1 MB where the default is 128 KB");
}
#endif

}  // namespace

int main() {
#if defined(__linux__)
    stacks_are_large_enough();
#endif
    for (int threads : {1, 2, 3, 8}) {
        every_index_once(threads);
        results_are_visible(threads);
        out_of_memory(threads);
    }
    ends_without_helpers();
    return check::report();
}
