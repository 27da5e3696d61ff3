// The switch as inline assembly, for x86-64 (ELF).
// Floor 2.
//
// An out-of-line switch leaves the processor's return predictor one off, and the returns after it
// are mispredicted; inlined, there is no return. Only the frame pointer and the address to go on
// at are saved, on the stack that is left. Every other register is declared clobbered, so that the
// compiler saves around the switch just what it has in use there.
#pragma once

#include "stacks/c_stack.h"
#include "switch/instrumentation.h"

namespace luacoro {

using entry_function = void (*)(void* argument);

struct context {
  void* stack_pointer = nullptr;  // valid while nobody runs here
  [[no_unique_address]] instrumentation tools;
};

// What a new context goes on at (first_frame.S).
extern "C" [[gnu::visibility("hidden")]] void luacoro_first_frame();

// The first switch to `context` calls entry(argument) on `stack`.
inline void prepare_context(context& context, const c_stack& stack, entry_function entry,
                            void* argument) noexcept {
  context.tools.begin_on(stack);
  auto** top = static_cast<void**>(stack.start()) - 4;
  top[0] = reinterpret_cast<void*>(&luacoro_first_frame);
  top[1] = nullptr;  // the frame pointer: the outermost frame
  top[2] = reinterpret_cast<void*>(entry);
  top[3] = argument;
  context.stack_pointer = top;
}

// `to` stays in rsi for luacoro_first_frame. The 128 bytes below the stack pointer may be in use.
[[gnu::always_inline]] inline void jump(context& from, context& to) noexcept {
  void* from_register = &from;
  void* to_register = &to;
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"
      "pushq %%rbp\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "movq %%rsp, (%%rdi)\n\t"
      "movq (%%rsi), %%rsp\n\t"
      "popq %%rax\n\t"
      "popq %%rbp\n\t"
      "jmpq *%%rax\n\t"
      "1:\n\t"
      "leaq 128(%%rsp), %%rsp\n\t"
      : "+D"(from_register), "+S"(to_register)
      :
      : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",
        "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
        "xmm12", "xmm13", "xmm14", "xmm15", "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7",
        "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory", "cc");
}

}  // namespace luacoro
