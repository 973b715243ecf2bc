#include "faults.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "language.h"
#include "memory.h"

namespace medmamba::cuda::emulator {

namespace {

// SIGILL is what the compiler's check of alignment ends in.
constexpr int signals[] = {SIGSEGV, SIGBUS, SIGILL};
constexpr size_t stack_bytes = 64 << 10;

pthread_t kernel_thread;

void on_fault(int signal, siginfo_t* info, void*) {
    if (!pthread_equal(pthread_self(), kernel_thread) || !running_operation()) {
        std::signal(signal, SIG_DFL);  // not the emulator's: happens again, and ends the process
        return;
    }
    char where[160], sentence[640];
    if (signal == SIGILL) {
        std::snprintf(where, sizeof where, "an address that is not aligned to what it is read or written as");
    } else {
        char place[128];
        describe_address(info->si_addr, place, sizeof place);
        std::snprintf(where, sizeof where, "address %p, %s", info->si_addr, place);
    }
    const int length = std::snprintf(
        sentence, sizeof sentence, "medmamba emulator: %s, block (%u, %u, %u), thread (%u, %u, %u): %s\n",
        running_operation(), blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, where);
    if (write(STDERR_FILENO, sentence, (size_t)length) < 0) _exit(1);
    std::signal(SIGABRT, SIG_DFL);
    std::abort();
}

// The handler's own stack: the fault may be that a thread's stack is full.
void give_thread_a_signal_stack() {
    thread_local void* stack = nullptr;
    if (stack) return;
    stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t description{};
    description.ss_sp = stack;
    description.ss_size = stack_bytes;
    if (stack != MAP_FAILED) sigaltstack(&description, nullptr);
}

}  // namespace

FaultMessages::FaultMessages() {
    give_thread_a_signal_stack();
    kernel_thread = pthread_self();
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int i = 0; i < 3; ++i) sigaction(signals[i], &action, &before_[i]);
}

FaultMessages::~FaultMessages() {
    for (int i = 0; i < 3; ++i) sigaction(signals[i], &before_[i], nullptr);
}

}  // namespace medmamba::cuda::emulator
