#include "processors.h"

#include <algorithm>
#include <cerrno>
#include <thread>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

namespace medmamba::cpu {

namespace {

#if defined(_WIN32)
constexpr int mask_bits = 8 * sizeof(DWORD_PTR);
#endif

std::vector<int> ask_system() {
    std::vector<int> processors;
#if defined(__linux__)
    // The kernel refuses a mask smaller than its own, so the mask grows until it fits.
    for (int most = CPU_SETSIZE; most <= CPU_SETSIZE * 64 && processors.empty(); most *= 2) {
        const size_t bytes = CPU_ALLOC_SIZE(most);
        cpu_set_t* set = CPU_ALLOC(most);
        if (!set) break;
        const bool known = sched_getaffinity(0, bytes, set) == 0;
        const bool too_small = !known && errno == EINVAL;
        for (int i = 0; known && i < most; ++i)
            if (CPU_ISSET_S(i, bytes, set)) processors.push_back(i);
        CPU_FREE(set);
        if (!too_small) break;
    }
#elif defined(_WIN32)
    // Windows divides more than 64 processors into groups. These are of the group that the process was started in.
    DWORD_PTR process = 0, system = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &process, &system))
        for (int i = 0; i < mask_bits; ++i)
            if (process >> i & 1) processors.push_back(i);
#endif
    const int hardware = std::max((int)std::thread::hardware_concurrency(), 1);
    for (int i = 0; processors.empty() && i < hardware; ++i) processors.push_back(i);
    return processors;
}

}  // namespace

const std::vector<int>& allowed_processors() {
    static const auto& processors = *new std::vector<int>(ask_system());
    return processors;
}

void stay_on([[maybe_unused]] int processor) {
#if defined(__linux__)
    cpu_set_t set;
    if (processor >= CPU_SETSIZE) return;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    // A refusal (a processor was taken away meanwhile) leaves the thread where it was, which is as good.
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
#elif defined(_WIN32)
    if (processor < mask_bits) SetThreadAffinityMask(GetCurrentThread(), DWORD_PTR(1) << processor);
#endif
}

}  // namespace medmamba::cpu
