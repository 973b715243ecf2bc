// Which GPU and which driver the emulator plays, as runtime.h tells.
#pragma once

#include <cstddef>

namespace medmamba::cuda::emulator {

// 10 times its compute capability: 90 for 9.0.
int capability();
// Ampere and newer: copies that finish later, tensor cores for bf16 and tf32.
bool has_sm80();
// Whether kernels were compiled for it.
bool has_code();
size_t shared_bytes_of_device();

// The CUDA that the driver supports, as cudaDriverGetVersion tells it: 11020 for 11.2.
int driver_version();
bool driver_has(int version);

}  // namespace medmamba::cuda::emulator
