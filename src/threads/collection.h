// What the collector must know, since it sees Lua stacks and not C stacks.
// Floor 3.
//
// Two questions: what keeps a thread alive that somebody waits in or for, and what frees the C
// stack of a mounted thread when nothing can reach it any more.
//
// 1. Alive. Every suspended thread has the thread that it left for on its own Lua stack (as the
//    argument of `transfer` or `resume`, or in the function that `wrap` made). So the switches made
//    since main ran last, with the loops cut out, are a chain of references from main, which is
//    always alive, to the thread that runs, and through everybody who waits for it in `resume`:
//
//        main --transfer--> A --resume--> B --transfer--> C --resume--> D (runs)
//
//    A switch that would not continue this chain (to a thread that has a resumer elsewhere, or one
//    that is nested above a base) makes coro hold the target's base and resumer itself, on the
//    stack of its keeper thread, at this and every further switch until main runs again.
//    A suspended thread that has a resumer, or is nested above a base, keeps these alive by anchors
//    on its own Lua stack (ticket.h).
//
// 2. Freed. An array with weak values has the base of each carrier, by the carrier's index. When
//    the collector has cleared an entry of a suspended carrier, its frames can never be continued,
//    and its C stack is used again. No Lua code runs. A userdata without references is collected at
//    the end of a cycle and then looks for such entries. The next cycle gets a new one, unless
//    there is no base to watch for.
#pragma once

#include "threads/runtime.h"

namespace luacoro {

// Holds a base, and a resumer if there is one, until the next call; nothing if the base is main.
void hold(runtime& rt, lua_State* base, lua_State* resumer) noexcept;

// The carrier's base will be suspended on it: note whose collection frees the stack.
void mourn(runtime& rt, carrier& c) noexcept;

// Frees the C stacks of threads that the collector has found unreachable. It happens by itself at
// the end of a cycle.                                                MAY SWITCH (finalizers run).
void bury_collected(runtime& rt, lua_State* L) noexcept;

// What a thread needs that is to stay mounted: that somebody watches for the end of the cycle, and
// an idle carrier for who goes on meanwhile. Does the first of these that is missing. May collect
// garbage to find a carrier.                                         MAY SWITCH (finalizers run).
[[nodiscard]] problem prepare_to_mount(runtime& rt, lua_State* L) noexcept;

// Called when the universe gets its runtime.                         MAY RAISE (memory). [-0, +0]
void prepare_collection(runtime& rt, lua_State* L);

}  // namespace luacoro
