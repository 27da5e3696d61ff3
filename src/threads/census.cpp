#include "threads/census.h"

#include "threads/ticket.h"

namespace luacoro {
namespace {

// Calls visit(thread), with the thread on top of the shelf, for each that is not collected, in
// their order; it may pop it into a slot that was visited. lua_next passes over the others, which
// may be nearly all, faster than they could be asked for one by one.
template <typename Visit>
void for_each_counted(const runtime& rt, Visit visit) noexcept {
  lua_State* shelf = rt.shelf;
  const int top = lua_gettop(shelf);
  lua_pushnil(shelf);
  while (lua_next(shelf, runtime::census_array) != 0 &&
         static_cast<std::size_t>(lua_tointeger(shelf, top + 1)) <= rt.census_used) {
    visit(lua_tothread(shelf, -1));
    lua_settop(shelf, top + 1);  // the key
  }
  lua_settop(shelf, top);
}

// Moves those that are not collected to the front; what is left behind them is written over.
void close_gaps(runtime& rt) noexcept {
  std::size_t used = 0;
  for_each_counted(rt, [&](lua_State*) {
    lua_rawseti(rt.shelf, runtime::census_array, static_cast<int>(++used));
  });
  rt.census_used = used;
}

}  // namespace

void prepare_census(runtime& rt, lua_State* L) {
  rt.census_capacity = 64;
  lua::push_weak_array(L, rt.census_capacity);
  put_on_shelf(rt, L, runtime::census_array);
}

void make_room_in_census(runtime& rt, lua_State* L) {
  close_gaps(rt);
  if (rt.census_used > rt.census_capacity / 2)
    widen_on_shelf(rt, L, runtime::census_array, rt.census_used, rt.census_capacity);
}

std::size_t living_threads(const runtime& rt) noexcept {
  std::size_t living = 0;
  for_each_counted(rt, [&](lua_State* T) {
    if (find(rt, T).where != standing::dead) ++living;
  });
  return living;
}

}  // namespace luacoro
