#include "instructions.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace medmamba::cpu {

namespace {

#if defined(__x86_64__)

// Registers of one leaf of CPUID; zeros of one that the processor does not know. Intel SDM, volume 2A, CPUID.
struct Leaf {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    Leaf(unsigned leaf, unsigned subleaf) { __get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx); }
};

// The sets of registers that the system keeps for its threads (XCR0).
unsigned kept_registers() {
    unsigned low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

constexpr bool has_all(unsigned word, unsigned bits) { return (word & bits) == bits; }

Instructions ask_processor() {
    constexpr unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28;
    const Leaf first(1, 0), seventh(7, 0);
    if (!has_all(first.ecx, fma | osxsave | avx)) return {};
    const unsigned kept = kept_registers();
    constexpr unsigned xmm_and_ymm = 1u << 1 | 1u << 2;
    if (!has_all(kept, xmm_and_ymm)) return {};
#if defined(__APPLE__)
    const bool keeps_zmm = true;  // macOS begins to, and says so, when a thread first uses them
#else
    constexpr unsigned masks_and_zmm = 1u << 5 | 1u << 6 | 1u << 7;
    const bool keeps_zmm = has_all(kept, masks_and_zmm);
#endif
    constexpr unsigned avx2 = 1u << 5, f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31, bfloat16 = 1u << 5;
    const bool avx512 = keeps_zmm && has_all(seventh.ebx, f | dq | bw | vl);
    return {has_all(seventh.ebx, avx2), avx512, avx512 && has_all(Leaf(7, 1).eax, bfloat16)};
}

#else

Instructions ask_processor() { return {}; }

#endif

}  // namespace

const Instructions& instructions() {
    static const Instructions found = ask_processor();
    return found;
}

}  // namespace medmamba::cpu
