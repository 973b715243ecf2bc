// A switch is a function call to the compiler: it saves what a caller may expect to be saved, and nothing else.
#include "context.h"

#include <cstdint>

namespace medmamba::cuda::emulator {

#if defined(__x86_64__)

asm(R"(
    .text
    .p2align 4
    .hidden medmamba_emulator_switch
    .globl medmamba_emulator_switch
    .type medmamba_emulator_switch, @function
medmamba_emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size medmamba_emulator_switch, . - medmamba_emulator_switch
)");

// Six registers, the address that `ret` goes to, and above it the return address of `entry`, which is none.
void* new_stack(void* top, void (*entry)()) {
    uint64_t* place = reinterpret_cast<uint64_t*>(reinterpret_cast<uintptr_t>(top) & ~uintptr_t(15)) - 8;
    for (int i = 0; i < 8; ++i) place[i] = 0;
    place[6] = reinterpret_cast<uint64_t>(entry);
    return place;
}

#elif defined(__aarch64__)

asm(R"(
    .text
    .p2align 4
    .hidden medmamba_emulator_switch
    .globl medmamba_emulator_switch
    .type medmamba_emulator_switch, %function
medmamba_emulator_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size medmamba_emulator_switch, . - medmamba_emulator_switch
)");

// Twenty registers; `ret` goes to the one numbered 30, the twelfth.
void* new_stack(void* top, void (*entry)()) {
    uint64_t* place = reinterpret_cast<uint64_t*>(reinterpret_cast<uintptr_t>(top) & ~uintptr_t(15)) - 20;
    for (int i = 0; i < 20; ++i) place[i] = 0;
    place[11] = reinterpret_cast<uint64_t>(entry);
    return place;
}

#else
#error "the CUDA emulator switches stacks on x86-64 and aarch64 only"
#endif

}  // namespace medmamba::cuda::emulator
