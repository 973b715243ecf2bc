// Which instructions beyond x86-64's first this process may use: the processor has them, and the system keeps their registers.
//
// Not __builtin_cpu_supports, whose table is a part of GCC's library that other compilers' libraries (Zig's) have not.
#pragma once

namespace medmamba::cpu {

struct Instructions {
    bool avx2;             // AVX2 and FMA
    bool avx512;           // AVX-512 F, BW, DQ and VL
    bool avx512_bfloat16;  // AVX512-BF16
};

// All false on other processors. Asked once.
const Instructions& instructions();

}  // namespace medmamba::cpu
