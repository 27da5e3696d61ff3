#include "threads/runtime.h"

#include <new>

#include "threads/census.h"
#include "threads/collection.h"
#include "threads/failure.h"
#include "threads/ticket.h"

namespace luacoro {
namespace {

constexpr const char* runtime_key = "luacoro.runtime";

int do_nothing(lua_State*) { return 0; }
int raise_argument(lua_State* L) { return lua_error(L); }

// __gc of the runtime: the universe is being closed. The memory itself lives on, for finalizers
// that still call into it; and the C stack that this runs on is not given back.
//
// Where that is because a finalizer has collected garbage in a thread of its own, the finalizer
// goes on later, and gives back what there is then. 5.1, where finalizers are not seen, leaks it.
int close_runtime(lua_State* L) {
  auto& rt = *static_cast<runtime*>(lua_touserdata(L, 1));
  rt.closed = true;
  if (L == rt.main) give_back(rt);
  return 0;
}

bool construct(void* memory, lua_State* main) noexcept try {
  auto* rt = new (memory) runtime(main);
  if (rt->names) return true;
  rt->~runtime();
  return false;
} catch (const std::bad_alloc&) {
  return false;
}

}  // namespace

void give_back(runtime& rt) noexcept {
  rt.pool.close(rt.current);
  rt.names.release();
}

runtime::runtime(lua_State* main_thread)
    : current(&host), main(main_thread), names(ticket_names), pool(*this, host, run_base_loop) {
  host.base = main_thread;
  host.mourned = main_thread;  // in no need of it
}

void widen_on_shelf(const runtime& rt, lua_State* L, runtime::shelf_slot slot,
                    std::size_t& capacity) {
  const std::size_t before = capacity;
  lua::push_weak_array(L, before * 2);
  if (capacity != before) {  // a finalizer was here first
    lua_pop(L, 1);
    return;
  }
  lua_xmove(L, rt.shelf, 1);
  for (std::size_t i = 1; i <= capacity; ++i) {
    lua_rawgeti(rt.shelf, slot, static_cast<int>(i));
    lua_rawseti(rt.shelf, -2, static_cast<int>(i));
  }
  lua_replace(rt.shelf, slot);
  capacity *= 2;
}

runtime* find_runtime(lua_State* L) {
  lua_getfield(L, LUA_REGISTRYINDEX, runtime_key);
  auto* rt = static_cast<runtime*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return rt;
}

runtime& open_runtime(lua_State* L) {
  lua_State* main = lua::main_thread(L);
  if (main == nullptr) {
    luaL_error(L, "coro must be required by the main thread first");
    __builtin_unreachable();
  }
  void* memory = lua_newuserdata(L, sizeof(runtime));
  lua_createtable(L, 1, 1);
  lua_pushcfunction(L, close_runtime);
  lua_setfield(L, -2, "__gc");
  lua_State* shelf = lua_newthread(L);
  lua_rawseti(L, -2, 1);  // it lives as long as the runtime
  if (!construct(memory, main)) luaL_error(L, "not enough memory");
  lua_setmetatable(L, -2);

  auto& rt = *static_cast<runtime*>(memory);
  rt.shelf = shelf;
  lua_settop(shelf, runtime::shelf_slots);
  rt.keeper = lua_newthread(L);
  put_on_shelf(rt, L, runtime::keeper_thread);
  push_thread(rt.keeper, main);
  push_thread(rt.keeper, main);
  rt.scratch = lua_newthread(L);
  put_on_shelf(rt, L, runtime::scratch_thread);
  rt.worker = lua_newthread(L);
  put_on_shelf(rt, L, runtime::worker_thread);
  lua_pushcfunction(L, raise_argument);
  put_on_shelf(rt, L, runtime::raiser);
  prepare_collection(rt, L);
  prepare_census(rt, L);
  prepare_reports(rt, L);
  static constexpr char body[] =
      "local f, yield = ...\n"
      "return function(...) return f(yield, ...) end";
  if (luaL_loadbuffer(L, body, sizeof body - 1, "=coro") != LUA_OK) lua_error(L);
  put_on_shelf(rt, L, runtime::generator_body);
  rt.layout = lua::find_layout(L, rt.names.name(0));
  rt.running_tells_main = lua::running_tells_main(L);
  // On LuaJIT the first light userdata with new high bits allocates; none may later on.
  push_mounted_ticket(rt, L, rt.host);
  lua_pop(L, 1);
  return rt;
}

void keep_runtime(lua_State* L) {
  lua_pushcfunction(L, do_nothing);
  lua_setfield(L, LUA_REGISTRYINDEX, lua::do_nothing_key);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, runtime_key);
}

}  // namespace luacoro
