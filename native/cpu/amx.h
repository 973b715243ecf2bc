// Whether this process may multiply bfloat16 by AMX, the matrix unit of Intel's servers from Sapphire Rapids on.
#pragma once

namespace medmamba::cpu {

// The processor has AMX-BF16, and the system has granted this process its registers, which it is asked once.
bool has_amx_bfloat16();

}  // namespace medmamba::cpu
