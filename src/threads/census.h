// How many threads made by coro are alive.
// Floor 3. An array with weak values has each of them, in the order they were made; it is looked
// through when it is full, or when somebody asks. Making a thread costs one store.
#pragma once

#include "threads/runtime.h"

namespace luacoro {

// MAY RAISE (memory).                                                                      [-0, +0]
void prepare_census(runtime& rt, lua_State* L);

// T is new.                                                            MAY RAISE (memory). [-0, +0]
void count_thread(runtime& rt, lua_State* L, lua_State* T);

// Not dead and not collected. Cost: linear in their number.
[[nodiscard]] std::size_t living_threads(const runtime& rt) noexcept;

}  // namespace luacoro
