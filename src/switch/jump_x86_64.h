// The jump from one C stack to another on x86-64 (ELF).
// Floor 2. What it declares and why: context_inline.h.
#pragma once

namespace luacoro {

// What lies on top of a stack that is left.
enum saved_word : unsigned char { saved_address, saved_frame_pointer };

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
