#include "threads/departure.h"

#include <utility>

#include "base/check.h"
#include "threads/closing.h"
#include "threads/raising.h"

namespace luacoro {
namespace {

problem make_room(const runtime& rt, const departure& d) noexcept {
  switch (lua::reserve(d.to, d.values + 2, rt.layout)) {
    case lua::room::enough: return problem::none;
    case lua::room::too_many: return problem::too_many_values;
    case lua::room::no_memory: break;
  }
  return problem::no_memory;
}

// Does main run below, called back on the C stack of a coroutine? It could not be found there.
bool is_above_main(const runtime& rt, lua_State* from) noexcept {
  const bool may_be = from != rt.current->base && from != rt.main && rt.current != &rt.host;
  if (!may_be || find(rt, rt.main).where != standing::busy) return false;
  return rt.host.suspended == rt.main || depth_of(rt.main) > rt.main_depth;
}

// `from` may not be unmounted, or waits in a finalizer: may it leave at all?
problem check_leaving(runtime& rt, departure& d) noexcept {
  // What runs on the worker are finalizers, since coro's own functions do not switch.
  d.leaves_worker = d.from == rt.worker;
  if (rt.finalizing != nullptr || d.leaves_worker || lua::in_finalizer(d.from, rt.layout)) {
    // A thread resumed inside a finalizer, and those that it resumes, come back there.
    if (!d.resumes && !(d.how == waiting::yield && rt.finalizing != nullptr))
      return problem::in_finalizer;
    d.enters_finalizer = rt.finalizing == nullptr;
  }
  if (d.leaves_worker && rt.spare_worker == nullptr) return problem::unprepared;
  return is_above_main(rt, d.from) ? problem::above_main : problem::none;
}

// The worker waits in a finalizer: another one works meanwhile, on whose stack it is kept alive.
void replace_worker(runtime& rt) noexcept {
  push_thread(rt.spare_worker, rt.worker);
  rt.worker = std::exchange(rt.spare_worker, nullptr);
  lua_pushvalue(rt.shelf, runtime::spare_worker_thread);
  lua_replace(rt.shelf, runtime::worker_thread);
}

void return_worker(runtime& rt) noexcept {
  rt.spare_worker = rt.worker;
  rt.worker = lua_tothread(rt.spare_worker, 1);
  lua_pushvalue(rt.shelf, runtime::worker_thread);
  lua_replace(rt.shelf, runtime::spare_worker_thread);
  lua_xmove(rt.spare_worker, rt.shelf, 1);
  lua_replace(rt.shelf, runtime::worker_thread);
}

void leave_finalizer(runtime& rt) noexcept {
  rt.finalizing = nullptr;
  if (rt.closed) give_back(rt);
}

}  // namespace

void raise_on_arrival(runtime& rt, lua_State* to, const place& at) noexcept {
  if (at.on != nullptr || (at.where == standing::unmounted && lua::has_continuations)) {
    rt.arriving = arrival::with_error;
  } else if (at.where == standing::fresh) {
    push_from_shelf(rt, to, runtime::raiser);
    lua_insert(to, -2);
    rt.arriving = with_values(1);
  } else {
    lua_xmove(to, rt.scratch, 1);
    raise_when_continued(rt, to);
    rt.arriving = with_values(0);
  }
}

problem reserve(runtime& rt, departure& d) noexcept {
  carrier& here = *rt.current;
  if (d.values > sure_room || d.at.where == standing::yielded) {
    if (const problem why = make_room(rt, d); why != problem::none) return why;
  }
  const bool may_unmount = can_unmount(rt, d.from, here);
  // Whoever may be unmounted is in no finalizer: there is a C call between.
  if (!may_unmount || rt.finalizing != nullptr) {
    if (const problem why = check_leaving(rt, d); why != problem::none) return why;
  }
  d.there = d.at.on;
  d.unmounts = may_unmount && (d.needs_unmount || !stays_warm(rt, here, d.at.on));
  if (d.unmounts) {
    if (d.there == nullptr) d.there = &here;
    return problem::none;
  }
  d.is_warm = may_unmount;
  if (here.mourned != here.base && !rt.watching) return problem::unprepared;
  if (d.there == nullptr) d.there = rt.pool.take();
  return d.there != nullptr ? problem::none : problem::unprepared;
}

void hand_over(runtime& rt, departure& d) noexcept {
  carrier& here = *rt.current;
  const std::uint64_t wait = ++rt.switches;

  thread_link link = while_it_holds(rt, link_of(d.to, d.at));
  if (d.resumes) link = {{d.from, wait, d.unmounts ? nullptr : &here}, depth_above(here)};
  if (here.resumer.thread == d.to) here.resumer = {};  // it waits no more

  hold(rt, d.at.on != nullptr ? d.at.on->base : d.to, link.resumer.thread);
  pass_values(rt, d.from, d.to, d.shaped ? waiting::transfer : d.at.how, d.values);
  if (d.error) raise_on_arrival(rt, d.to, d.at);

  if (d.from != here.base) push_thread(d.from, here.base);
  if (d.unmounts) {
    push_unmounted_ticket(rt, d.from, d.how, wait, {here.resumer, here.depth});
  } else {
    stay_mounted(rt, d.from, d.how, wait, d.is_warm);
    if (here.mourned != here.base) mourn(rt, here);
  }
  if (d.enters_finalizer) rt.finalizing = &here;
  if (d.leaves_worker) replace_worker(rt);
  if (&here == &rt.host && d.from != rt.main) rt.main_depth = depth_of(rt.main);
  set_next(rt, d.to, d.at, link, *d.there);
}

int arrive_otherwise(lua_State* L, runtime& rt) {
  if (rt.arriving == arrival::with_error) lua::raise(L);
  // Asked to unmount: the ticket of a mounted thread makes room for the other kind.
  const carrier& here = *rt.current;
  lua_pop(L, size_of_ticket(rt, L, {.on = rt.current}));
  push_unmounted_ticket(rt, L, here.how, here.wait, {here.resumer, here.depth});
  return lua::yield_frame(L, arrive_unmounted, rt);
}

LUACORO_CONTINUATION(arrive_unmounted) {
  auto* owner = static_cast<runtime*>(LUACORO_CONTINUED_FOR);
  runtime& rt = owner != nullptr ? *owner : runtime_of_universe(L);
  if (rt.current->base != L)
    return luaL_error(L, "coroutine was suspended by coro and must be continued by it");
  return arrive(L, rt);
}

int leave(lua_State* L, runtime& rt, const departure& d) {
  carrier& here = *rt.current;
  carrier& there = *d.there;
  if (d.unmounts) {
    if (&there != &here) rt.leave_for = &there;
    return lua::yield_frame(L, arrive_unmounted, rt);
  }
  const bool in_hook = lua::leave_hook(L, rt.layout);
  // Main was called back: whoever it resumed before finds the end of that wait, until it goes on.
  const bool buries_host = L == rt.main && &here != &rt.host;
  if (buries_host) rt.buried_wait = std::exchange(rt.host.wait, 0);
  rt.current = &there;
  switch_context(here.left_at, there.left_at);
  if (buries_host) rt.host.wait = std::exchange(rt.buried_wait, 0);
  if (in_hook) lua::enter_hook_again(L, rt.layout);
  if (d.leaves_worker) return_worker(rt);
  if (d.enters_finalizer) leave_finalizer(rt);
  return arrive(L, rt);
}

}  // namespace luacoro
