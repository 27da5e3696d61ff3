// Raising an error in a thread that cannot raise it itself: one that yielded and has no
// continuation of coro's to go on in (5.1, LuaJIT, and after a standard yield on every version).
// Floor 3.
//
// The thread is continued with no values and under a hook, which raises in the return of the C
// function that it yields in. LuaJIT calls no hook there; it is the next instruction then, of the
// Lua function that called it.
#pragma once

#include "threads/runtime.h"

namespace luacoro {

// The error is on top of rt.scratch. To be followed by running the thread.
void raise_when_continued(runtime& rt, lua_State* T) noexcept;

// After it ran: did it end before the hook was called? If so the error is on T's top now, and T's
// hook is what it was.
[[nodiscard]] bool take_back_error(runtime& rt, lua_State* T) noexcept;

}  // namespace luacoro
