// Switching between stacks: all that fibers are made of.
#pragma once

namespace medmamba::cuda::emulator {

// Keeps this stack's place in *here and goes on where `there` was kept. Returns when somebody switches back.
extern "C" void medmamba_emulator_switch(void** here, void* there);

// A stack that ends at `top` and, once switched to, calls entry(), which must not return. Gives its place.
void* new_stack(void* top, void (*entry)());

}  // namespace medmamba::cuda::emulator
