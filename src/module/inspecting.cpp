// current, running, status, isyieldable.
#include "module/edge.h"

namespace luacoro {

// current() -> thread or nil
int edges::current(lua_State* L) {
  if (lua_pushthread(L)) lua_pushnil(L);
  return 1;
}

// running(): what the standard's gives in this version.
int edges::running(lua_State* L) {
  const bool is_main = lua_pushthread(L) != 0;
  if (runtime_of_function(L).running_tells_main) {
    lua_pushboolean(L, is_main);
    return 2;
  }
  if (is_main) lua_pushnil(L);
  return 1;
}

status_word status_of(const runtime& rt, lua_State* L, lua_State* T) noexcept {
  if (T == L) return status_word::running;
  const place at = find(rt, T);
  if (at.where == standing::dead) return status_word::dead;
  const bool waits_for_another = at.where == standing::busy || is_normal(at.how);
  return waits_for_another ? status_word::normal : status_word::suspended;
}

// status(thread) -> string
int edges::status(lua_State* L) {
  static constexpr const char* words[] = {"suspended", "running", "normal", "dead"};
  const status_word word = status_of(runtime_of_function(L), L, check_thread(L));
  lua_pushstring(L, words[static_cast<int>(word)]);
  return 1;
}

// isyieldable([thread]) -> boolean
int edges::isyieldable(lua_State* L) {
  const runtime& rt = runtime_of_function(L);
  lua_State* T = lua_isnone(L, 1) ? L : check_thread(L);
  const carrier& here = *rt.current;
  bool yieldable = false;
  if (T == rt.main) {
    yieldable = false;
  } else if (T == L && L == here.base) {
    yieldable = takes_values(find_resumer(rt, here.resumer)) &&
                (rt.finalizing != nullptr || !lua::in_finalizer(L, rt.layout));
  } else {
    const bool rests = T != L && find(rt, T).where <= standing::yielded;
    yieldable = rests || lua::is_yieldable(T, rt.layout);
  }
  lua_pushboolean(L, yieldable);
  return 1;
}

}  // namespace luacoro
