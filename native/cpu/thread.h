// A thread whose stack is large enough wherever it runs. std::thread takes the system's default, which is 8 MB with glibc, but
// 512 KB on macOS and 128 KB with musl: kernels need a tenth of that (9 KB the deepest, by GCC's -fstack-usage), but what else
// may run on a thread (signal handlers with the registers of AVX-512 and AMX, checkers such as AddressSanitizer) is not ours.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>

namespace medmamba::cpu {

class Thread {
public:
    static constexpr size_t least_stack = size_t(1) << 20;

    // Throws std::system_error if the system gives no thread. As with std::thread, it has to be joined.
    explicit Thread(std::function<void()> body);
    Thread(Thread&& other) noexcept : thread_(other.thread_), joinable_(other.joinable_) { other.joinable_ = false; }
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;

    bool joinable() const { return joinable_; }
    void join();

private:
    pthread_t thread_;
    bool joinable_ = true;
};

}  // namespace medmamba::cpu
