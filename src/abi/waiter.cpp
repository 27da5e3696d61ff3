// Waiters.
//
// A waiter that is suspended on is the number of that wait (carrier.h) and the carrier that it is
// on. Who suspends there cannot be unmounted, so the carrier says whether the wait still lasts; no
// address of a thread or of a C frame is kept that might be somebody else's by now.
#include <pthread.h>

#include "abi/abi.h"
#include "module/edge.h"

namespace luacoro {
namespace {

enum waiter_state : int {
  taken = 0,
  waiting_state,
  early_values,  // completed before it was suspended on: the registry has the values
  early_error,
  used
};

std::uintptr_t this_os_thread() noexcept { return static_cast<std::uintptr_t>(pthread_self()); }

// Where somebody waits for it, if the collector has not found that unreachable.
carrier* find_waiting(const runtime& rt, const luacoro_waiter& waiter) noexcept {
  if (waiter.state != waiting_state || waiter.carrier >= rt.pool.size()) return nullptr;
  carrier* on = rt.pool.at(waiter.carrier);
  const bool waits = on->suspended != nullptr && on->wait == waiter.wait && base_lives(rt, *on);
  return waits ? on : nullptr;
}

// The values on the stack from index 2 on become one of the registry.  MAY RAISE (memory). [-n, +0]
int keep_values(lua_State* L) {
  const int n = lua_gettop(L) - 1;
  lua_createtable(L, n, 1);
  lua_insert(L, 2);
  for (int i = n; i > 0; --i) lua_rawseti(L, 2, i);
  lua_pushinteger(L, n);
  lua_rawseti(L, 2, 0);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

// What `suspend` returns, or raises, for a waiter that was completed early.    MAY RAISE. [-0, +n]
int take_early(lua_State* L, luacoro_waiter& waiter) {
  const bool is_error = waiter.state == early_error;
  waiter.state = used;
  lua_rawgeti(L, LUA_REGISTRYINDEX, waiter.values);
  luaL_unref(L, LUA_REGISTRYINDEX, waiter.values);
  const int table = lua_gettop(L);
  lua_rawgeti(L, table, 0);
  const int n = static_cast<int>(lua_tointeger(L, -1));
  luaL_checkstack(L, n, "too many values");
  for (int i = 1; i <= n; ++i) lua_rawgeti(L, table, i);
  return is_error ? lua_error(L) : n;
}

struct completion {
  luacoro_waiter* waiter;
  bool is_error;
  bool went_on = false;  // the one who waits
};

}  // namespace

// Arguments: the thread to go on or nil, the waiter. Upvalues: the runtime, the C functions.
int suspend_on_waiter(lua_State* L) {
  runtime& rt = runtime_of_function(L);
  const abi& self = *static_cast<abi*>(lua_touserdata(L, lua_upvalueindex(2)));
  auto& waiter = *static_cast<luacoro_waiter*>(lua::address_at(L, 2));
  lua_settop(L, 1);  // its address would stand where a mark does
  if (waiter.state == waiting_state || waiter.state == used)
    return luaL_error(L, "waiter was used already: each wait takes its own");
  lua_State* to = check_target_argument(L, rt);
  departure d{.from = L, .to = to, .at = {}, .values = 0, .how = waiting::transfer};
  const problem why = prepare(rt, d, [&rt, &waiter](departure& d) {
    if (waiter.state != taken) return problem::to_dead;  // completed by now
    d.at = find(rt, d.to);
    return check_target(rt, d);
  });
  if (waiter.state != taken) return take_early(L, waiter);
  if (why != problem::none) raise_problem(L, rt, why, "transfer");

  hand_over(rt, d);
  const std::uint64_t wait = rt.current->wait;
  waiter.wait = wait;
  waiter.carrier = rt.current->index;
  waiter.state = waiting_state;
  const int n = leave(L, rt, d);
  if (self.completed != wait) {
    lua_pushliteral(L, "coroutine was continued by another one while it waited");
    lua::raise(L);
  }
  return n;
}

// Arguments: the completion, values or an error. Upvalues as above. Returns what ptransfer does if
// the one who waits went on, else nothing.
int complete_waiter(lua_State* L) {
  runtime& rt = runtime_of_function(L);
  auto& self = *static_cast<abi*>(lua_touserdata(L, lua_upvalueindex(2)));
  auto& what = *static_cast<completion*>(lua::address_at(L, 1));
  luacoro_waiter& waiter = *what.waiter;
  if (waiter.state == taken) {
    waiter.values = keep_values(L);
    waiter.state = what.is_error ? early_error : early_values;
    return 0;
  }
  departure d{.from = L,
              .to = nullptr,
              .at = {},
              .values = lua_gettop(L) - 1,
              .how = waiting::ptransfer,
              .error = what.is_error};
  bool is_gone = false;
  const problem why = prepare(rt, d, [&rt, &waiter, &is_gone](departure& d) {
    const carrier* on = find_waiting(rt, waiter);
    is_gone = on == nullptr;
    if (is_gone) return problem::to_dead;
    d.to = on->suspended;
    d.at = find(rt, d.to);
    return check_target(rt, d);
  });
  if (is_gone) {
    waiter.state = used;
    return 0;
  }
  if (why != problem::none) raise_problem(L, rt, why, "transfer");
  self.completed = waiter.wait;
  waiter.state = used;
  what.went_on = true;
  return go(L, rt, d);
}

namespace {

int can_wait(const luacoro_abi* coro, lua_State*) {
  const runtime& rt = *abi_of(coro).rt;
  return rt.current != &rt.host;
}

void take(const luacoro_abi* coro, lua_State* L, luacoro_waiter* waiter) {
  if (!can_wait(coro, L)) luaL_error(L, "attempt to wait outside a coroutine that coro runs");
  *waiter = {.wait = 0, .os_thread = this_os_thread(), .carrier = 0, .state = taken, .values = 0};
}

int suspend(const luacoro_abi* coro, lua_State* L, luacoro_waiter* waiter, lua_State* to) {
  lua::push_address(L, waiter);
  return call_for(coro, L, abi::suspend, to, 1);
}

// Does the thread wait? Its ticket would stand below the n values on top.                  [-0, +0]
bool waits_below(const runtime& rt, lua_State* T, int n) noexcept {
  if (lua_gettop(T) <= n) return false;
  lua_pushvalue(T, -n - 1);
  const place at = find(rt, T);
  lua_pop(T, 1);
  return at.where <= standing::unmounted;
}

int waits(const luacoro_abi* coro, lua_State* thread) {
  return find(*abi_of(coro).rt, thread).where <= standing::unmounted;
}

luacoro_outcome complete_as(const luacoro_abi* coro, lua_State* L, completion what, int n) {
  const luacoro_waiter& waiter = *what.waiter;
  if (waiter.os_thread != this_os_thread()) return LUACORO_WRONG_THREAD;
  if (waits_below(*abi_of(coro).rt, L, n)) return LUACORO_NOT_CURRENT;
  const int base = lua_gettop(L) - n;
  if (waiter.state > waiting_state) {
    lua_settop(L, base);
    return LUACORO_USED;
  }
  const bool is_early = waiter.state == taken;
  lua::push_address(L, &what);
  if (n > 0) lua_insert(L, -n - 1);
  insert_function(abi_of(coro), L, abi::complete, n + 1);
  const int status = lua_pcall(L, n + 1, LUA_MULTRET, 0);
  if (status != LUA_OK) {
    lua_pushnil(L);
    return what.went_on ? LUACORO_FAILED : LUACORO_REFUSED;
  }
  if (what.went_on && !lua_toboolean(L, base + 1)) {
    lua_remove(L, base + 1);
    return LUACORO_FAILED;
  }
  lua_settop(L, base);
  if (what.went_on) return LUACORO_CONTINUED;
  return is_early ? LUACORO_EARLY : LUACORO_NOBODY;
}

luacoro_outcome complete(const luacoro_abi* coro, lua_State* L, luacoro_waiter* waiter, int n) {
  return complete_as(coro, L, {.waiter = waiter, .is_error = false}, n);
}

luacoro_outcome fail(const luacoro_abi* coro, lua_State* L, luacoro_waiter* waiter) {
  return complete_as(coro, L, {.waiter = waiter, .is_error = true}, 1);
}

void drop(const luacoro_abi*, lua_State* L, luacoro_waiter* waiter) {
  if (waiter->state == early_values || waiter->state == early_error)
    luaL_unref(L, LUA_REGISTRYINDEX, waiter->values);
  waiter->state = used;
}

}  // namespace

void fill_in_waiters(luacoro_abi& table) noexcept {
  table.take = take;
  table.can_wait = can_wait;
  table.suspend = suspend;
  table.complete = complete;
  table.fail = fail;
  table.drop = drop;
  table.waits = waits;
}

}  // namespace luacoro
