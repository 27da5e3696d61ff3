#include "threads/collection.h"

#include <algorithm>

#include "threads/closing.h"
#include "threads/mounting.h"
#include "threads/ticket.h"

namespace luacoro {
namespace {

// Slots of the array: one for each carrier, by its index. All of them are in the array part of the
// table from the start, so that setting one allocates nothing and moves nothing.
constexpr int slot_of(std::size_t index) noexcept { return static_cast<int>(index) + 1; }

// The host's slot has the userdata that watches for the end of a cycle. The collector clears that,
// too; a finalizer may fail to run where the C stack is at its end.
constexpr int watch_slot = slot_of(0);

// A userdata that nothing else refers to.                              MAY RAISE (memory). [-0, +0]
int watch_cycle(lua_State* L) {
  runtime& rt = runtime_of_universe(L);
  lua_newuserdata(L, 1);
  push_from_shelf(rt, L, runtime::watch_metatable);
  lua_setmetatable(L, -2);
  lua_xmove(L, rt.shelf, 1);
  lua_rawseti(rt.shelf, runtime::mourned_array, watch_slot);
  return 0;
}

bool is_there(const runtime& rt, int slot) noexcept {
  lua_rawgeti(rt.shelf, runtime::mourned_array, slot);
  const bool there = !lua_isnil(rt.shelf, -1);
  lua_pop(rt.shelf, 1);
  return there;
}

// MAY RAISE (memory). [-0, +0]
int make_spare_worker(lua_State* L) {
  runtime& rt = runtime_of_universe(L);
  lua_State* made = lua_newthread(L);
  put_on_shelf(rt, L, runtime::spare_worker_thread);
  rt.spare_worker = made;
  return 0;
}

// False if there is no memory for it, or no C stack left: whoever mounts next tries again.
bool watch(runtime& rt, lua_State* L) noexcept {
  rt.watching = is_there(rt, watch_slot) || lua::call_protected(L, watch_cycle, nullptr) == LUA_OK;
  return rt.watching;
}

// __gc of that userdata.
int at_end_of_cycle(lua_State* L) {
  runtime& rt = runtime_of_universe(L);
  if (!rt.closed) bury_collected(rt, L);
  return 0;
}

int widen_mourned(lua_State* L) {
  runtime& rt = runtime_of_universe(L);
  widen_on_shelf(rt, L, runtime::mourned_array, rt.mourned_capacity);
  return 0;
}

int collect_garbage(lua_State* L) {
  lua_gc(L, LUA_GCCOLLECT, 0);
  return 0;
}

}  // namespace

void bury_collected(runtime& rt, lua_State* L) noexcept {
  bool any_left = false;
  for (std::size_t i = 1; i < rt.pool.size(); ++i) {
    carrier& c = *rt.pool.at(i);
    if (c.base == nullptr || c.mourned != c.base) continue;
    if (c.suspended == nullptr || is_there(rt, slot_of(i))) {
      any_left = true;
    } else {
      rt.warm -= c.is_warm;
      if (c.unwinding.active) forget_unwinding(rt, c);
      rt.pool.abandon(c, rt.configured.warm_stacks);
    }
  }
  rt.pool.give_back_depths();
  rt.watching = false;
  if (any_left) (void)watch(rt, L);
}

void mourn(runtime& rt, carrier& c) noexcept {
  push_thread(rt.shelf, c.base);
  lua_rawseti(rt.shelf, runtime::mourned_array, slot_of(c.index));
  c.mourned = c.base;
}

bool base_lives(const runtime& rt, const carrier& c) noexcept {
  return is_there(rt, slot_of(c.index));
}

problem prepare_to_mount(runtime& rt, lua_State* L, const carrier* target) noexcept {
  if (rt.closed) return problem::closed;
  if (rt.pool.size() >= rt.mourned_capacity &&
      lua::call_protected(L, widen_mourned, nullptr) != LUA_OK)
    return problem::no_memory;
  if (L == rt.worker && rt.spare_worker == nullptr &&
      lua::call_protected(L, make_spare_worker, nullptr) != LUA_OK)
    return problem::no_memory;
  const bool was_watching = rt.watching;  // though its finalizer may have failed to run
  if (!watch(rt, L)) return problem::no_memory;
  if (!was_watching || rt.pool.idle() > 0) return problem::none;

  const std::size_t limit = std::min(rt.configured.max_stacks, most_carriers);
  bool collected = false;
  for (;;) {
    problem why = problem::no_stacks;
    if (rt.pool.in_use() + rt.pool.idle() < limit) {
      switch (rt.pool.grow(rt.configured.stack_size)) {
        case carriers::growth::grown: return problem::none;
        case carriers::growth::no_memory: return problem::no_memory;
        case carriers::growth::no_mapping: why = problem::no_mapping; break;
      }
    }
    if (unmount_a_warm_one(rt, target)) return problem::none;
    if (collected) return why;
    // C stacks of threads that nothing can reach may be among those in use.
    collected = true;
    if (lua::call_protected(L, collect_garbage, nullptr) == LUA_ERRMEM) return problem::no_memory;
    if (rt.pool.idle() > 0) return problem::none;
  }
}

void prepare_collection(runtime& rt, lua_State* L) {
  rt.mourned_capacity = 16;
  lua::push_weak_array(L, rt.mourned_capacity);
  put_on_shelf(rt, L, runtime::mourned_array);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, at_end_of_cycle);
  lua_setfield(L, -2, "__gc");
  put_on_shelf(rt, L, runtime::watch_metatable);
}

}  // namespace luacoro
