// transfer, ptransfer, throw, yield.
#include "module/edge.h"

namespace luacoro {

lua_State* check_target_argument(lua_State* L, const runtime& rt) {
  lua_State* to = lua_tothread(L, 1);
  if (to == nullptr) [[unlikely]] {
    if (!lua_isnoneornil(L, 1)) raise_type_error(L, 1, "thread or nil expected");
    if (lua_isnone(L, 1)) lua_settop(L, 1);
    to = rt.current == &rt.host ? L : thread_of_host(rt);
  }
  return to;
}

namespace {

// With the n values on top.
int transfer_to(lua_State* L, runtime& rt, lua_State* to, int n, waiting how) {
  departure d{.from = L, .to = to, .at = {}, .values = n, .how = how};
  if (const problem why = prepare(rt, d, by_ticket(rt)); why != problem::none)
    raise_problem(L, rt, why, "transfer");
  return go(L, rt, d);
}

int transfer_as(lua_State* L, waiting how) {
  runtime& rt = runtime_of_function(L);
  lua_State* to = check_target_argument(L, rt);
  return transfer_to(L, rt, to, lua_gettop(L) - 1, how);
}

// A plain departure, if it is one.
template <waiting how>
[[gnu::always_inline]] inline int transfer_plainly_to(lua_State* L, runtime& rt, lua_State* to,
                                                      int n) {
  const leaving way = way_to_leave(rt, L);
  const std::size_t ticket = ticket_of<lua::by_layout>(rt, to);
  if (way == leaving::unmounted) {
    if (is_unmounted(ticket) && has_room(rt, to, n)) {
      const place at = unmounted_place(ticket);
      if (takes_values(at)) [[likely]]
        return depart_unmounted<how>(L, rt, to, at, n);
    }
  } else if (carrier* there = mounted_on(rt, to, ticket);
             there != nullptr && is_plain_target(*there, to) && way != leaving::in_general &&
             has_room(rt, to, n)) [[likely]] {
    return depart_mounted<how>(L, rt, to, *there, n, way);
  }
  int results = 0;
  const place at = place_of_plain_target(rt, to, ticket);
  if (depart_otherwise<how>(L, rt, to, at, n, way, results)) return results;
  return transfer_to(L, rt, to, n, how);
}

template <waiting how>
int transfer_plainly(lua_State* L) {
  runtime& rt = runtime_of_plain_function(L);
  lua_State* to = lua::by_layout::thread_argument(L);
  if (to == nullptr && lua_isnil(L, 1) && !host_is_buried(rt)) to = rt.host.suspended;
  if (to == nullptr) return transfer_as(L, how);
  return transfer_plainly_to<how>(L, rt, to, lua::by_layout::count(L) - 1);
}

int yield_from(lua_State* L, runtime& rt) {
  const carrier& here = *rt.current;
  // Not run by coro, but by a standard resume or by the host: the ordinary yield, or its error.
  if (L != here.base || &here == &rt.host) return lua::yield_values(L, rt.layout);

  const resumer_link resumer = here.resumer;
  departure d{
      .from = L, .to = resumer.thread, .at = {}, .values = lua_gettop(L), .how = waiting::yield};
  if (const problem why = prepare(rt, d, by_link(rt, resumer)); why != problem::none) {
    push_problem(L, rt, why, "yield");
    return lua_error(L);
  }
  return go(L, rt, d);
}

}  // namespace

// transfer(thread or nil, ...) -> ...
int edges::transfer_in_general(lua_State* L) { return transfer_as(L, waiting::transfer); }
int edges::transfer(lua_State* L) { return transfer_plainly<waiting::transfer>(L); }

// ptransfer(thread or nil, ...) -> true, ... or false, err, traceback
int edges::ptransfer_in_general(lua_State* L) { return transfer_as(L, waiting::ptransfer); }
int edges::ptransfer(lua_State* L) { return transfer_plainly<waiting::ptransfer>(L); }

int leave_with_mark(lua_State* L, runtime& rt, lua_State* to, int n, const void* mark) {
  if (to == nullptr) to = rt.current == &rt.host ? L : thread_of_host(rt);
  // Whoever waits is taken to have as much room as a function of coro's own has.
  if (!lua_checkstack(L, lua::free_slots + 1)) raise_text(L, "stack overflow (no room to wait)");
  lua::push_address(L, mark);
  if (n > 0) lua_insert(L, -n - 1);
  if (!rt.layout.is_known) return transfer_to(L, rt, to, n, waiting::transfer);
  return transfer_plainly_to<waiting::transfer>(L, rt, to, n);
}

// throw(thread or nil, err) -> ...
int edges::throw_error(lua_State* L) {
  runtime& rt = runtime_of_function(L);
  lua_settop(L, 2);
  lua_State* to = check_target_argument(L, rt);
  departure d{.from = L, .to = to, .at = {}, .values = 1, .how = waiting::transfer, .error = true};
  const waiting how = find(rt, to).how;
  if (to != L && returns_status(how)) {
    // It gets the error as results: false, err, traceback.
    lua_pushboolean(L, 0);
    lua_insert(L, 2);
    lua::push_traceback(L, L);
    d.values = 3;
    d.error = false;
    d.shaped = true;
  }
  const problem why = prepare(rt, d, [&rt, how](departure& d) {
    d.at = find(rt, d.to);
    const problem target = check_target(rt, d);
    return target == problem::none && d.at.how != how ? problem::to_busy : target;
  });
  if (why != problem::none) raise_problem(L, rt, why, "throw");
  return go(L, rt, d);
}

// yield(...) -> ...
int edges::yield_in_general(lua_State* L) { return yield_from(L, runtime_of_function(L)); }

int edges::yield(lua_State* L) {
  runtime& rt = runtime_of_plain_function(L);
  const resumer_link& resumer = rt.current->resumer;
  const int n = lua::by_layout::count(L);
  const leaving way = way_to_leave(rt, L);
  carrier* there = waits_mounted(resumer);
  const bool stays = way != leaving::unmounted && way != leaving::in_general;
  if (there != nullptr && is_plain_target(*there, resumer.thread) && stays &&
      has_room(rt, resumer.thread, n)) [[likely]]
    return depart_mounted<waiting::yield>(L, rt, resumer.thread, *there, n, way);
  int results = 0;
  const place at = find_resumer(rt, resumer);
  if (depart_otherwise<waiting::yield>(L, rt, resumer.thread, at, n, way, results)) return results;
  return yield_from(L, rt);
}

}  // namespace luacoro
