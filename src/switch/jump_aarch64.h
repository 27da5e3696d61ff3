// The jump from one C stack to another on AArch64 (ELF).
// Floor 2. What it declares and why: context_inline.h.
#pragma once

namespace luacoro {

// What lies on top of a stack that is left: a frame record, as the calling convention has it.
enum saved_word : unsigned char { saved_frame_pointer, saved_address };

// `to` stays in x1 for luacoro_first_frame. Nothing is in use below the stack pointer.
[[gnu::always_inline]] inline void jump(context& from, context& to) noexcept {
  register void* from_register asm("x0") = &from;
  register void* to_register asm("x1") = &to;
  asm volatile(
      "adr x2, 1f\n\t"
      "stp x29, x2, [sp, #-16]!\n\t"
      "mov x2, sp\n\t"
      "str x2, [x0]\n\t"
      "ldr x2, [x1]\n\t"
      "mov sp, x2\n\t"
      "ldp x29, x2, [sp], #16\n\t"
      "br x2\n\t"
      "1:\n\t"
      : "+r"(from_register), "+r"(to_register)
      :
      : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
        "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28",
        "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
        "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
        "v26", "v27", "v28", "v29", "v30", "v31",
#if defined(__ARM_FEATURE_SVE)
        "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13",
        "p14", "p15",
#endif
        "memory", "cc");
}

}  // namespace luacoro
