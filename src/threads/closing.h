// Ending a suspended thread from outside.
// Floor 3.
//
// A thread that is merely suspended is closed as 5.4 does it: its to-be-closed variables are closed
// and it is dead. Where C frames are in between (pinned), or the version has no way to reset a
// thread, it is unwound: continued with an error, and whenever a pcall has caught that, it is
// raised again before the next instruction of any function that was active when it was closed.
// Functions called meanwhile (message handlers, __close and __gc metamethods) run undisturbed.
#pragma once

#include "threads/departure.h"

namespace luacoro {

// How many functions are active in the thread, one called by the other.
[[nodiscard]] int depth_of(lua_State* L) noexcept;

inline constexpr const char* closing_text = "coroutine closed";

// Must it be unwound?
[[nodiscard]] bool needs_unwinding(const runtime& rt, lua_State* T, const place& at) noexcept;

// The error in `d.to` will come again whenever it is caught. Between reserve and hand_over.
void start_unwinding(runtime& rt, const departure& d) noexcept;

// The base of the carrier is dead.
void end_unwinding(runtime& rt, carrier& c) noexcept;
// It was collected.
void forget_unwinding(runtime& rt, carrier& c) noexcept;

// lua::close, whose __close metamethods run on the C stack that this is called on. What they close
// is closed inside, so many times as Lua lets C functions call each other. MAY SWITCH. T: [?, +?]
inline constexpr unsigned most_closes = 190;
int close_here(runtime& rt, lua_State* T) noexcept;

}  // namespace luacoro
