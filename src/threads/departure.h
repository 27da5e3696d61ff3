// The current thread leaves for another one.
// Floor 3. The hot path of everything: what is not needed on every switch is out of line.
//
//   departure d{...};
//   problem why = reserve(rt, d)     may fail; nothing has changed then
//   hand_over(rt, d)                 values, links, tickets; cannot fail
//   leave(rt, d)                     MAY SWITCH; returns when somebody continues the thread
//
// A departing thread either stays mounted: `leave` jumps to another carrier and its C frames wait.
// Or it is unmounted: it yields to its base loop, which goes on with `rt.next`.
#pragma once

#include "threads/collection.h"
#include "threads/ticket.h"

namespace luacoro {

struct departure {
  lua_State* from;  // the current thread
  lua_State* to;
  place at;              // where `to` stands
  int values;            // on top of `from`, for `to`
  waiting how;           // what `from` will wait in
  bool resumes = false;  // `from` becomes the resumer of `to`
  bool returns = false;  // to the resumer, whose wait ends
  bool error = false;    // the one value is raised in `to`
  bool shaped = false;   // the values are what `to` gets, status included
  // Found by `reserve`:
  bool unmounts = false;
  bool enters_finalizer = false;
  // That `to` will run on; null: the current one, once `from` is unmounted.
  carrier* there = nullptr;
};

// So many values fit on the Lua stack of any thread that coro suspended or that is fresh: a C
// function has LUA_MINSTACK slots, of which at most 7 are taken by what belongs to a ticket.
inline constexpr int sure_room = lua::free_slots - 7;

[[nodiscard]] problem make_room(const departure& d) noexcept;
[[nodiscard]] problem check_finalizer(runtime& rt, departure& d) noexcept;
[[nodiscard]] problem check_nested(const runtime& rt, const departure& d) noexcept;

// The error on top of `to`, which goes on next, will be raised in it: sets rt.arriving.
void raise_on_arrival(runtime& rt, lua_State* to, const place& at) noexcept;

// 1. Everything that can fail. `problem::unprepared`: call prepare_to_mount, then check again.
[[nodiscard]] inline problem reserve(runtime& rt, departure& d) noexcept {
  const carrier& here = *rt.current;
  if (d.values > sure_room || d.at.where > standing::unmounted) [[unlikely]] {
    if (const problem why = make_room(d); why != problem::none) return why;
  }
  const bool may_unmount = can_unmount(rt, d.from, here);
  // Whoever may be unmounted is in no finalizer: there is a C call between.
  if (!may_unmount || rt.finalizing != nullptr) [[unlikely]] {
    if (const problem why = check_finalizer(rt, d); why != problem::none) return why;
    if (d.from != here.base) {
      if (const problem why = check_nested(rt, d); why != problem::none) return why;
    }
  }
  d.unmounts = may_unmount && rt.mounted >= rt.configured.warm_stacks;
  d.there = d.at.on;
  if (d.unmounts) return problem::none;
  if (here.mourned != here.base && !rt.watching) [[unlikely]]
    return problem::unprepared;
  if (d.there == nullptr) {
    d.there = rt.pool.take();
    if (d.there == nullptr) [[unlikely]]
      return problem::unprepared;
  }
  return problem::none;
}

// The target goes on with the resumer that it has from now on: see to it that both stay alive.
inline void keep_reachable(runtime& rt, lua_State* to, const place& at, lua_State* resumer,
                           bool chained) noexcept {
  if (at.on == &rt.host) {
    if (rt.holds) [[unlikely]]
      hold_nothing(rt);
    return;
  }
  lua_State* base = at.on != nullptr ? at.on->base : to;
  const bool needs_hold =
      rt.holds || (!chained && (base != to || (resumer != nullptr && resumer != rt.main)));
  if (needs_hold) [[unlikely]]
    hold(rt, base, resumer);
}

// `from` will wait: its anchors and its ticket go on its Lua stack.
inline void suspend(runtime& rt, const departure& d, std::uint64_t wait) noexcept {
  carrier& here = *rt.current;
  if (d.from != here.base) [[unlikely]]
    push_thread(d.from, here.base);
  if (d.unmounts) {
    push_unmounted_ticket(rt, d.from, d.how, wait, {here.resumer, here.depth});
    return;
  }
  if (here.resumer.thread != nullptr && here.resumer.thread != rt.main)
    push_thread(d.from, here.resumer.thread);
  push_mounted_ticket(rt, d.from, here);
  if (here.mourned != here.base) [[unlikely]]
    mourn(rt, here);
  here.suspended = d.from;
  here.how = d.how;
  here.wait = wait;
  ++rt.mounted;
}

// 2. Nothing can fail from here on.
inline void hand_over(runtime& rt, departure& d) noexcept {
  carrier& here = *rt.current;
  const std::uint64_t wait = ++rt.switches;

  thread_link link = link_of(d.to, d.at);
  if (d.resumes) link = {{d.from, wait}, here.depth + 1};
  if (d.returns) here.resumer = {};

  const bool rested = d.at.where > standing::unmounted || d.at.how == waiting::yield;
  keep_reachable(rt, d.to, d.at, link.resumer.thread, d.returns || (d.resumes && rested));

  rt.arriving = {arrival::kind::values, d.values};
  if (returns_status(d.at.how) && !d.shaped) {
    lua_pushboolean(d.to, 1);
    ++rt.arriving.values;
  }
  if (d.values > 0) lua_xmove(d.from, d.to, d.values);
  if (d.error) [[unlikely]]
    raise_on_arrival(rt, d.to, d.at);

  suspend(rt, d, wait);
  if (d.enters_finalizer) [[unlikely]]
    rt.finalizing = &here;

  if (d.at.on != nullptr) {
    carrier& there = *d.at.on;
    there.resumer = link.resumer;
    there.depth = link.depth;
    there.suspended = nullptr;
    --rt.mounted;
    if (d.unmounts) rt.next = {nullptr, &there, {}, 0};
  } else {
    rt.next = {d.to, nullptr, link.resumer, link.depth};
  }
}

// What coro's C functions return once their thread goes on: the values on its top, or it raises
// the error there, or it unmounts after all.                              MAY RAISE (the error).
int arrive_otherwise(lua_State* L, runtime& rt);

inline int arrive(lua_State* L, runtime& rt) {
  if (rt.arriving.what != arrival::kind::values) [[unlikely]]
    return arrive_otherwise(L, rt);
  return rt.arriving.values;
}

// Where an unmounted thread goes on, on versions with continuations.
LUACORO_CONTINUATION(arrive_unmounted);

// 3. To be returned by the C function that `from` is in.               MAY SWITCH, MAY RAISE.
inline int leave(lua_State* L, runtime& rt, const departure& d) {
  if (d.unmounts) return lua::yield_frame(L, arrive_unmounted);
  carrier& here = *rt.current;
  carrier& there = *d.there;
  const bool in_hook = lua::leave_hook(L, rt.layout);
  rt.current = &there;
  switch_context(here.left_at, there.left_at);
  if (in_hook) [[unlikely]]
    lua::enter_hook_again(L, rt.layout);
  if (d.enters_finalizer) [[unlikely]]
    rt.finalizing = nullptr;
  return arrive(L, rt);
}

}  // namespace luacoro
