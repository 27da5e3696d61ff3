// What the collector must know, since it sees Lua stacks and not C stacks.
// Floor 3.
//
// Three questions: what keeps a thread alive that somebody waits in or for; what frees the C stack
// of a mounted thread when nothing can reach it any more; and when idle C stacks, which may have
// been used deeply once, give that memory back.
//
// 1. Alive. The collector marks main and the thread that runs. What else must live is the base of
//    the carrier that runs, since others may be nested above it, and its resumer: coro holds these
//    two, on the stack of its keeper thread. A suspended thread keeps what it needs alive itself,
//    by anchors on its own Lua stack (ticket.h). So whoever waits for the running thread is reached
//    from one resumer to the next.
// 2. Freed. An array with weak values has the base of each carrier, by the carrier's index. When
//    the collector has cleared an entry of a suspended carrier, its frames can never be continued,
//    and its C stack is used again. No Lua code runs. A userdata without references is collected at
//    the end of a cycle and then looks for such entries. The next cycle gets a new one, unless
//    there is no base to watch for.
// 3. At the end of such a cycle, too, as Lua makes its own stacks smaller then: nothing tells how
//    deeply a C stack was used, so it takes a call of the system for each that was. While nobody
//    watches no thread is mounted, and it is one C stack that all of them have in turn.
#pragma once

#include "threads/runtime.h"

namespace luacoro {

// A base and its resumer, which may be null, are held until the next call.
template <typename Access = lua::by_api>
[[gnu::always_inline]] inline void hold(runtime& rt, lua_State* base, lua_State* resumer) noexcept {
  Access::replace_threads(rt.keeper, base, resumer != nullptr ? resumer : rt.main);
}

// The carrier's base will be suspended on it: note whose collection frees the stack.
void mourn(runtime& rt, carrier& c) noexcept;

// Frees the C stacks of threads that the collector has found unreachable, and gives back what idle
// ones need no more. It happens by itself at the end of a cycle.     MAY SWITCH (finalizers run).
void bury_collected(runtime& rt, lua_State* L) noexcept;

// Has the collector not found it unreachable so far? For a carrier that was mourned.
[[nodiscard]] bool base_lives(const runtime& rt, const carrier& c) noexcept;

// What a thread needs that is to stay mounted: that somebody watches for the end of the cycle, and
// an idle carrier for who goes on meanwhile. Does the first of these that is missing. To find a
// carrier it may unmount somebody, but not who is mounted on `target`, or collect garbage.
// MAY SWITCH (finalizers run).
[[nodiscard]] problem prepare_to_mount(runtime& rt, lua_State* L, const carrier* target) noexcept;

// Called when the universe gets its runtime.                         MAY RAISE (memory). [-0, +0]
void prepare_collection(runtime& rt, lua_State* L);

}  // namespace luacoro
