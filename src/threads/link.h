// The resumer link of a thread that is neither the current one nor the one being continued.
// Floor 3. Rare: only `safewrap` asks for it.
#pragma once

#include "threads/ticket.h"

namespace luacoro {

// Wherever the thread is, as long as the link holds. Without a resumer if it has none or stands
// under a standard resume that coro did not reach.
[[nodiscard]] thread_link find_link(const runtime& rt, lua_State* T) noexcept;

// `departing`, the current thread, is about to suspend and becomes the resumer of T, which is not
// the one it leaves for. Between reserve and hand_over.
void link_to_departing(runtime& rt, lua_State* T, lua_State* departing) noexcept;

}  // namespace luacoro
