// `receive` and `send` of streams, which are tried by the loop while their caller waits.
// Floor 5.
#pragma once

#include "loop/edge.h"

namespace luacoro::loop {

// Tries the method that T waits in, since its wait has ended. The number of results, which T is to
// be continued with; or waits_again; or has_failed, and T is to get the error that is on top; or
// is_gone, since somebody has continued T meanwhile.                   MAY RAISE (memory). [-0, +r]
enum tried : int { waits_again = -1, has_failed = -2, is_gone = -3 };
int try_again(lua_State* L, loop_state& state, lua_State* T, wait& w);

}  // namespace luacoro::loop
