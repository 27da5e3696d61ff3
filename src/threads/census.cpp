#include "threads/census.h"

#include "threads/ticket.h"

namespace luacoro {
namespace {

// shelf: [-0, +1] the thread at `index`, or nil
lua_State* push_counted(const runtime& rt, std::size_t index) noexcept {
  lua_rawgeti(rt.shelf, runtime::census_array, static_cast<int>(index));
  return lua_tothread(rt.shelf, -1);
}

void pop_into(const runtime& rt, std::size_t index) noexcept {
  lua_rawseti(rt.shelf, runtime::census_array, static_cast<int>(index));
}

// Moves those that are not collected to the front; what is left behind them is written over.
[[gnu::noinline]] void close_gaps(runtime& rt) noexcept {
  std::size_t used = 0;
  for (std::size_t i = 1; i <= rt.census_used; ++i) {
    if (push_counted(rt, i) != nullptr) {
      pop_into(rt, ++used);
    } else {
      lua_pop(rt.shelf, 1);
    }
  }
  rt.census_used = used;
}

// MAY RAISE (memory).                                                                      [-0, +0]
void widen(runtime& rt, lua_State* L) {
  const std::size_t capacity = rt.census_capacity * 2;  // a finalizer may widen it meanwhile
  lua::push_weak_array(L, capacity);
  lua_xmove(L, rt.shelf, 1);
  for (std::size_t i = 1; i <= rt.census_used; ++i) {
    lua_rawgeti(rt.shelf, runtime::census_array, static_cast<int>(i));
    lua_rawseti(rt.shelf, -2, static_cast<int>(i));
  }
  lua_replace(rt.shelf, runtime::census_array);
  rt.census_capacity = capacity;
}

}  // namespace

void prepare_census(runtime& rt, lua_State* L) {
  rt.census_capacity = 64;
  lua::push_weak_array(L, rt.census_capacity);
  put_on_shelf(rt, L, runtime::census_array);
}

void count_thread(runtime& rt, lua_State* L, lua_State* T) {
  if (rt.census_used == rt.census_capacity) [[unlikely]] {
    close_gaps(rt);
    if (rt.census_used > rt.census_capacity / 2) widen(rt, L);
  }
  push_thread(rt.shelf, T);
  pop_into(rt, ++rt.census_used);
}

std::size_t living_threads(const runtime& rt) noexcept {
  std::size_t living = 0;
  for (std::size_t i = 1; i <= rt.census_used; ++i) {
    lua_State* T = push_counted(rt, i);
    if (T != nullptr && find(rt, T).where != standing::dead) ++living;
    lua_pop(rt.shelf, 1);
  }
  return living;
}

}  // namespace luacoro
