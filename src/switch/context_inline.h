// The switch as inline assembly, for the processors that have a jump of their own (jump_*.h).
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

}  // namespace luacoro

#if defined(__x86_64__)
#include "switch/jump_x86_64.h"
#else
#include "switch/jump_aarch64.h"
#endif

namespace luacoro {

// What a new context goes on at (first_frame.S).
extern "C" [[gnu::visibility("hidden")]] void luacoro_first_frame();

// The first switch to `context` calls entry(argument) on `stack`.
inline void prepare_context(context& context, const c_stack& stack, entry_function entry,
                            void* argument) noexcept {
  context.tools.begin_on(stack);
  auto** top = static_cast<void**>(stack.start()) - 4;
  top[saved_address] = reinterpret_cast<void*>(&luacoro_first_frame);
  top[saved_frame_pointer] = nullptr;  // the outermost frame
  top[2] = reinterpret_cast<void*>(entry);
  top[3] = argument;
  context.stack_pointer = top;
}

}  // namespace luacoro
