#include "loop/streams.h"

#include <cstring>

namespace luacoro::loop {
namespace {

// A method is called again, as T waits for it. The number of its arguments.            [-0, +1+n]
int push_call(lua_State* L, lua_State* T, const attempt& a) {
  lua_pushvalue(T, frame::own);
  lua_pushvalue(T, frame::socket);
  for (int i = 0; i < a.arguments; ++i) lua_pushvalue(T, frame::argument + i);
  lua_xmove(T, L, a.arguments + 2);
  return a.arguments + 1;
}

void push_changed(lua_State* L) { lua_pushliteral(L, "what the method waits for was changed"); }

// What a try returned, from index `from` on: the number of results of the method, which are on top;
// or waits_again, and nothing of it is left.                           MAY RAISE (memory).
int take_results(lua_State* L, lua_State* T, attempt& a, int from) {
  lua_settop(L, from + 2);
  const bool is_done = !lua_isnil(L, from);
  const bool sends = a.method->waits_for == writing;
  if (is_done || !sends) a.on->*a.method->can = true;
  const readiness to_be = is_done ? readiness{} : readiness_of(L, from + 1, sends);
  if (to_be.said == nullptr) {
    return a.method->finish != nullptr ? a.method->finish(L, T, a, from, is_done) : 3;
  }
  a.said = to_be.said;
  a.writes = to_be.writes;
  a.method->keep(L, T, a);
  lua_settop(L, from - 1);
  return waits_again;
}

// What one received may have left something in LuaSocket's buffer for others who wait to receive.
void wake_others(engine& of, const attempt& a) noexcept {
  descriptor* d = a.on->registered;
  if (a.method->waits_for != reading || d == nullptr) return;
  if (d->waiting[reading] != nullptr) of.wake_readers(*d);
}

// What the method returns when its wait has ended for the reason on top: nil, that, and how far it
// came.                                                                MAY RAISE (memory). [-1, +3]
int fail(lua_State* L, lua_State* T, attempt& a) {
  lua_pushnil(L);
  lua_insert(L, -2);
  a.method->push_progress(L, T, a);
  return 3;
}

// When time is over, that is said as the last try said it.             MAY RAISE (memory). [-0, +3]
int fail_in_time(lua_State* L, lua_State* T, attempt& a) {
  lua_pushstring(L, a.said != nullptr ? a.said : "timeout");
  return fail(L, T, a);
}

// The wait of an attempt begins.                                       MAY RAISE (memory). [-0, +0]
void start_attempt(lua_State* L, engine& of, wait& w, const attempt& a) {
  const socket_state& s = *a.on;
  // The first one is no longer than what LuaSocket calls so: there is no time for the whole then.
  const double timeout = a.is_first ? s.block : s.time_left(a.start);
  w.is_retried = true;
  start(L, of, w, [&] {
    if (a.gives_way) {
      of.alarm(w, 0);
    } else {
      watch_socket(of, w, s, a.writes, timeout);
    }
  });
}

bool is_to_try(const attempt& a, outcome result) noexcept {
  return result == outcome::ready || (result == outcome::timeout && (a.is_first || a.gives_way));
}

// As take_results, but it may have been the last try, and then waits no more.
int conclude(lua_State* L, lua_State* T, attempt& a, int from, bool is_last) {
  check_unchanged(L, is_there(T, a));
  const int n = take_results(L, T, a, from);
  if (n != waits_again || !(is_last || a.on->block == 0)) return n;
  return fail_in_time(L, T, a);
}

// A try after a wait that has ended so: as take_results.                      MAY RAISE.
int try_after(lua_State* L, lua_State* T, attempt& a, outcome result) {
  const bool is_last = a.is_first && result == outcome::timeout;
  a.is_first = a.gives_way = false;
  check_unchanged(L, is_there(T, a));
  if (a.method->look != nullptr && a.said != nullptr) a.method->look(T, a);
  const int from = lua_gettop(L) + 1;
  lua_call(L, push_call(L, T, a), LUA_MULTRET);
  return conclude(L, T, a, from, is_last);
}

// After a wait that has ended so, with what push_outcome says last on top: as take_results.
//                                                                      MAY RAISE.
int conclude_outcome(lua_State* L, lua_State* T, attempt& a, outcome result) {
  const bool tries = is_to_try(a, result);
  if (!tries && result != outcome::timeout) return fail(L, T, a);
  lua_pop(L, 1);
  return tries ? try_after(L, T, a, result) : fail_in_time(L, T, a);
}

// In main, which waits by running the loop and tries for itself.
int wait_to_try_in_main(lua_State* L, loop_state& state, attempt a) {
  for (;;) {
    wait& w = begin(L, state);
    start_attempt(L, *state.of, w, a);
    wait_in_main(L, state, w);
    outcome result = outcome::ready;
    if (!lua_toboolean(L, -2)) {
      const bool is_timeout = std::strcmp(lua_tostring(L, -1), "timeout") == 0;
      result = is_timeout ? outcome::timeout : outcome::failed;
    }
    lua_remove(L, -2);
    const int n = conclude_outcome(L, L, a, result);
    if (n == waits_again) continue;
    wake_others(*state.of, a);
    return n;
  }
}

// Arguments: the index of a wait that has ended, and what the try returned that was made since, if
// one was made. Results: those of the method, or none if it waits again.
int conclude_wait(lua_State* L) {
  wait& w = engine_of_function(L).at(static_cast<int>(lua_tonumber(L, 1)));
  attempt& a = w.attempt;
  lua_rawgeti(L, lua_upvalueindex(threads_upvalue), w.index);
  lua_State* T = lua_tothread(L, -1);
  lua_replace(L, 1);
  int n = 0;
  if (lua_gettop(L) > 1) {
    n = conclude(L, T, a, 2, false);
  } else {
    push_outcome(L, w);
    n = conclude_outcome(L, T, a, w.result);
  }
  return n == waits_again ? 0 : n;
}

}  // namespace

void push_method(lua_State* L, int upvalue) {
  lua_pushvalue(L, lua_upvalueindex(upvalue));
  lua_rawgeti(L, frame::self, 1);
}

void check_unchanged(lua_State* L, bool is_unchanged) {
  if (is_unchanged) return;
  push_changed(L);
  lua_error(L);
}

attempt begin_frame(lua_State* L, const loop_state& state, const stream_method& method,
                    int most_arguments) {
  const int arguments = std::clamp(lua_gettop(L) - frame::self, 0, most_arguments);
  lua_settop(L, frame::known - 1);
  socket_state& s = push_socket_state(L, state);
  return {.method = &method, .arguments = arguments, .start = s.start(), .on = &s};
}

int wait_to_try(lua_State* L, loop_state& state, const attempt& a) {
  push_method(L, own_upvalue);
  register_if_open(L, *state.of, frame::socket, *a.on);
  if (L == state.coro->main) return wait_to_try_in_main(L, state, a);
  wait& w = begin(L, state);
  w.attempt = a;
  start_attempt(L, *state.of, w, a);
  return leave(L, state, w);
}

int try_at_once(lua_State* L, loop_state& state, attempt& a, bool may_refuse) {
  if (!may_refuse && must_give_way(L, state, *a.on)) {
    a.gives_way = true;
    return wait_to_try(L, state, a);
  }
  push_method(L, may_refuse ? blaming_upvalue : own_upvalue);
  for (int i = 0; i < a.arguments; ++i) lua_pushvalue(L, frame::argument + i);
  lua_call(L, a.arguments + 1, LUA_MULTRET);
  constexpr int from = frame::own;
  if (!lua_isnil(L, from)) {
    a.on->*a.method->can = true;
    wake_others(*state.of, a);
    return lua_gettop(L) - from + 1;
  }
  const int n = conclude(L, L, a, from, false);
  if (n != waits_again) return n;
  check_may_wait(L, state);
  return wait_to_try(L, state, a);
}

int try_again(lua_State* L, loop_state& state, lua_State* T, wait& w) {
  const int top = lua_gettop(L);
  attempt& a = w.attempt;
  int status = 0;
  bool is_concluded = false;
  // Nearly always there is a line or the like now, and no more calls are needed.
  if (a.is_first && w.result == outcome::ready) {
    a.is_first = false;
    status = lua_pcall(L, push_call(L, T, a), LUA_MULTRET, 0);
    is_concluded = status != 0 || lua_gettop(L) == top || !lua_isnil(L, top + 1);
  }
  if (!is_concluded) {
    lua_getfield(L, lua_upvalueindex(core_upvalue), "conclude_wait");
    lua_pushnumber(L, w.index);
    lua_insert(L, top + 1);
    lua_insert(L, top + 1);
    status = lua_pcall(L, lua_gettop(L) - top - 1, LUA_MULTRET, 0);
  }
  if (!is_there(T, a)) {
    if (state.coro->mark_of(state.coro, T) != &w) return is_gone;
    if (status == 0) {
      lua_settop(L, top);
      push_changed(L);
    }
    return has_failed;
  }
  if (status != 0) return has_failed;
  if (const int n = lua_gettop(L) - top; n > 0 || is_concluded) {
    wake_others(*state.of, a);
    return n;
  }
  state.continuing = nullptr;
  w.result = outcome::none;
  start_attempt(L, *state.of, w, a);
  return waits_again;
}

const luaL_Reg stream_functions[] = {{"make_receive", make_receive},
                                     {"make_send", make_send},
                                     {"conclude_wait", conclude_wait},
                                     {nullptr, nullptr}};

}  // namespace luacoro::loop
