#include "amx.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(_WIN32)
#include <windows.h>
#endif
#endif

namespace medmamba::cpu {

namespace {

#if defined(__x86_64__)

bool processor_has_it() {
    constexpr unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx & amx_bf16) && (edx & amx_tile);
}

#else
bool processor_has_it() { return false; }
#endif

#if defined(__x86_64__) && defined(__linux__)

// A thread's 8 KB of tiles are not part of what Linux keeps for it unless its process asks, because signal stacks of
// a fixed size might be too small for them. Before Linux 5.16 there is nothing to ask, and the call fails.
bool system_grants_it() {
    constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

#elif defined(__x86_64__) && defined(_WIN32)

// Windows 11 and Server 2022 ask for the same. Before them, and in Wine 8, there is no such call.
// https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-enableprocessoptionalxstatefeatures
bool system_grants_it() {
    constexpr DWORD64 tile_data = DWORD64(1) << 18;  // XSTATE_MASK_AMX_TILE_DATA
    using Enable = BOOL(WINAPI*)(DWORD64);
    const HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
    const auto enable = reinterpret_cast<Enable>(
        reinterpret_cast<void*>(GetProcAddress(kernel, "EnableProcessOptionalXStateFeatures")));
    return enable && enable(tile_data);
}

#else
bool system_grants_it() { return false; }
#endif

}  // namespace

bool has_amx_bfloat16() {
    static const bool has = processor_has_it() && system_grants_it();
    return has;
}

}  // namespace medmamba::cpu
