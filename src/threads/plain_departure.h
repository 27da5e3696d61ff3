// The departures that are made most, with nothing out of the ordinary. Floor 3.
//
//   both stay mounted    the switch, and little else
//   both are unmounted   a yield, and a lua_resume by the same base loop
//
// These are the departure of departure.h, composed of the same parts, with everything left out that
// cannot happen here. What is not plain takes the general way; nothing has changed then.
#pragma once

#include "threads/departure.h"

namespace luacoro {

// In a C function of coro's that is registered only where the layout is known.
[[nodiscard, gnu::always_inline]] inline runtime& runtime_of_plain_function(lua_State* L) noexcept {
  return *static_cast<runtime*>(lua::quickly::userdata_upvalue(L));
}

enum class leaving : std::uint8_t { in_general, pinned, warm, unmounted };

// How may the current thread L leave with n values, without reserving anything?
[[nodiscard, gnu::always_inline]] inline leaving way_to_leave(const runtime& rt, lua_State* L,
                                                              int n) noexcept {
  const carrier& here = *rt.current;
  if (here.base != L || n > sure_room || rt.finalizing != nullptr) return leaving::in_general;
  const std::size_t most_warm = rt.configured.warm_stacks;
  leaving way = leaving::pinned;
  if (lua::can_yield_by_layout(L, rt.layout)) {
    if (rt.warm >= most_warm)
      return here.was_away < most_warm ? leaving::in_general : leaving::unmounted;
    way = leaving::warm;
  } else if (lua::in_finalizer(L) || !lua::hooks_work(L, rt.layout)) {
    return leaving::in_general;
  }
  return here.mourned == L ? way : leaving::in_general;
}

// From one mounted thread to another. `how` says what becomes of the resumer link of `to`: it is
// set by `resume` and `wrap`, and that of L is used up by `yield`.             MAY SWITCH, MAY
// RAISE.
template <waiting how>
[[gnu::always_inline]] inline int depart_mounted(lua_State* L, runtime& rt, lua_State* to,
                                                 carrier& there, int n, leaving way) {
  carrier& here = *rt.current;
  const std::uint64_t wait = ++rt.switches;
  if constexpr (how == waiting::yield) here.resumer = {};
  if constexpr (is_normal(how)) {
    there.resumer = {L, wait, &here};
    there.depth = here.depth + 1;
  }
  keep_reachable(rt, to, there.base, there.resumer.thread, how != waiting::transfer);
  pass_values<lua::quickly>(rt, L, to, there.how, n);
  stay_mounted<lua::quickly>(rt, L, how, wait, way == leaving::warm);
  wake(rt, there);
  rt.current = &there;
  switch_context(here.left_at, there.left_at);
  return arrive(L, rt);
}

// From one unmounted thread to another, whose ticket this is. To be returned.
template <waiting how>
[[gnu::always_inline]] inline int depart_unmounted(lua_State* L, runtime& rt, lua_State* to,
                                                   std::size_t ticket, int n) {
  carrier& here = *rt.current;
  const std::uint64_t wait = ++rt.switches;
  const place at = unmounted_place(ticket);
  thread_link link = link_of(to, at);
  if constexpr (is_normal(how)) link = {{L, wait}, here.depth + 1};
  if constexpr (how == waiting::yield) here.resumer = {};
  keep_reachable(rt, to, to, link.resumer.thread, how != waiting::transfer);
  pass_values<lua::quickly>(rt, L, to, at.how, n);
  push_unmounted_ticket<lua::quickly>(rt, L, how, wait, {here.resumer, here.depth});
  set_next(rt, to, at, link, here);
  return lua::yield_frame(L, arrive_unmounted, rt);
}

}  // namespace luacoro
