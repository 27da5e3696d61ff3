// What a failed thread leaves to whoever gets its error.
// Floor 3.
#pragma once

#include "threads/runtime.h"

namespace luacoro {

// The error of `yield` where nobody waits.
inline constexpr char not_resumed[] = "attempt to yield from a coroutine that was not resumed";

struct failure {
  lua_State* failed;
  runtime::shelf_slot text;  // the error; no_slot if it is on top of `failed`
  lua_State* recipient;      // suspended by coro
  waiting how;               // what the recipient waits in
  bool resumed;              // the recipient is the failed thread's resumer
  bool out_of_memory;

  [[nodiscard]] failure with(runtime::shelf_slot other) const noexcept {
    failure f = *this;
    f.text = other;
    return f;
  }
};

// Has a dead thread an error, on its top, that `close` has not told yet?
[[nodiscard]] bool has_error(const runtime& rt, lua_State* T) noexcept;
// That error, which is left there.                                                        to: [+1]
void push_error_of(lua_State* T, lua_State* to) noexcept;
// It has been told. What the innermost function has on the stack goes as well, but for that of a
// function in Lua, whose variables others may share.
void forget_error(const runtime& rt, lua_State* T) noexcept;

// Puts on the recipient's stack what its function returns or raises, and notes it in rt.arriving.
// A thread that is dead by its error keeps that on its top. Where memory runs out meanwhile, the
// traceback or the position is left away.                          MAY SWITCH (finalizers run).
void report_failure(runtime& rt, const failure& f) noexcept;

// The same for a thread that waits in `close`.
void report_close(runtime& rt, lua_State* T, int status, lua_State* closer) noexcept;

// Puts on the shelf what is not to be made then.                       MAY RAISE (memory). [-0, +0]
void prepare_reports(runtime& rt, lua_State* L);

}  // namespace luacoro
