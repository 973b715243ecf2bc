#include "thread_pool.h"

#include <chrono>
#include <new>
#include <string>
#include <system_error>

#include "processors.h"
#include "system.h"

namespace medmamba::cpu {

namespace {

// Loops of one training step follow each other within microseconds: spinning that long saves the helpers a
// trip through the kernel, and spinning no longer leaves the core to Node's own threads between steps.
constexpr auto spin_time = std::chrono::microseconds(30);

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");  // `yield` does nothing on most; this takes as long as a pause elsewhere
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

// The parts of ThreadPool::gate_.
constexpr uint64_t is_open = 1, one_inside = 2, one_loop = uint64_t(1) << 17;
uint64_t loop_of(uint64_t gate) { return gate / one_loop; }
bool is_empty(uint64_t gate) { return gate % one_loop < one_inside; }

bool placement_is_wanted() { return environment_variable("MEDMAMBA_PIN") != "0"; }

}  // namespace

ThreadPool::ThreadPool(int threads) {
    if (threads > 1 && placement_is_wanted()) processors_ = allowed_processors();
    if ((int)processors_.size() != threads) processors_.clear();
    try {
        helpers_.reserve(threads > 1 ? threads - 1 : 0);
        for (int worker = 1; worker < threads; ++worker) helpers_.emplace_back([this, worker] { help(worker); });
    } catch (const std::system_error& error) {
        // No destructor runs for what was not built to the end, and helpers wait on members that go now.
        const size_t started = helpers_.size() + 1;
        stop();
        throw std::system_error(error.code(), "only " + std::to_string(started) + " of " + std::to_string(threads) +
                                                  " threads could be had");
    }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
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
        const auto next_loop = loop_of(gate_.load(std::memory_order_relaxed)) + 1;
        gate_.store(next_loop * one_loop + is_open, std::memory_order_release);
    }
    wake_.notify_all();
    drain(0);
    // Closed, nobody enters any more; those inside must have left before the next loop may reset `next_`.
    gate_.fetch_sub(is_open, std::memory_order_acq_rel);
    const auto left = [this] { return is_empty(gate_.load(std::memory_order_acquire)); };
    if (!spin_until(left)) {
        std::unique_lock lock(mutex_);
        done_.wait(lock, left);
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

bool ThreadPool::enter(uint64_t* last) {
    uint64_t gate = gate_.load(std::memory_order_relaxed);
    while ((gate & is_open) && loop_of(gate) != *last) {
        if (!gate_.compare_exchange_weak(gate, gate + one_inside, std::memory_order_acquire)) continue;
        *last = loop_of(gate);
        return true;
    }
    return false;
}

void ThreadPool::help(int worker) {
    settle(worker);
    uint64_t last = 0;  // the loop that this helper was in
    for (;;) {
        bool inside = false;
        const auto has_entered = [&] { return (inside = enter(&last)) || stopping_; };
        if (!spin_until(has_entered)) {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, has_entered);
        }
        if (!inside) return;
        drain(worker);
        const uint64_t gate = gate_.fetch_sub(one_inside, std::memory_order_acq_rel) - one_inside;
        if (!(gate & is_open) && is_empty(gate)) {
            std::lock_guard lock(mutex_);
            done_.notify_one();
        }
    }
}

}  // namespace medmamba::cpu
