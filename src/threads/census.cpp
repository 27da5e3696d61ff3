#include "threads/census.h"

#include "threads/ticket.h"

namespace luacoro {
namespace {

// The thread at `index` of the array on top, or nil where it is dead or collected.         [-0, +1]
bool push_living(const runtime& rt, lua_State* L, std::size_t index) noexcept {
  lua_rawgeti(L, -1, static_cast<int>(index));
  lua_State* T = lua_tothread(L, -1);
  return T != nullptr && (T == L || find(rt, T).where != standing::dead);
}

// Moves the living to the front, into a wider array if they fill half of it.               [-0, +0]
void make_space(runtime& rt, lua_State* L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt.census_ref);
  std::size_t living = 0;
  for (std::size_t i = 1; i <= rt.census_used; ++i) {
    if (push_living(rt, L, i)) {
      lua_rawseti(L, -2, static_cast<int>(++living));
    } else {
      lua_pop(L, 1);
    }
  }
  for (std::size_t i = living + 1; i <= rt.census_used; ++i) {
    lua_pushnil(L);
    lua_rawseti(L, -2, static_cast<int>(i));
  }
  rt.census_used = living;
  if (living > rt.census_capacity / 2) {
    lua::push_weak_array(L, rt.census_capacity * 2);
    for (std::size_t i = 1; i <= living; ++i) {
      lua_rawgeti(L, -2, static_cast<int>(i));
      lua_rawseti(L, -2, static_cast<int>(i));
    }
    lua_rawseti(L, LUA_REGISTRYINDEX, rt.census_ref);
    rt.census_capacity *= 2;
  }
  lua_pop(L, 1);
}

}  // namespace

void prepare_census(runtime& rt, lua_State* L) {
  rt.census_capacity = 64;
  lua::push_weak_array(L, rt.census_capacity);
  rt.census_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void count_thread(runtime& rt, lua_State* L) {
  if (rt.census_used == rt.census_capacity) make_space(rt, L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt.census_ref);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, static_cast<int>(++rt.census_used));
  lua_pop(L, 1);
}

std::size_t living_threads(const runtime& rt, lua_State* L) noexcept {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt.census_ref);
  std::size_t living = 0;
  for (std::size_t i = 1; i <= rt.census_used; ++i) {
    living += push_living(rt, L, i) ? 1 : 0;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return living;
}

}  // namespace luacoro
