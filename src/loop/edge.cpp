#include "loop/edge.h"

#include "loop/socket.h"

namespace luacoro::loop {
namespace {

int close_engine(lua_State* L) {
  auto& state = *static_cast<loop_state*>(lua_touserdata(L, 1));
  if (state.of != nullptr) state.of->end_with_state();
  state.of = nullptr;
  return 0;
}

// With the values at `first` and after as upvalues.                                       [-0, +1]
void push_function(lua_State* L, lua_CFunction function, int first) {
  for (int i = 0; i < upvalues; ++i) lua_pushvalue(L, first + i);
  lua_pushcclosure(L, function, upvalues);
}

}  // namespace

void push_function_with(lua_State* L, lua_CFunction function, int n) {
  const int first = lua_gettop(L) - n + 1;
  for (int i = 1; i <= upvalues; ++i) {
    lua_pushvalue(L, lua_upvalueindex(i));
    lua_insert(L, first + i - 1);
  }
  lua_pushcclosure(L, function, upvalues + n);
}

void push_functions(lua_State* L) {
  const int first = lua_gettop(L) + 1;
  auto* state = new (lua_newuserdata(L, sizeof(loop_state))) loop_state;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close_engine);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  state->coro = luacoro_load(L);
  guarded(L, [state] { state->of = new engine; });
  lua_newtable(L);
  lua_newtable(L);
  lua_newtable(L);
  lua_newtable(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "coro");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "ptransfer");
  lua_replace(L, -2);

  state->sockets = lua_topointer(L, first + sockets_upvalue - 1);
  // Of this engine alone: a state may have several, since a module can be loaded again.
  push_function(L, collect_socket, first);
  lua_setfield(L, first + sockets_upvalue - 1, "__gc");
  for (const luaL_Reg* group :
       {waiting_functions, continuing_functions, socket_functions, stream_functions}) {
    for (const luaL_Reg* f = group; f->name != nullptr; ++f) {
      push_function(L, f->func, first);
      lua_setfield(L, first + core_upvalue - 1, f->name);
    }
  }
  lua_pushvalue(L, first + core_upvalue - 1);
  lua_replace(L, first);
  lua_settop(L, first);
}

}  // namespace luacoro::loop
