// The Lua module: require "coro".
#include "abi/abi.h"
#include "module/edge.h"

namespace luacoro {
namespace {

// Upvalues: the runtime, the module, the standard coroutine table.
// install() -> the standard coroutine table
int install(lua_State* L) {
  lua::push_globals(L);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setfield(L, -2, "coroutine");
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_setfield(L, -2, "coroutine");
  }
  lua_pushvalue(L, lua_upvalueindex(3));
  return 1;
}

constexpr luaL_Reg functions[] = {{"create", edges::create},
                                  {"transfer", edges::transfer},
                                  {"ptransfer", edges::ptransfer},
                                  {"resume", edges::resume},
                                  {"yield", edges::yield},
                                  {"wrap", edges::wrap},
                                  {"safewrap", edges::safewrap},
                                  {"current", edges::current},
                                  {"running", edges::running},
                                  {"status", edges::status},
                                  {"isyieldable", edges::isyieldable},
                                  {"close", edges::close},
                                  {"throw", edges::throw_error},
                                  {"stats", edges::stats},
                                  {"configure", edges::configure},
                                  {nullptr, nullptr}};
// Instead of those, where the layout of this Lua is not known.
constexpr luaL_Reg general_functions[] = {{"transfer", edges::transfer_in_general},
                                          {"ptransfer", edges::ptransfer_in_general},
                                          {"resume", edges::resume_in_general},
                                          {"yield", edges::yield_in_general},
                                          {nullptr, nullptr}};

// [-0, +1]
void push_standard_table(lua_State* L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "coroutine");
    lua_remove(L, -2);
  }
  if (lua_istable(L, -1)) return;
  lua_pop(L, 1);
  lua::push_globals(L);
  lua_pushliteral(L, "coroutine");
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

}  // namespace
}  // namespace luacoro

// MAY RAISE (memory; a Lua state that coro cannot be used in).                             [-0, +1]
extern "C" [[gnu::visibility("default")]] int luaopen_coro(lua_State* L) {
  using namespace luacoro;
  if (const runtime* known = find_runtime(L)) {
    push_from_shelf(*known, L, runtime::module_table);
    return 1;
  }
  runtime& rt = open_runtime(L);  // [runtime]
  const int runtime_index = lua_gettop(L);
  lua_createtable(L, 0, 20);  // [runtime, module]
  lua_pushvalue(L, runtime_index);
  lua::set_functions(L, functions, 1);
  if (!rt.layout.is_known) {
    lua_pushvalue(L, runtime_index);
    lua::set_functions(L, general_functions, 1);
  }
  push_thread(L, rt.main);
  lua_setfield(L, -2, "main");
  add_await(L);

  lua_pushvalue(L, runtime_index);
  lua_pushvalue(L, -2);
  push_standard_table(L);
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "yield");
    rt.standard_yield = lua_tocfunction(L, -1);
    lua_pop(L, 1);
  }
  lua_pushcclosure(L, install, 3);
  lua_setfield(L, -2, "install");

  lua_pushvalue(L, -1);
  put_on_shelf(rt, L, runtime::module_table);
  open_abi(L, rt);  // [runtime, module, C functions]
  lua_pushvalue(L, runtime_index);
  keep_runtime(L);
  lua_pop(L, 1);
  keep_abi(L);
  return 1;
}
