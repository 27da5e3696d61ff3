// The current thread leaves for another one.
// Floor 3. This is the general way; the most frequent one is in plain_departure.h.
//
//   departure d{...};
//   problem why = reserve(rt, d)     may fail; nothing has changed then
//   hand_over(rt, d)                 values, links, tickets; cannot fail
//   leave(rt, d)                     MAY SWITCH; returns when somebody continues the thread
//
// A departing thread either stays mounted: `leave` jumps to another carrier and its C frames wait.
// Or it is unmounted: it yields to its base loop, which runs the target if that is the carrier's
// base by now, or else leaves the carrier idle.
#pragma once

#include "threads/collection.h"
#include "threads/mounting.h"
#include "threads/ticket.h"

namespace luacoro {

struct departure {
  lua_State* from;  // the current thread
  lua_State* to;
  place at;                    // where `to` stands
  int values;                  // on top of `from`, for `to`
  waiting how;                 // what `from` will wait in
  bool resumes = false;        // `from` becomes the resumer of `to`
  bool error = false;          // the one value is raised in `to`
  bool shaped = false;         // the values are what `to` gets, status included
  bool needs_unmount = false;  // there is no C stack to stay mounted on
  // Found by `reserve`:
  bool unmounts = false;
  bool is_warm = false;  // could be unmounted, but is not
  bool enters_finalizer = false;
  bool leaves_worker = false;
  carrier* there = nullptr;  // that `to` will run on
};

// So many values fit on the Lua stack of any thread that coro suspended or that is fresh: a C
// function of coro's has LUA_MINSTACK slots, of which at most 7 are taken by what belongs to a
// ticket; for those of others, `leave_with_mark` makes that room.
inline constexpr int sure_room = lua::free_slots - 7;

// Is there room for n values, or was it made? Nothing is raised.
[[nodiscard, gnu::always_inline]] inline bool has_room(const runtime& rt, lua_State* to,
                                                       int n) noexcept {
  if (n <= sure_room) [[likely]]
    return true;
  return lua::reserve(to, n + 2, rt.layout) == lua::room::enough;
}

// The error on top of `to`, which goes on next, will be raised in it: sets rt.arriving.
void raise_on_arrival(runtime& rt, lua_State* to, const place& at) noexcept;

// 1. Everything that can fail. `problem::unprepared`: call prepare_to_mount, then check again.
[[nodiscard]] problem reserve(runtime& rt, departure& d) noexcept;

// The n values on top of `from` are what `to` gets, which waits in `how`.
template <typename Access = lua::by_api>
[[gnu::always_inline]] inline void pass_values(runtime& rt, lua_State* from, lua_State* to,
                                               waiting how, int n) noexcept {
  const bool with_status = returns_status(how);
  rt.arriving = with_values(n + (with_status ? 1 : 0));
  if (with_status) lua_pushboolean(to, 1);
  if (n > 0) Access::move(from, to, n);
}

// `from` will wait on this carrier: its anchors and its ticket go on its Lua stack.
template <typename Access = lua::by_api>
[[gnu::always_inline]] inline void stay_mounted(runtime& rt, lua_State* from, waiting how,
                                                std::uint64_t wait, bool is_warm) noexcept {
  carrier& here = *rt.current;
  push_mounted_ticket<Access>(rt, from, here);
  here.suspended = from;
  here.wait = wait;
  here.how = how;
  here.is_warm = is_warm;
  rt.warm += is_warm;
}

// The thread that is mounted there goes on next.
[[gnu::always_inline]] inline void wake(runtime& rt, carrier& there) noexcept {
  there.suspended = nullptr;
  rt.warm -= there.is_warm;
}

// `to` goes on next, with this link, on the carrier that it is mounted on or else on `free`, whose
// base loop is to run it.
[[gnu::always_inline]] inline void set_next(runtime& rt, lua_State* to, const place& at,
                                            const thread_link& link, carrier& free) noexcept {
  carrier& on = at.on != nullptr ? *at.on : free;
  on.resumer = link.resumer;
  on.depth = link.depth;
  if (at.on != nullptr) {
    wake(rt, on);
  } else {
    on.base = to;
    on.mourned = nullptr;
    on.was_away = at.where == standing::unmounted ? time_since(rt, at.tick) : never;
  }
}

// 2. Nothing can fail from here on.
void hand_over(runtime& rt, departure& d) noexcept;

// What coro's C functions return once their thread goes on: the values on its top, or it raises
// the error there, or it unmounts after all.                              MAY RAISE (the error).
int arrive_otherwise(lua_State* L, runtime& rt);

[[gnu::always_inline]] inline int arrive(lua_State* L, runtime& rt) {
  const int n = static_cast<int>(rt.arriving);
  if (n < 0) [[unlikely]]
    return arrive_otherwise(L, rt);
  return n;
}

// Where an unmounted thread goes on, on versions with continuations.
LUACORO_CONTINUATION(arrive_unmounted);

// 3. To be returned by the C function that `from` is in.               MAY SWITCH, MAY RAISE.
int leave(lua_State* L, runtime& rt, const departure& d);

}  // namespace luacoro
