// What AddressSanitizer, ThreadSanitizer and valgrind must be told about contexts.
// Floor 2. An ordinary build has none of this: `instrumentation` is empty and does nothing.
//
// The sanitizers are found by the compiler's own macros; valgrind by the CMake option
// CORO_VALGRIND.
#pragma once

#include "stacks/c_stack.h"

#ifndef LUACORO_VALGRIND
#define LUACORO_VALGRIND 0
#endif
#if LUACORO_VALGRIND || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LUACORO_INSTRUMENTED 1
#else
#define LUACORO_INSTRUMENTED 0
#endif

namespace luacoro {

#if LUACORO_INSTRUMENTED

// Of one context, beside what the switch itself needs. Its functions are never inlined: they reach
// thread-local storage, whose address a compiler may keep across a switch.
class instrumentation {
 public:
  instrumentation() noexcept = default;
  ~instrumentation() { forget(); }
  instrumentation(const instrumentation&) = delete;
  instrumentation& operator=(const instrumentation&) = delete;

  // Frames start anew on this stack.
  void begin_on(const c_stack& stack) noexcept;
  // The stack goes back to the system.
  void forget() noexcept;
  // On the way out of this context, just before the jump.
  void leave_for(instrumentation& to) noexcept;
  // The first thing on arrival here.
  void arrive() noexcept;

 private:
  const void* lowest_ = nullptr;  // of the stack; the host's is found out on leaving it
  std::size_t size_ = 0;
  void* fake_stack_ = nullptr;  // AddressSanitizer's, for use after return
  void* fiber_ = nullptr;       // ThreadSanitizer's
  unsigned stack_id_ = 0;       // valgrind's
  bool has_stack_ = false;      // of coro's: not the host
};

#else

struct instrumentation {
  void begin_on(const c_stack&) noexcept {}
  void forget() noexcept {}
  void leave_for(instrumentation&) noexcept {}
  void arrive() noexcept {}
};

#endif

}  // namespace luacoro
