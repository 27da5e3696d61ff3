// close.
#include "threads/closing.h"
#include "module/edge.h"
#include "threads/failure.h"

namespace luacoro {

void check_closes(lua_State* L, const runtime& rt) {
  if (rt.current->closes >= most_closes)
    luaL_error(L, "C stack overflow (coroutines closed inside one another)");
}

namespace {

// What 5.4's close gives for a thread that is dead already: the error it died by, once.
int report_dead(lua_State* L, runtime& rt, lua_State* T) {
  bool failed = false;
  if (lua::has_close) {
    check_closes(L, rt);
    failed = close_here(rt, T) != LUA_OK;
  } else {
    failed = has_error(rt, T);
  }
  lua_pushboolean(L, !failed);
  if (failed) {
    push_error_of(T, L);
    forget_error(rt, T);
  }
  return failed ? 2 : 1;
}

}  // namespace

// close(thread) -> true or false, err
int edges::close(lua_State* L) {
  runtime& rt = runtime_of_function(L);
  lua_State* T = check_thread(L);
  lua_settop(L, 1);
  if (T == L) return luaL_error(L, "cannot close a running coroutine");

  const place at = find(rt, T);
  if (at.where == standing::dead) return report_dead(L, rt, T);
  if (at.where == standing::busy || is_normal(at.how) || at.on == &rt.host || T == rt.main)
    return luaL_error(L, "cannot close a normal coroutine");
  if (at.where == standing::fresh && !lua::has_close) {
    lua_settop(T, 0);
    lua_pushboolean(L, 1);
    return 1;
  }
  if (!needs_unwinding(rt, T, at)) {
    if (at.on != nullptr) unmount(rt, *at.on);
    return report_dead(L, rt, T);
  }
  if (at.on != nullptr && at.on->base != T)
    return luaL_error(L, "cannot close a coroutine that is suspended inside a standard resume");

  if (!lua::hooks_work(L, rt.layout))
    return luaL_error(L, "cannot close a suspended coroutine inside a finalizer or a debug hook");

  lua_pushstring(L, closing_text);
  departure d{.from = L,
              .to = T,
              .at = {},
              .values = 1,
              .how = waiting::close,
              .resumes = true,
              .error = true};
  if (rt.current->depth >= rt.configured.max_depth)
    raise_problem(L, rt, problem::too_deep, "close");
  if (const problem why = prepare(rt, d, by_ticket(rt)); why != problem::none)
    raise_problem(L, rt, why, "close");
  start_unwinding(rt, d);
  return go(L, rt, d);
}

}  // namespace luacoro
