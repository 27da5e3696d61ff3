#include "threads/ticket.h"

namespace luacoro {
namespace {

standing find_without_ticket(lua_State* T) noexcept {
  switch (lua_status(T)) {
    case LUA_YIELD: return standing::yielded;
    case LUA_OK: {
      lua_Debug ar;
      if (lua_getstack(T, 0, &ar)) return standing::busy;
      return lua_gettop(T) == 0 ? standing::dead : standing::fresh;
    }
    default: return standing::dead;
  }
}

}  // namespace

place find(const runtime& rt, lua_State* T) noexcept { return find(rt, T, ticket_of(rt, T)); }

place find(const runtime& rt, lua_State* T, std::size_t ticket) noexcept {
  if (is_unmounted(ticket)) return unmounted_place(ticket);
  if (carrier* on = mounted_on(rt, T, ticket))
    return {.where = standing::mounted, .how = on->how, .on = on};
  // Or its C stack is gone: it was collected and brought back by a finalizer, or coro is closed.
  const bool is_mounted_nowhere = ticket < ticket_names;
  return is_mounted_nowhere ? place{} : place{.where = find_without_ticket(T)};
}

lua_State* thread_of_host(const runtime& rt) noexcept {
  return host_is_buried(rt) ? rt.main : rt.host.suspended;
}

place find_resumer(const runtime& rt, const resumer_link& link) noexcept {
  if (link.thread == nullptr) return {};
  const place at = find(rt, link.thread);
  const bool waits = at.where <= standing::unmounted && wait_of(link.thread, at) == link.wait;
  return waits ? at : place{};
}

thread_link while_it_holds(const runtime& rt, const thread_link& link) noexcept {
  // The wait that begins with this very switch is not on its stack yet.
  if (!needs_anchor(rt, link.resumer) || link.resumer.wait == rt.switches) return link;
  if (host_is_buried(rt) && link.resumer.wait == rt.buried_wait) return link;  // below main
  return find_resumer(rt, link.resumer).where != standing::dead ? link : thread_link{};
}

int size_of_ticket(const runtime& rt, lua_State* T, const place& at) noexcept {
  if (at.on == nullptr) return 1 + (is_normal(at.how) ? 1 : 0) + (at.linked ? 3 : 0);
  return 1 + (needs_anchor(rt, at.on->resumer) ? 1 : 0) + (T != at.on->base ? 1 : 0);
}

void push_link(lua_State* T, const thread_link& link) noexcept {
  push_thread(T, link.resumer.thread);
  lua_pushnumber(T, static_cast<lua_Number>(link.resumer.wait));
  lua_pushinteger(T, static_cast<lua_Integer>(link.depth));
}

}  // namespace luacoro
