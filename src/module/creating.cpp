// create and wrap.
#include "module/edge.h"
#include "threads/census.h"

namespace luacoro {

namespace {

int call_body(lua_State* L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

// 5.1 cannot continue a C function that yielded at the bottom of a thread. Called by another one it
// cannot yield in Lua's sense, and suspends as anything pinned does; the standard yield, which
// knows no other sense, becomes coro's. [-1, +1]
void make_body_for_51(lua_State* L, const runtime& rt) {
  if (lua_tocfunction(L, -1) == rt.standard_yield) {
    lua_pop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, edges::yield_in_general, 1);
  } else {
    lua_pushcclosure(L, call_body, 1);
  }
}

template <typename Access>
lua_State* push_thread_by(lua_State* L, runtime& rt) {
  lua_State* T = lua_newthread(L);
  lua_pushvalue(L, -2);
  if (lua::is_51 && lua_iscfunction(L, -1)) make_body_for_51(L, rt);
  Access::move(L, T, 1);
  count_thread<Access>(rt, L, T);
  return T;
}

}  // namespace

lua_State* push_thread_for(lua_State* L, runtime& rt) {
  return rt.layout.is_known ? push_thread_by<lua::by_layout>(L, rt)
                            : push_thread_by<lua::by_api>(L, rt);
}

void check_function(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (lua_gettop(L) > 1) lua_settop(L, 1);
}

// create(f) -> thread
int edges::create(lua_State* L) {
  check_function(L);
  push_thread_for(L, runtime_of_function(L));
  return 1;
}

// wrap(f) -> function
int edges::wrap(lua_State* L) {
  check_function(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  runtime& rt = runtime_of_function(L);
  push_thread_for(L, rt);
  lua_remove(L, 2);
  lua_pushcclosure(L, rt.layout.is_known ? resume_wrapped : resume_wrapped_in_general, 2);
  return 1;
}

}  // namespace luacoro
