// The Lua module: require "coro.loop". Its functions are written in Lua, in src/loop/*.lua, which
// are compiled into it, out of those that the C++ side gives them (edge.h).
// Floor 5.
#include "loop/edge.h"
#include "loop/sources.h"

namespace {

// Loads a source of the loop and calls it with the functions below, coro and the module so far.
//                                                                                         [-0, +0]
void run_source(lua_State* L, const char* name, const char* text, std::size_t size, int first) {
  if (luaL_loadbuffer(L, text, size, name) != 0) lua_error(L);
  for (int i = 0; i < 3; ++i) lua_pushvalue(L, first + i);
  lua_call(L, 3, 0);
}

}  // namespace

// MAY RAISE (memory; no coro; no descriptor for epoll).                                    [-0, +1]
extern "C" [[gnu::visibility("default")]] int luaopen_coro_loop(lua_State* L) {
  const int first = lua_gettop(L) + 1;
  luacoro::loop::push_functions(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "coro");
  lua_call(L, 1, 1);
  lua_newtable(L);
  for (const auto& source : luacoro::loop::sources)
    run_source(L, source.name, source.text, source.size, first);
  return 1;
}
