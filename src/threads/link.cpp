#include "threads/link.h"

namespace luacoro {
namespace {

// The carrier that the thread is the base of; nullptr if there is none.
carrier* carrier_below(const runtime& rt, lua_State* T, const place& at) noexcept {
  if (at.on != nullptr) return at.on->base == T ? at.on : nullptr;
  if (at.where != standing::busy) return nullptr;
  for (std::size_t i = 1; i < rt.pool.size(); ++i) {
    if (rt.pool.at(i)->base == T) return rt.pool.at(i);
  }
  return nullptr;
}

}  // namespace

thread_link find_link(const runtime& rt, lua_State* T) noexcept {
  if (rt.current->base == T) return {rt.current->resumer, rt.current->depth};
  const place at = find(rt, T);
  if (at.where == standing::unmounted) return while_it_holds(rt, link_of(T, at));
  const carrier* below = carrier_below(rt, T, at);
  if (below == nullptr) return {};
  return while_it_holds(rt, {below->resumer, below->depth});
}

void link_to_departing(runtime& rt, lua_State* T, lua_State* departing) noexcept {
  const thread_link link{{.thread = departing, .wait = rt.switches + 1}, rt.current->depth + 1};
  const place at = find(rt, T);
  if (at.where == standing::unmounted) {
    const std::uint64_t wait = wait_of(T, at);
    lua_pop(T, size_of_ticket(rt, T, at));
    push_unmounted_ticket(rt, T, at.how, wait, link);
    return;
  }
  carrier* on = carrier_below(rt, T, at);
  if (on == nullptr) return;
  // The base's own thread, if that is nested in another, stays.
  lua_pop(on->suspended, size_of_ticket(rt, on->base, {.on = on}));
  on->resumer = link.resumer;
  on->depth = link.depth;
  push_mounted_ticket(rt, on->suspended, *on);
}

}  // namespace luacoro
