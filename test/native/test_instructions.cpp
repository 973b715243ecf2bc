// Which instructions may be used, by Linux's own account of the processor.
#include "../../native/cpu/instructions.h"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "support/check.h"

namespace {

// The words of the first line of /proc/cpuinfo that begins with "flags": what the processor has and Linux keeps the registers of.
[[maybe_unused]] std::set<std::string> flags() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("flags", 0) != 0) continue;
        std::istringstream words(line.substr(line.find(':') + 1));
        std::set<std::string> found;
        for (std::string word; words >> word;) found.insert(word);
        return found;
    }
    return {};
}

}  // namespace

int main() {
    const medmamba::cpu::Instructions found = medmamba::cpu::instructions();
#if defined(__x86_64__) && defined(__linux__)
    const std::set<std::string> known = flags();
    const auto has = [&](const char* name) { return known.count(name) > 0; };
    const bool avx512 = has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl");
    check::that(!known.empty(), "/proc/cpuinfo has a line of flags");
    check::that(found.avx2 == (has("avx2") && has("fma")), "AVX2 and FMA");
    check::that(found.avx512 == avx512, "AVX-512 F, BW, DQ and VL");
    check::that(found.avx512_bfloat16 == (avx512 && has("avx512_bf16")), "AVX512-BF16");
#else
    check::that(found.avx2 || !found.avx512, "each has what comes before it");
    check::that(found.avx512 || !found.avx512_bfloat16, "each has what comes before it");
#endif
    return check::report();
}
