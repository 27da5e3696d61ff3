// The loop itself: continues who waited, as long as they just wait again. What else comes of it is
// left to loop.lua.
#include <algorithm>
#include <optional>
#include <utility>

#include "loop/edge.h"
#include "loop/streams.h"

namespace luacoro::loop {
namespace {

enum class until : std::uint8_t { stopped, turn_is_over, main_goes_on };

std::optional<clock::time_point> limit_of(double timeout) {
  if (!(timeout >= 0)) return {};
  return clock::now() + std::chrono::duration_cast<clock::duration>(
                            std::chrono::duration<double>(std::min(timeout, never)));
}

bool is_fresh(lua_State* T) {
  lua_Debug frame;
  return lua_status(T) == 0 && lua_getstack(T, 0, &frame) == 0 && lua_gettop(T) == 1;
}

// Does the thread still wait there? Whoever continued it meanwhile, its wait is over.
bool is_in_wait(const loop_state& state, lua_State* T, const wait& w) {
  if (T == nullptr) return false;
  if (T == state.coro->main) return state.main_wait == &w;
  return state.coro->mark_of(state.coro, T) == &w || (w.has_values && is_fresh(T));
}

// The thread of the wait goes on, or will never.
void end_continuing(lua_State* L, loop_state& state, int threads) {
  wait& w = *std::exchange(state.continuing, nullptr);
  lua_pushboolean(L, 0);
  lua_rawseti(L, threads, w.index);
  state.of->recycle(w);
}

// An error came between: its thread has not gone on. What was read for it is lost.
void put_back_continuing(loop_state& state) noexcept {
  wait* w = std::exchange(state.continuing, nullptr);
  if (w == nullptr) return;
  if (w->attempt.method != nullptr) w->result = outcome::cancelled;
  w->attempt.method = nullptr;
  state.of->put_back(*w);
}

// The values that its thread is to get.                                                    [-0, +1]
int push_values(lua_State* L, const wait& w) {
  lua_rawgeti(L, lua_upvalueindex(values_upvalue), w.index);
  forget(L, values_upvalue, w);
  return 1;
}

// What loop.lua is to do with a thread that did not just wait again: its number for that.
enum class rest : std::uint8_t {
  transfer_values = 1,  // continue it with them: a table with a count
  throw_error,          // throw this into it
  take_leave,           // see what ptransfer returned when it was continued: ok, ...
  return_from_wait      // main goes on: it returns what follows
};

// The thread and n values that it comes with are on top.                           [-n-1, +n+2]
int leave_rest(lua_State* L, rest what, int n) {
  lua_pushnumber(L, static_cast<int>(what));
  lua_insert(L, -n - 2);
  return n + 2;
}

// continue_threads(until): threads that waited go on, one after the other, until one of them leaves
// something to be done: the results are what, the thread, and what it comes with. None if the loop
// is to be left, or if nothing can end.                             MAY RAISE (memory), MAY SWITCH.
int continue_threads(lua_State* L) {
  enum slot : int { ptransfer = 1, threads, thread, ok, first };
  loop_state& state = state_of_function(L);
  engine& of = *state.of;
  const auto end = static_cast<until>(static_cast<int>(lua_tonumber(L, 1)));
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(ptransfer_upvalue));
  lua_pushvalue(L, lua_upvalueindex(threads_upvalue));
  for (;;) {
    lua_settop(L, threads);
    if (end == until::stopped && state.is_stopped) return 0;
    if (end == until::turn_is_over && of.is_turn_over()) return 0;
    wait* w = nullptr;
    guarded(L, [&] { w = of.next(); });
    if (w == nullptr) return 0;
    state.continuing = w;
    lua_rawgeti(L, threads, w->index);
    lua_State* T = lua_tothread(L, thread);
    const bool goes_on = is_in_wait(state, T, *w);
    if (!goes_on || w->has_values) {
      const int n = w->has_values ? push_values(L, *w) : 0;
      end_continuing(L, state, threads);
      if (goes_on) return leave_rest(L, rest::transfer_values, n);
      continue;
    }
    if (T == L) {
      const int n = push_outcome(L, *w);
      end_continuing(L, state, threads);
      return leave_rest(L, rest::return_from_wait, n);
    }
    lua_pushvalue(L, ptransfer);
    lua_pushvalue(L, thread);
    const bool is_tried = w->attempt.method != nullptr;
    const int n = is_tried ? try_again(L, state, T, *w) : push_outcome(L, *w);
    if (n == waits_again) continue;
    if (n == is_gone || n == has_failed) {
      end_continuing(L, state, threads);
      if (n == has_failed) return leave_rest(L, rest::throw_error, 1);
      continue;
    }
    lua_call(L, n + 1, 3);
    end_continuing(L, state, threads);
    const bool just_waits = lua_toboolean(L, ok) != 0 && lua_isnil(L, first);
    if (!just_waits) return leave_rest(L, rest::take_leave, 3);
  }
}

// As continue_threads, but not inside of it: finalizers and hooks of main do not run the loop while
// it is about to continue somebody else.                            MAY RAISE, MAY SWITCH.
template <until end>
int run(lua_State* L) {
  loop_state& state = state_of_function(L);
  if (state.is_running) luaL_error(L, "attempt to wait inside the loop");
  lua_settop(L, 0);
  lua_getfield(L, lua_upvalueindex(core_upvalue), "continue_threads");
  lua_pushnumber(L, static_cast<int>(end));
  state.is_running = true;
  const int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  state.is_running = false;
  if (status == 0) return lua_gettop(L);
  put_back_continuing(state);
  return lua_error(L);
}

// begin_turn([timeout]) -> has anything ended?
int begin_turn(lua_State* L) {
  engine& of = engine_of_function(L);
  const double timeout = check_timeout(L, 1, "step");
  std::size_t ended = 0;
  guarded(L, [&] { ended = of.begin_turn(limit_of(timeout)); });
  lua_pushboolean(L, ended != 0);
  return 1;
}

// has_work() -> boolean: is there anything that has ended or can?
int has_work(lua_State* L) {
  lua_pushboolean(L, engine_of_function(L).has_work());
  return 1;
}

// set_stopped(boolean)
int set_stopped(lua_State* L) {
  state_of_function(L).is_stopped = lua_toboolean(L, 1) != 0;
  return 0;
}

// is_stopped() -> boolean
int is_stopped(lua_State* L) {
  lua_pushboolean(L, state_of_function(L).is_stopped);
  return 1;
}

}  // namespace

const luaL_Reg continuing_functions[] = {{"continue_threads", continue_threads},
                                         {"continue_until_stopped", run<until::stopped>},
                                         {"continue_for_a_turn", run<until::turn_is_over>},
                                         {"continue_until_main", run<until::main_goes_on>},
                                         {"begin_turn", begin_turn},
                                         {"has_work", has_work},
                                         {"set_stopped", set_stopped},
                                         {"is_stopped", is_stopped},
                                         {nullptr, nullptr}};

}  // namespace luacoro::loop
