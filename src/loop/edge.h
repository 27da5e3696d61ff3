// Where the engine meets Lua: the functions that src/loop/*.lua are written with.
// Floor 5. A function here may raise, so no frame of it holds an object with a destructor when it
// does: what may throw runs in `guarded`, and that calls nothing of Lua's that may raise.
#pragma once

extern "C" {
#include <lauxlib.h>
#include <lua.h>
}

#include <cstring>
#include <exception>

#include "loop/engine.h"

namespace luacoro::loop {

// Every function has these upvalues.
enum upvalue : std::uint8_t {
  engine_upvalue = 1,  // userdata: engine*, null after the Lua state was closed
  threads_upvalue,     // by index of their waits: who waits. They are kept alive by it
  values_upvalue,      // by index of their waits: what `wake` passes
  descriptors_upvalue  // metatable of descriptors
};
constexpr int upvalues = descriptors_upvalue;

inline engine& engine_of_function(lua_State* L) {
  auto* of = *static_cast<engine**>(lua_touserdata(L, lua_upvalueindex(engine_upvalue)));
  if (of == nullptr) {
    luaL_error(L, "the loop ended with its Lua state");
    __builtin_unreachable();
  }
  return *of;
}

// Calls f. What it throws is raised, when C++ is done with it. MAY RAISE (what f throws). [-0, +0]
template <typename F>
void guarded(lua_State* L, F f) {
  char text[256] = "not enough memory";
  try {
    f();
    return;
  } catch (const std::bad_alloc&) {
  } catch (const std::exception& why) {
    std::strncpy(text, why.what(), sizeof text - 1);
  }
  lua_pushstring(L, text);
  lua_error(L);
}

// The module's functions, in a table.                                                     [-0, +1]
void push_functions(lua_State* L);

}  // namespace luacoro::loop
