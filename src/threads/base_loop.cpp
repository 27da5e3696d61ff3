// The bottom of every C stack: runs a thread until it ends, fails or yields, hands on what it left,
// and goes on with whoever gets that: right here if it needs a C stack, else elsewhere, idle.
// Floor 3.
#include "base/check.h"
#include "threads/closing.h"
#include "threads/collection.h"
#include "threads/departure.h"
#include "threads/failure.h"
#include "threads/mounting.h"
#include "threads/raising.h"

namespace luacoro {
namespace {

// Who goes on when a base is done with.
struct heir {
  lua_State* thread;
  place at;
  thread_link link;  // read before anything is put on its stack
  bool resumed;      // is the base's resumer, and not main for want of one
};

heir find_heir(const runtime& rt, const carrier& self) noexcept {
  lua_State* resumer = self.resumer.thread;
  if (const place at = find_resumer(rt, self.resumer);
      resumer != nullptr && at.where != standing::dead)
    return {resumer, at, while_it_holds(rt, link_of(resumer, at)), true};
  lua_State* main = thread_of_host(rt);
  const place at = find(rt, main);
  // The link is that of the base below, where main was called back.
  return {main, at, while_it_holds(rt, link_of(main, at)), false};
}

// The heir finds what rt.arriving says.
void continue_with(runtime& rt, carrier& self, const heir& next) noexcept {
  hold(rt, next.at.on != nullptr ? next.at.on->base : next.thread, next.link.resumer.thread);
  if (rt.arriving == arrival::with_error) raise_on_arrival(rt, next.thread, next.at);
  set_next(rt, next.thread, next.at, next.link, self);
  rt.leave_for = next.at.on;
}

// The n values on top of the base are what its resumer gets. False if they are too many for it:
// besides them there may be a status, and the thread itself when it is held.
bool pass_results(runtime& rt, lua_State* T, int n, const heir& next) noexcept {
  if (!has_room(rt, next.thread, n)) return false;
  pass_values(rt, T, next.thread, next.at.how, n);
  return true;
}

// A standard yield in a thread that nobody resumed: it goes on with an error.
void refuse_yield(runtime& rt, carrier& self, int n) noexcept {
  lua_State* T = self.base;
  lua_pop(T, n);
  push_from_shelf(rt, rt.scratch, runtime::not_resumed_text);
  raise_when_continued(rt, T);
  rt.arriving = with_values(0);
}

// The most frequent end: the base returned, and its resumer waits mounted. False if it is another.
bool conclude_plainly(runtime& rt, carrier& self, int status, int n) noexcept {
  lua_State* T = self.base;
  carrier* there = waits_mounted(self.resumer);
  const bool is_plain = rt.layout.is_known && status == LUA_OK && there != nullptr &&
                        there->how != waiting::close && rt.raising.thread != T &&
                        !self.unwinding.active;
  lua_State* resumer = self.resumer.thread;
  if (!is_plain || !has_room(rt, resumer, n)) return false;
  ++rt.switches;
  hold<lua::by_layout>(rt, there->base, there->resumer.thread);
  pass_values<lua::by_layout>(rt, T, resumer, there->how, n);
  wake(rt, *there);
  rt.leave_for = there;
  return true;
}

// For a base that came back from lua_resume and did not leave for anybody: who goes on?
void conclude(runtime& rt, carrier& self, int status, int n) noexcept {
  lua_State* T = self.base;
  if (take_back_error(rt, T)) status = LUA_ERRRUN;
  if (self.unwinding.active && status != LUA_YIELD) end_unwinding(rt, self);

  heir next = find_heir(rt, self);
  const bool failed = status != LUA_OK && status != LUA_YIELD;
  if (lua::has_close && failed && next.resumed && closes_failed(next.at.how)) {
    // MAY SWITCH: __close metamethods run. Somebody else may have closed it meanwhile, and the
    // resumer may have gone on.
    status = lua::close(T);
    if (self.unwinding.active) end_unwinding(rt, self);
    next = find_heir(rt, self);
  }
  const bool closed = next.resumed && next.at.how == waiting::close;
  if (status == LUA_YIELD && (!next.resumed || closed)) {
    refuse_yield(rt, self, n);
    return;
  }
  ++rt.switches;
  if (next.at.on != nullptr) keep_mounted(rt, *next.at.on);
  const failure report{T,           runtime::no_slot, next.thread,
                       next.at.how, next.resumed,     status == LUA_ERRMEM};
  if (closed) {
    report_close(rt, T, status, next.thread);
  } else if (failed) {
    report_failure(rt, report);
  } else if (!next.resumed) {
    lua_settop(T, 0);
    report_failure(rt, report.with(runtime::ended_text));
  } else if (!pass_results(rt, T, n, next)) {
    lua_pop(T, n);
    report_failure(rt, report.with(runtime::too_many_results_text));
  }
  continue_with(rt, self, next);
}

}  // namespace

void run_base_loop(void* carrier_of_the_stack) {
  carrier& self = *static_cast<carrier*>(carrier_of_the_stack);
  runtime& rt = *self.home;
  for (;;) {
    lua_State* T = self.base;
    LUACORO_CHECK(T != nullptr, "an idle C stack was switched to without a thread to run");
    int n = values_on_top(rt.arriving);
    lua::forget_c_calls(T, rt.keeper);
    const int status = lua::run(T, n);

    const bool departed = self.base != T || rt.leave_for != nullptr;
    if (!departed && !conclude_plainly(rt, self, status, n)) conclude(rt, self, status, n);

    if (carrier* there = rt.leave_for) {
      rt.leave_for = nullptr;
      rt.current = there;
      rt.pool.put_idle(self, rt.configured.warm_stacks);
      switch_context(self.left_at, there->left_at);
    }
  }
}

}  // namespace luacoro
