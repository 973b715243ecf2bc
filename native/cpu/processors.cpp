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
    for (size_t sets = 1; sets <= 64 && processors.empty(); sets *= 2) {
        std::vector<cpu_set_t> mask(sets);
        const size_t bytes = sets * sizeof(cpu_set_t);
        const bool known = sched_getaffinity(0, bytes, mask.data()) == 0;
        const bool too_small = !known && errno == EINVAL;
        for (int i = 0; known && i < (int)(8 * bytes); ++i)
            if (CPU_ISSET_S((size_t)i, bytes, mask.data())) processors.push_back(i);
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
    if (processor >= (int)(8 * sizeof set)) return;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    // A refusal (a processor was taken away meanwhile) leaves the thread where it was, which is as good.
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
#elif defined(_WIN32)
    if (processor < mask_bits) SetThreadAffinityMask(GetCurrentThread(), DWORD_PTR(1) << processor);
#endif
}

}  // namespace medmamba::cpu
