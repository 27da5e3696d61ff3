// Where C++ meets Lua: problems become Lua errors here and nowhere below.
// Floor 4. A function here may raise, so no frame of it holds an object with a destructor.
#pragma once

#include "threads/departure.h"
#include "threads/plain_departure.h"

namespace luacoro {

// The text for a problem, formatted with the settings in force.        MAY RAISE (memory). [-0, +1]
void push_problem(lua_State* L, const runtime& rt, problem why, const char* verb);

// Raises it, with the caller's position.
[[noreturn]] void raise_problem(lua_State* L, const runtime& rt, problem why, const char* verb);

// luaL_error, which does not say that it never returns.
template <typename... Figures>
[[noreturn]] void raise_text(lua_State* L, const char* format, Figures... figures) {
  luaL_error(L, format, figures...);
  __builtin_unreachable();
}

// The first argument as a thread, or the standard's argument error.
lua_State* check_thread(lua_State* L);

[[noreturn]] void raise_type_error(lua_State* L, int index, const char* expected);

// The first argument of a transfer; nothing at all is `nil`, too.
lua_State* check_target_argument(lua_State* L, const runtime& rt);

// What is wrong with the place of a target, for `transfer` and its like.
[[nodiscard]] problem check_target(const runtime& rt, const departure& d) noexcept;

// Reserves, making what is missing. `find_target(d)` finds d.at and says whether it will do; it is
// asked anew if something was made, since foreign code may have run. MAY SWITCH (a collection may
// run).
template <typename Find>
[[nodiscard]] inline problem prepare(runtime& rt, departure& d, Find find_target) noexcept {
  for (;;) {
    if (const problem why = find_target(d); why != problem::none) [[unlikely]]
      return why;
    const problem why = reserve(rt, d);
    if (why != problem::unprepared) [[likely]]
      return why;
    const problem in_vain = prepare_to_mount(rt, d.from, d.at.on);
    if (in_vain == problem::none) continue;
    const bool lacks_stack = in_vain == problem::no_stacks || in_vain == problem::no_mapping;
    if (!lacks_stack || d.needs_unmount || !can_unmount(rt, d.from, *rt.current)) return in_vain;
    d.needs_unmount = true;
  }
}

// For `prepare`: a thread that is named.
[[nodiscard]] inline auto by_ticket(const runtime& rt) noexcept {
  return [&rt](departure& d) {
    d.at = find(rt, d.to);
    return check_target(rt, d);
  };
}

// For `prepare`: the resumer, if it still waits.
[[nodiscard]] inline auto by_link(const runtime& rt, const resumer_link& link) noexcept {
  return [&rt, &link](departure& d) {
    d.at = find_resumer(rt, link);
    return takes_values(d.at) ? problem::none : problem::not_resumed;
  };
}

// For `resume` and the functions that `wrap` makes.          MAY SWITCH (a collection may run).
[[nodiscard]] problem prepare_resume(runtime& rt, departure& d) noexcept;
// The standard's text for it.                                          MAY RAISE (memory). [-0, +1]
void push_refusal(lua_State* L, const runtime& rt, problem why);
// Raises it with the caller's position, as the functions that `wrap` makes do.
[[noreturn]] void raise_refusal(lua_State* L, const runtime& rt, problem why);

// The three steps, to be returned by the C function.                  MAY SWITCH, MAY RAISE.
inline int go(lua_State* L, runtime& rt, departure& d) {
  hand_over(rt, d);
  return leave(L, rt, d);
}

// The current thread leaves for `to` with the n values on top, main for null; to be returned by
// whatever C function it is in. Below what belongs to its ticket stands the mark then.
//                                                                     MAY SWITCH, MAY RAISE.
int leave_with_mark(lua_State* L, runtime& rt, lua_State* to, int n, const void* mark);

// Argument 1 must be a function; further ones are dropped.
void check_function(lua_State* L);
// A new thread for the function on top.                                MAY RAISE (memory). [-0, +1]
lua_State* push_thread_for(lua_State* L, runtime& rt);

// May one more thread be closed inside others here?    MAY RAISE (C stack overflow: no). [-0, +0]
void check_closes(lua_State* L, const runtime& rt);

// What `status` says of a thread, asked in L.
enum class status_word : std::uint8_t { suspended, running, normal, dead };
[[nodiscard]] status_word status_of(const runtime& rt, lua_State* L, lua_State* T) noexcept;

// To the module, which is on top: `await`.                            MAY RAISE (memory). [-0, +0]
void add_await(lua_State* L);

// The functions of the module. Those with a general twin are for plain departures first; where the
// layout of this Lua is not known the twin takes their place.
namespace edges {
int create(lua_State* L);
int wrap(lua_State* L);
int safewrap(lua_State* L);
int transfer(lua_State* L);
int transfer_in_general(lua_State* L);
int ptransfer(lua_State* L);
int ptransfer_in_general(lua_State* L);
int throw_error(lua_State* L);
int resume(lua_State* L);
int resume_in_general(lua_State* L);
int resume_wrapped(lua_State* L);
int resume_wrapped_in_general(lua_State* L);
int yield(lua_State* L);
int yield_in_general(lua_State* L);
int close(lua_State* L);
int current(lua_State* L);
int running(lua_State* L);
int status(lua_State* L);
int isyieldable(lua_State* L);
int stats(lua_State* L);
int configure(lua_State* L);
}  // namespace edges

}  // namespace luacoro
