// A fixed team of threads that runs one indexed loop at a time.
//
// The calling thread is worker 0. Which worker runs which index is left to chance, so a task may use the
// worker number for scratch memory only, never for the result: results must not depend on the team's size.
//
// A helper takes part if it comes in time. The caller waits for those that have entered a loop, not for those that are
// still to be woken: where other threads want the processors too (Node's own, at the beginning of every step), a helper
// may get its turn only when the others have long finished the work.
//
// A team that is as large as the process's share of the machine keeps each worker on a processor of its own: left
// to itself, a scheduler that packs threads to save power puts a helper beside the caller and halves the speed
// (measured: 57 GFLOP/s a thread instead of 114). MEDMAMBA_PIN=0 leaves placement to the system.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "thread.h"

namespace medmamba::cpu {

class ThreadPool {
public:
    // Throws std::system_error, with no thread left behind, if the system gives fewer.
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return (int)helpers_.size() + 1; }

    // Calls task(index, worker) once for every index in [0, count) and returns when all have returned.
    template <class Task>
    void run(int64_t count, Task&& task) {
        run_erased(count, [](void* context, int64_t index, int worker) {
            (*static_cast<std::remove_reference_t<Task>*>(context))(index, worker);
        }, &task);
    }

private:
    using Call = void (*)(void* context, int64_t index, int worker);
    void run_erased(int64_t count, Call call, void* context);
    void stop();
    void help(int worker);
    // Whether this helper is now inside a loop other than `*last`, which that loop's number then is.
    bool enter(uint64_t* last);
    void drain(int worker);
    void settle(int worker) const;

    std::vector<int> processors_;  // one for each worker, or empty: workers go where the system puts them
    std::thread::id settled_;      // the calling thread that was placed last
    std::vector<Thread> helpers_;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    // Number of the loop | helpers inside (16 bits) | open (1 bit): who may enter is decided by one exchange.
    std::atomic<uint64_t> gate_{0};
    std::atomic<int64_t> next_{0};
    int64_t count_ = 0;
    Call call_ = nullptr;
    void* context_ = nullptr;
    std::atomic<bool> stopping_{false}, out_of_memory_{false};
};

}  // namespace medmamba::cpu
