// A Lua module for the specs: the collector runs whenever one of the functions in question is
// called and whenever it returns, that is, between any two switches.
//
//   collecting.at(function, ...)   in the current thread and those that it makes from now on
//   collecting.stop()              in the current thread
//
// A debug hook does it, which allocates nothing. Most of the collections are whole cycles, each
// third one is a step, so that threads also switch in the middle of a cycle. What would take too
// long becomes rarer in the course of a long test: these, more and more so, and what the collector
// does by itself.
#include "base/lua_version.h"

namespace {

using namespace luacoro;

constexpr int most_functions = 32;
constexpr unsigned rarity = 25;          // one more call is let pass each time, after so many
constexpr unsigned young_events = 1000;  // calls of any function and returns
constexpr int later_pause = 120;

// The host of the specs has one Lua state.
lua_CFunction functions[most_functions];
unsigned events = 0, wanted_calls = 0, next_wanted = 0, collections = 0;

bool is_wanted(lua_CFunction function) noexcept {
  if (function == nullptr) return false;
  for (lua_CFunction wanted : functions) {
    if (wanted == function) return true;
  }
  return false;
}

void collect(lua_State* L, lua_Debug* ar) {
  if (++events == young_events) lua_gc(L, LUA_GCSETPAUSE, later_pause);
  lua_getinfo(L, "f", ar);
  const bool wanted = is_wanted(lua_tocfunction(L, -1));
  lua_pop(L, 1);
  if (!wanted) return;
  if (++wanted_calls < next_wanted) return;
  next_wanted = wanted_calls + 1 + wanted_calls / rarity;
  lua_gc(L, collections++ % 3 == 0 ? LUA_GCSTEP : LUA_GCCOLLECT, 0);
}

int at(lua_State* L) {
  const int n = lua_gettop(L);
  luaL_argcheck(L, n <= most_functions, n, "too many functions");
  for (int i = 0; i < most_functions; ++i) {
    functions[i] = i < n ? lua_tocfunction(L, i + 1) : nullptr;
    luaL_argcheck(L, i >= n || functions[i] != nullptr, i + 1, "C function expected");
  }
  events = wanted_calls = next_wanted = collections = 0;
  lua_sethook(L, collect, LUA_MASKCALL | LUA_MASKRET, 0);
  return 0;
}

int stop(lua_State* L) {
  lua_sethook(L, nullptr, 0, 0);
  return 0;
}

constexpr luaL_Reg module_functions[] = {{"at", at}, {"stop", stop}, {nullptr, nullptr}};

}  // namespace

extern "C" [[gnu::visibility("default")]] int luaopen_collecting(lua_State* L) {
  lua_createtable(L, 0, 2);
  lua::set_functions(L, module_functions, 0);
  return 1;
}
