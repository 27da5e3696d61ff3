// The switch: leave one C stack and go on where another was left.
// Floor 2: knows C stacks and the processor, not Lua. This header only picks the back end.
//
// Contract of every back end, for `switch_context(from, to)`:
//  - it returns when somebody switches to `from`; other code has run on this OS thread meanwhile;
//  - registers that the calling convention preserves are preserved, and so is the state of C++
//    exceptions in flight (exception_state.h); signal masks, floating-point control words, errno
//    and thread-local variables are shared by all contexts of the OS thread;
//  - addresses of thread-local variables may not be kept across it;
//  - an entry function never returns; it leaves for good by switching away.
#pragma once

// Chosen by the CMake option CORO_SWITCH; Boost.Context where there is no assembly for the
// processor, or the compiler has another syntax for it.
#if !defined(LUACORO_SWITCH_BOOST)
#define LUACORO_SWITCH_BOOST 0
#endif
#if !defined(__GNUC__) || !defined(__ELF__) || (!defined(__x86_64__) && !defined(__aarch64__))
#undef LUACORO_SWITCH_BOOST
#define LUACORO_SWITCH_BOOST 1
#endif

#if LUACORO_SWITCH_BOOST
#include "switch/context_boost.h"
#else
#include "switch/context_inline.h"
#endif
#include "switch/exception_state.h"

namespace luacoro {

// MAY SWITCH.
[[gnu::always_inline]] inline void switch_as_told(context& from, context& to) noexcept {
  from.tools.leave_for(to.tools);
  jump(from, to);
  from.tools.arrive();
}

// With C++ exceptions in flight here.                                                 MAY SWITCH.
void switch_with_exceptions(context& from, context& to) noexcept;

// MAY SWITCH.
[[gnu::always_inline]] inline void switch_context(context& from, context& to) noexcept {
  if (any_exceptions()) [[unlikely]] {
    switch_with_exceptions(from, to);
  } else {
    switch_as_told(from, to);
  }
}

}  // namespace luacoro
