#include "thread_pool.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "processors.h"

namespace medmamba::cpu {

namespace {

// Loops of one training step follow each other within microseconds: spinning that long saves the helpers a
// trip through the kernel, and spinning no longer leaves the core to Node's own threads between steps.
constexpr auto spin_time = std::chrono::microseconds(30);

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

template <class Condition>
bool spin_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + spin_time;
    do {
        for (int i = 0; i < 64; ++i) {
            if (condition()) return true;
            relax();
        }
    } while (std::chrono::steady_clock::now() < deadline);
    return condition();
}

bool placement_is_wanted() {
    const char* setting = std::getenv("MEDMAMBA_PIN");
    return !setting || std::strcmp(setting, "0") != 0;
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
    if (threads > 1 && placement_is_wanted()) processors_ = allowed_processors();
    if ((int)processors_.size() != threads) processors_.clear();
    for (int worker = 1; worker < threads; ++worker) helpers_.emplace_back([this, worker] { help(worker); });
}

ThreadPool::~ThreadPool() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        round_.fetch_add(1);
    }
    wake_.notify_all();
    for (auto& helper : helpers_) helper.join();
}

void ThreadPool::run_erased(int64_t count, Call call, void* context) {
    if (helpers_.empty() || count <= 1) {
        for (int64_t i = 0; i < count; ++i) call(context, i, 0);
        return;
    }
    if (settled_ != std::this_thread::get_id()) {
        settle(0);
        settled_ = std::this_thread::get_id();
    }
    {
        std::lock_guard lock(mutex_);
        count_ = count;
        call_ = call;
        context_ = context;
        next_.store(0, std::memory_order_relaxed);
        active_.store((int)helpers_.size(), std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    drain(0);
    // Every helper must have left the loop before the next one may reset `next_`.
    const auto finished = [this] { return active_.load(std::memory_order_acquire) == 0; };
    if (!spin_until(finished)) {
        std::unique_lock lock(mutex_);
        done_.wait(lock, finished);
    }
    if (out_of_memory_.exchange(false)) throw std::bad_alloc();
}

void ThreadPool::drain(int worker) {
    // A task may run out of memory; no exception may leave a helper, so the caller throws for all of them.
    try {
        for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) call_(context_, i, worker);
    } catch (const std::bad_alloc&) {
        out_of_memory_.store(true, std::memory_order_relaxed);
    }
}

void ThreadPool::settle(int worker) const {
    if (!processors_.empty()) stay_on(processors_[worker]);
}

void ThreadPool::help(int worker) {
    settle(worker);
    uint64_t seen = 0;
    for (;;) {
        const auto changed = [&] { return round_.load(std::memory_order_acquire) != seen; };
        if (!spin_until(changed)) {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, changed);
        }
        if (stopping_) return;
        ++seen;
        drain(worker);
        if (active_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            std::lock_guard lock(mutex_);
            done_.notify_one();
        }
    }
}

}  // namespace medmamba::cpu
