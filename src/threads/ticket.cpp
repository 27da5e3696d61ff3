#include "threads/ticket.h"

namespace luacoro {

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

void push_unmounted_ticket(runtime& rt, lua_State* T, waiting how, std::uint64_t wait,
                           const thread_link& link) noexcept {
  const bool linked = link.resumer.thread != nullptr;
  if (linked) {
    push_thread(T, link.resumer.thread);
    lua_pushnumber(T, static_cast<lua_Number>(link.resumer.wait));
    lua_pushinteger(T, static_cast<lua_Integer>(link.depth));
  }
  if (is_normal(how)) lua_pushnumber(T, static_cast<lua_Number>(wait));
  lua_pushlightuserdata(T, rt.names.name(static_cast<std::size_t>(how) * 2 + (linked ? 1 : 0)));
}

}  // namespace luacoro
