// A Lua module for the specs: the collector runs whenever one of the functions in question is
// called and whenever it returns, that is, between any two switches.
//
//   collecting.at(function, ...)   in the current thread and those that it makes from now on
//   collecting.stop()              in the current thread
//
// A debug hook does it, which allocates nothing. Most of the collections are whole cycles, each
// third one is a step, so that threads also switch in the middle of a cycle. What would take too
// long becomes rarer in the course of a long test: these, and what the collector does by itself.
#include "base/lua_version.h"

namespace {

using namespace luacoro;

constexpr int most_functions = 32;
constexpr unsigned each_time = 100, later_one_of = 25;
constexpr int instructions = 2000, pause_after_them = 120;

// The host of the specs has one Lua state.
lua_CFunction functions[most_functions];
unsigned calls = 0;
bool is_young = true;  // the test

bool is_wanted(lua_CFunction function) noexcept {
  if (function == nullptr) return false;
  for (lua_CFunction wanted : functions) {
    if (wanted == function) return true;
  }
  return false;
}

void collect(lua_State* L, lua_Debug* ar) {
  if (ar->event == LUA_HOOKCOUNT) {
    if (is_young) lua_gc(L, LUA_GCSETPAUSE, pause_after_them);
    is_young = false;
    return;
  }
  lua_getinfo(L, "f", ar);
  const bool wanted = is_wanted(lua_tocfunction(L, -1));
  lua_pop(L, 1);
  if (!wanted) return;
  ++calls;
  if (calls > each_time && calls % later_one_of != 0) return;
  lua_gc(L, calls % 3 == 0 ? LUA_GCSTEP : LUA_GCCOLLECT, 0);
}

int at(lua_State* L) {
  const int n = lua_gettop(L);
  luaL_argcheck(L, n <= most_functions, n, "too many functions");
  for (int i = 0; i < most_functions; ++i) {
    functions[i] = i < n ? lua_tocfunction(L, i + 1) : nullptr;
    luaL_argcheck(L, i >= n || functions[i] != nullptr, i + 1, "C function expected");
  }
  calls = 0;
  is_young = true;
  lua_sethook(L, collect, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, instructions);
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
