#include "amx.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace medmamba::cpu {

namespace {

#if defined(__x86_64__) && defined(__linux__)

bool processor_has_it() {
    constexpr unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx & amx_bf16) && (edx & amx_tile);
}

// A thread's 8 KB of tiles are not part of what Linux keeps for it unless its process asks, because signal stacks of
// a fixed size might be too small for them. Before Linux 5.16 there is nothing to ask, and the call fails.
bool system_grants_it() {
    constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

#else

bool processor_has_it() { return false; }
bool system_grants_it() { return false; }

#endif

}  // namespace

bool has_amx_bfloat16() {
    static const bool has = processor_has_it() && system_grants_it();
    return has;
}

}  // namespace medmamba::cpu
