// Where a new context begins (context_inline.h): the outermost frame, at which whoever unwinds a C
// stack ends. Floor 2. A file of its own because link-time optimisation loses assembly in C++.

#if LUACORO_SWITCH_BOOST
// context_boost.h needs none.
#elif defined(__x86_64__)

        .text
        .hidden luacoro_first_frame
        .globl  luacoro_first_frame
        .type   luacoro_first_frame, @function
luacoro_first_frame:
        .cfi_startproc
        .cfi_undefined rip
        movq    %rsi, %rdi              # the context
        popq    %rsi                    # what prepare_context left: the entry
        popq    %rdx                    # and its argument
        call    luacoro_begin_context
        ud2
        .cfi_endproc
        .size   luacoro_first_frame, .-luacoro_first_frame
        .hidden luacoro_begin_context

#elif defined(__aarch64__)

        .text
        .hidden luacoro_first_frame
        .globl  luacoro_first_frame
        .type   luacoro_first_frame, @function
luacoro_first_frame:
        .cfi_startproc
        .cfi_undefined x30
        mov     x0, x1                  // the context
        ldp     x1, x2, [sp], #16       // what prepare_context left: the entry and its argument
        bl      luacoro_begin_context
        brk     #1
        .cfi_endproc
        .size   luacoro_first_frame, .-luacoro_first_frame
        .hidden luacoro_begin_context

#endif

        .section .note.GNU-stack, "", %progbits
