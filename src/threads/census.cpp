#include "threads/census.h"

#include "threads/ticket.h"

namespace luacoro {
namespace {

// The next thread after slot i that is not collected goes on top of the shelf, and i becomes its
// slot: beyond the last one if there is none, and nothing is pushed. Free slots, which may be
// nearly all, are passed over by lua_next faster than they could be asked for one by one.
bool push_next(const runtime& rt, std::size_t& i) noexcept {
  lua_State* shelf = rt.shelf;
  if (i == 0) {
    lua_pushnil(shelf);
  } else {
    lua_pushinteger(shelf, static_cast<lua_Integer>(i));
  }
  if (lua_next(shelf, runtime::census_array) == 0) {
    i = rt.census_capacity + 1;
    return false;
  }
  i = static_cast<std::size_t>(lua_tointeger(shelf, -2));
  lua_remove(shelf, -2);
  return true;
}

// The next free slots in this round. False if there are none left.
bool find_free(runtime& rt) noexcept {
  while (rt.census_at < rt.census_capacity) {
    std::size_t taken = rt.census_at;
    if (push_next(rt, taken)) lua_pop(rt.shelf, 1);
    rt.census_free_to = taken - 1;
    const std::size_t found = rt.census_free_to - rt.census_at;
    rt.census_found += found;
    if (found > 0) return true;
    rt.census_at = rt.census_free_to = taken;
  }
  return false;
}

void begin_round(runtime& rt, lua_State* L) {
  const std::size_t before = rt.census_capacity;
  const bool is_crowded = rt.census_found < before / 2;
  if (is_crowded) widen_on_shelf(rt, L, runtime::census_array, rt.census_capacity);
  rt.census_at = rt.census_free_to = is_crowded ? before : 0;
  rt.census_found = 0;
}

}  // namespace

void prepare_census(runtime& rt, lua_State* L) {
  rt.census_capacity = 64;
  lua::push_weak_array(L, rt.census_capacity);
  put_on_shelf(rt, L, runtime::census_array);
}

void make_room_in_census(runtime& rt, lua_State* L) {
  while (!find_free(rt)) begin_round(rt, L);
}

std::size_t living_threads(const runtime& rt) noexcept {
  std::size_t living = 0;
  for (std::size_t i = 0; push_next(rt, i); lua_pop(rt.shelf, 1)) {
    if (find(rt, lua_tothread(rt.shelf, -1)).where != standing::dead) ++living;
  }
  return living;
}

}  // namespace luacoro
