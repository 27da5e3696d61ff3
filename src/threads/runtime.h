// Everything coro knows about one Lua universe: a main thread and all threads made from it.
// Floor 3. Lives in a userdata of that universe; there is no other state.
//
// Functions of this floor raise nothing: what can fail returns a `problem`, which the edges turn
// into a Lua error. A switch takes three steps: check and reserve, which may fail and has changed
// nothing then; hand over, which cannot fail; go on as the other thread.
#pragma once

#include <cstdint>

#include "stacks/address_range.h"
#include "threads/carrier.h"
#include "threads/carriers.h"

namespace luacoro {

struct settings {
  std::size_t stack_size = lua::usual_stack_size;
  std::size_t max_stacks = 65536;
  // So many threads stay mounted though they could be unmounted (mounting.h).
  std::size_t warm_stacks = lua::usual_warm_stacks;
  // Threads that may wait for each other in `resume`, `wrap` or `close`, one inside the other.
  // Five times what the standard library of 5.1 to 5.4 allows; LuaJIT's knows no limit but the C
  // stack of its host. At the worst a level takes 17 KB.
  std::size_t max_depth = lua::is_luajit ? 2000 : 1000;
};

enum class problem : std::uint8_t {
  none,
  to_current,  // the target is the current thread
  to_dead,
  to_busy,      // the target runs another thread by a standard resume
  not_resumed,  // yield: there is no resumer
  in_finalizer,
  above_main,  // in a standard coroutine of main's, which C code called back on another C stack
  to_closing,  // the target waits for the end of a thread that it closes
  too_many_values,
  too_deep,    // max_depth
  unprepared,  // call `prepare_to_mount`, then check again
  no_stacks,   // max_stacks
  no_mapping,  // the system has no mapping for another C stack; errno tells why
  no_memory,
  closed  // the Lua state is being closed
};

// What a thread finds when it goes on: the number of values on its top, or what is none.
enum class arrival : int {
  with_error = -1,  // on its top, to be raised
  to_unmount = -2
};
[[nodiscard]] constexpr arrival with_values(int n) noexcept { return arrival{n}; }
[[nodiscard]] constexpr int values_on_top(arrival what) noexcept {
  return what == arrival::with_error ? 1 : static_cast<int>(what);
}

struct runtime {
  explicit runtime(lua_State* main_thread);

  // Used at every switch.
  carrier* current;
  arrival arriving = with_values(0);
  std::uint64_t switches = 0;  // so far; they number the waits
  std::size_t warm = 0;        // threads that are mounted and could be unmounted
  settings configured;
  lua_State* main;
  address_range names;  // for tickets (ticket.h)
  carriers pool;
  carrier* finalizing = nullptr;  // waits in `resume` inside a finalizer
  lua::layout layout;             // lua_version.h
  bool watching = false;          // for the end of the collector's cycle (collection.h)
  carrier* leave_for = nullptr;   // what the base loop that is yielded to does next

  bool closed = false;
  bool running_tells_main = true;  // lua_version.h
  std::size_t looked_at = 0;       // index of the carrier last looked at (mounting.h)
  lua::saved_hook raising;         // of the thread that an error is on its way to (raising.h)

  // Threads of coro's own, for what is on their stacks: what collection.h holds; an error value on
  // its way; what is kept for good, at slots where no look-up is needed to find it. And one to call
  // functions in, protected, while no other thread runs.
  lua_State* keeper = nullptr;
  lua_State* scratch = nullptr;
  lua_State* shelf = nullptr;
  lua_State* worker = nullptr;
  lua_State* spare_worker = nullptr;  // to take over while a finalizer on the worker resumes
  enum shelf_slot : int {
    no_slot,
    mourned_array,    // bases by their carriers' indices (collection.h)
    census_array,     // threads that coro made (census.h)
    watch_metatable,  // of the userdata whose collection ends a cycle
    raiser,           // a function that raises its argument
    generator_body,   // makes the body of a safewrap generator
    module_table,
    abi_functions,  // a thread that has them on its stack (abi/abi.h)
    keeper_thread,
    scratch_thread,
    worker_thread,
    spare_worker_thread,
    reporter,  // makes what a failed thread leaves (failure.h), and texts for it
    not_resumed_text,
    ended_text,
    too_many_results_text,
    shelf_slots = too_many_results_text
  };
  std::size_t mourned_capacity = 0;
  // Slots of the census: all, the one that was used last, to where those after it are free, and how
  // many were found free in this round.
  std::size_t census_capacity = 0, census_at = 0, census_free_to = 0, census_found = 0;
  lua_CFunction standard_yield = nullptr;
  // The host's C stack waits below main, which was called back and left: the number of that wait.
  std::uint64_t buried_wait = 0;
  int main_depth = 0;  // of main's calls, when a thread left that stands above main

  carrier host;
};

// A runtime for the universe. Raises where main cannot be found by L, unless L is main itself.
// MAY RAISE (memory), with nothing left behind.                              [-0, +1 userdata]
runtime& open_runtime(lua_State* L);
// The runtime on top is the one of the universe from now on.           MAY RAISE (memory). [-0, +0]
void keep_runtime(lua_State* L);

// Of the universe; null if it has none yet.              MAY RAISE (memory, for the key then).
[[nodiscard]] runtime* find_runtime(lua_State* L);

// The resources of a runtime that is closed, all but the C stack that this runs on.
void give_back(runtime& rt) noexcept;

// In a C function of coro's that can suspend: its first upvalue is the runtime.
[[nodiscard]] inline runtime& runtime_of_function(lua_State* L) noexcept {
  return *static_cast<runtime*>(lua_touserdata(L, lua_upvalueindex(1)));
}

// For hooks, finalizers and the like.
[[nodiscard]] inline runtime& runtime_of_universe(lua_State* L) noexcept {
  return *find_runtime(L);
}

// What is on top goes on the shelf.                                                        L: [-1]
inline void put_on_shelf(const runtime& rt, lua_State* L, runtime::shelf_slot slot) noexcept {
  lua_xmove(L, rt.shelf, 1);
  lua_replace(rt.shelf, slot);
}
// What is there.                                                                       L: [-0, +1]
inline void push_from_shelf(const runtime& rt, lua_State* L, runtime::shelf_slot slot) noexcept {
  lua_pushvalue(rt.shelf, slot);
  lua_xmove(rt.shelf, L, 1);
}

// The array with weak values there gets twice its room.
// MAY RAISE (memory), MAY SWITCH (finalizers run, which may widen it meanwhile).      L: [-0, +0]
void widen_on_shelf(const runtime& rt, lua_State* L, runtime::shelf_slot slot,
                    std::size_t& capacity);

// The bottom of every C stack (base_loop.cpp).
void run_base_loop(void* carrier_of_the_stack);

// Could the current thread be unmounted where it stands? Nothing that is nested above a base.
[[nodiscard]] inline bool can_unmount(const runtime& rt, lua_State* L, const carrier& on) noexcept {
  return L == on.base && !on.unwinding.active && lua::can_yield(L, rt.layout);
}

}  // namespace luacoro
