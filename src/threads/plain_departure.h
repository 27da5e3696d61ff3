// The departures that are made most, with nothing out of the ordinary.
// Floor 3.
//
//   mounted to mounted     the switch, and little else
//   mounted to idle        the switch to a base loop, which runs the target
//   unmounted to any       a yield to the base loop, which runs the target or switches to it
//
// These are the departure of departure.h, composed of the same parts, with everything left out that
// cannot happen here. What is not plain takes the general way; nothing has changed then.
#pragma once

#include "threads/departure.h"

namespace luacoro {

// In a C function of coro's that is registered only where the layout is known.
[[nodiscard, gnu::always_inline]] inline runtime& runtime_of_plain_function(lua_State* L) noexcept {
  return *static_cast<runtime*>(lua::by_layout::userdata_upvalue(L));
}

// Is a thread that waits there one that a plain departure can be for? Not one that is nested above
// the base, nor one that closes another.
[[nodiscard, gnu::always_inline]] inline bool is_plain_target(const carrier& there,
                                                              lua_State* to) noexcept {
  return there.base == to && there.how != waiting::close;
}

// Where a target that is not mounted stands.
[[nodiscard, gnu::always_inline]] inline place place_of_plain_target(const runtime& rt,
                                                                     lua_State* to,
                                                                     std::size_t ticket) noexcept {
  if (is_unmounted(ticket)) return unmounted_place(ticket);
  if (lua::is_fresh_by_layout(to)) return {.where = standing::fresh};
  return find(rt, to, ticket);
}

enum class leaving : std::uint8_t { in_general, pinned, warm, unmounted };

// How may the current thread L leave, without reserving anything?
[[nodiscard, gnu::always_inline]] inline leaving way_to_leave(const runtime& rt,
                                                              lua_State* L) noexcept {
  const carrier& here = *rt.current;
  if (rt.finalizing != nullptr || here.unwinding.active) [[unlikely]]
    return leaving::in_general;
  const bool is_mourned_base = here.mourned == L;
  if (lua::can_yield_by_layout(L, rt.layout)) {
    const std::size_t most_warm = rt.configured.warm_stacks;
    if (rt.warm < most_warm) [[likely]]
      return is_mourned_base ? leaving::warm : leaving::in_general;
    return here.base == L && here.was_away >= most_warm ? leaving::unmounted : leaving::in_general;
  }
  const bool is_pinned = is_mourned_base && !lua::in_finalizer_or_hook(L, rt.layout);
  return is_pinned ? leaving::pinned : leaving::in_general;
}

// What becomes of the resumer link of `to`: set by `resume` and `wrap`, else what it was.
template <waiting how>
[[nodiscard, gnu::always_inline]] inline thread_link next_link(const runtime& rt, lua_State* L,
                                                               const carrier& here,
                                                               carrier* stays_on,
                                                               std::uint64_t wait, lua_State* to,
                                                               const place& at) noexcept {
  if constexpr (is_normal(how)) return {{L, wait, stays_on}, depth_above(here)};
  return while_it_holds(rt, link_of(to, at));
}

[[gnu::noinline]] inline void drop_stale_link(const runtime& rt, carrier& there) noexcept {
  const thread_link link = while_it_holds(rt, {there.resumer, there.depth});
  there.resumer = link.resumer;
  there.depth = link.depth;
}

// The thread that leaves may continue its resumer, which then waits for it no more.
template <waiting how>
[[gnu::always_inline]] inline void forget_continued_resumer(carrier& here, const lua_State* to) {
  if (how == waiting::yield || here.resumer.thread == to) here.resumer = {};
}

// From one mounted thread to another.                                  MAY SWITCH, MAY RAISE.
template <waiting how>
[[gnu::always_inline]] inline int depart_mounted(lua_State* L, runtime& rt, lua_State* to,
                                                 carrier& there, int n, leaving way) {
  carrier& here = *rt.current;
  const std::uint64_t wait = ++rt.switches;
  forget_continued_resumer<how>(here, to);
  if constexpr (is_normal(how)) {
    there.resumer = {L, wait, &here};
    there.depth = depth_above(here);
  } else if (needs_anchor(rt, there.resumer) && waits_mounted(there.resumer) == nullptr)
      [[unlikely]] {
    drop_stale_link(rt, there);
  }
  hold<lua::by_layout>(rt, to, there.resumer.thread);
  pass_values<lua::by_layout>(rt, L, to, there.how, n);
  stay_mounted<lua::by_layout>(rt, L, how, wait, way == leaving::warm);
  wake(rt, there);
  rt.current = &there;
  switch_context(here.left_at, there.left_at);
  return arrive(L, rt);
}

// From a thread that stays mounted to one that is not, on an idle carrier.  MAY SWITCH, MAY RAISE.
template <waiting how>
[[gnu::always_inline]] inline int depart_for_idle(lua_State* L, runtime& rt, lua_State* to,
                                                  const place& at, carrier& there, int n,
                                                  leaving way) {
  carrier& here = *rt.current;
  const std::uint64_t wait = ++rt.switches;
  const thread_link link = next_link<how>(rt, L, here, &here, wait, to, at);
  forget_continued_resumer<how>(here, to);
  hold<lua::by_layout>(rt, to, link.resumer.thread);
  pass_values<lua::by_layout>(rt, L, to, at.how, n);
  stay_mounted<lua::by_layout>(rt, L, how, wait, way == leaving::warm);
  set_next(rt, to, at, link, there);
  rt.current = &there;
  switch_context(here.left_at, there.left_at);
  return arrive(L, rt);
}

// From a thread that is unmounted. To be returned.
template <waiting how>
[[gnu::always_inline]] inline int depart_unmounted(lua_State* L, runtime& rt, lua_State* to,
                                                   const place& at, int n) {
  carrier& here = *rt.current;
  const std::uint64_t wait = ++rt.switches;
  const thread_link link = next_link<how>(rt, L, here, nullptr, wait, to, at);
  forget_continued_resumer<how>(here, to);
  hold<lua::by_layout>(rt, at.on != nullptr ? at.on->base : to, link.resumer.thread);
  pass_values<lua::by_layout>(rt, L, to, at.how, n);
  push_unmounted_ticket<lua::by_layout>(rt, L, how, wait, {here.resumer, here.depth});
  set_next(rt, to, at, link, here);
  rt.leave_for = at.on;
  return lua::yield_frame(L, arrive_unmounted, rt);
}

// The less frequent of them. False, with nothing changed, if the departure is not plain. Otherwise
// `results` is what is to be returned.                                 MAY SWITCH, MAY RAISE.
template <waiting how>
[[gnu::noinline]] bool depart_otherwise(lua_State* L, runtime& rt, lua_State* to, const place& at,
                                        int n, leaving way, int& results) {
  const bool is_target =
      is_normal(how) ? at.where == standing::fresh || at.how == waiting::yield : takes_values(at);
  if (way == leaving::in_general || at.where > standing::fresh || !is_target) return false;
  if ((at.on != nullptr && at.on->base != to) || !has_room(rt, to, n)) return false;
  if (way == leaving::unmounted) {
    results = depart_unmounted<how>(L, rt, to, at, n);
    return true;
  }
  carrier* idle = at.on == nullptr ? rt.pool.take() : nullptr;
  if (idle == nullptr) return false;
  results = depart_for_idle<how>(L, rt, to, at, *idle, n, way);
  return true;
}

}  // namespace luacoro
