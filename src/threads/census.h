// How many threads made by coro are alive.
// Floor 3. An array with weak values has each of them. Making a thread costs one store into a free
// slot; the slots of collected ones are free again, and found in turn. When less than half of all
// were found free in a whole round, there will be twice as many.
#pragma once

#include "threads/runtime.h"

namespace luacoro {

// MAY RAISE (memory).                                                                      [-0, +0]
void prepare_census(runtime& rt, lua_State* L);

// The slot after `census_at` is free.                                  MAY RAISE (memory). [-0, +0]
void make_room_in_census(runtime& rt, lua_State* L);

// T is new.                                                            MAY RAISE (memory). [-0, +0]
template <typename Access = lua::by_api>
inline void count_thread(runtime& rt, lua_State* L, lua_State* T) {
  if (rt.census_at == rt.census_free_to) [[unlikely]]
    make_room_in_census(rt, L);
  Access::push_thread(rt.shelf, T);
  lua_rawseti(rt.shelf, runtime::census_array, static_cast<int>(++rt.census_at));
}

// Not dead and not collected. Cost: linear in their number.
[[nodiscard]] std::size_t living_threads(const runtime& rt) noexcept;

}  // namespace luacoro
