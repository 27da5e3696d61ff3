// A method tries the socket at once, or waits first where it is not expected to be ready. While its
// caller waits, the loop tries again, and continues the caller only with results. Its frame says
// what is tried; what else there is to know stands in the wait.
#include "loop/streams.h"

#include <sys/socket.h>

#include <cerrno>

#include "loop/socket.h"

namespace luacoro::loop {
namespace {

// The frames of both methods. The arguments are those of the socket's own method, after it.
enum slot : std::uint8_t {
  self = 1,
  pattern = 2,  // receive
  prefix = 3,
  data = 2,  // send
  first = 3,
  last = 4,
  known = 5,   // a socket_state
  chunks = 6,  // receive: a table of what was received in several tries, if there is any
  own = 7,     // while it waits: the socket's own method, and the socket
  socket = 8
};

// Further upvalues of both.
enum : std::uint8_t { own_upvalue = upvalues + 1, blaming_upvalue, dirty_upvalue };

// A method is called again, as T waits for it. The number of its arguments.            [-0, +1+n]
int push_call(lua_State* L, lua_State* T, const attempt& a) {
  lua_pushvalue(T, own);
  lua_pushvalue(T, socket);
  for (int i = 0; i < a.arguments; ++i) lua_pushvalue(T, self + 1 + i);
  lua_xmove(T, L, a.arguments + 2);
  return a.arguments + 1;
}

// A method that is an upvalue, and the socket.                                             [-0, +2]
void push_method(lua_State* L, int which) {
  lua_pushvalue(L, lua_upvalueindex(which));
  lua_rawgeti(L, self, 1);
}

// ---- receive ----

bool is_for_all(lua_State* T) {
  if (lua_type(T, pattern) != LUA_TSTRING) return false;
  const char* text = lua_tostring(T, pattern);
  return text[text[0] == '*' ? 1 : 0] == 'a';
}

// Is it for something that may have to come, and that no socket refuses which can receive?
bool is_plain_receive(lua_State* L) {
  if (!lua_isnil(L, prefix)) return false;
  switch (lua_type(L, pattern)) {
    case LUA_TNIL: return true;
    case LUA_TNUMBER: return lua_tonumber(L, pattern) > 0;
    case LUA_TSTRING: {
      const char* text = lua_tostring(L, pattern);
      return std::strcmp(text, "*l") == 0 || std::strcmp(text, "*a") == 0;
    }
    default: return false;
  }
}

// The frame of who waits may be changed by debug.setlocal; and whatever is called or allocates may
// run hooks and finalizers, which may continue the thread.
void check_unchanged(lua_State* L, bool is_unchanged) {
  if (!is_unchanged) luaL_error(L, "what the method waits for was changed");
}

bool is_there(lua_State* T, const attempt& a) { return lua_touserdata(T, known) == a.on; }

void push_chunks(lua_State* L, lua_State* T) {
  lua_pushvalue(T, chunks);
  lua_xmove(T, L, 1);
  check_unchanged(L, lua_istable(L, -1));
}

// What is on top is a part of what is received.                        MAY RAISE (memory). [-1, +0]
void add_chunk(lua_State* L, lua_State* T, attempt& a) {
  if (a.chunks == 0) {
    lua_newtable(L);
    check_unchanged(L, is_there(T, a));
    lua_pushvalue(L, -1);
    lua_xmove(L, T, 1);
    lua_replace(T, chunks);
  } else {
    push_chunks(L, T);
  }
  lua_insert(L, -2);
  lua_rawseti(L, -2, ++a.chunks);
  lua_pop(L, 1);
}

// All chunks, with what is on top as the last one.                     MAY RAISE (memory). [-1, +1]
void join(lua_State* L, lua_State* T, attempt& a) {
  if (a.chunks == 0) return;
  add_chunk(L, T, a);
  push_chunks(L, T);
  const int table = lua_gettop(L);
  luaL_Buffer all;
  luaL_buffinit(L, &all);
  for (int i = 1; i <= a.chunks; ++i) {
    lua_rawgeti(L, table, i);
    check_unchanged(L, lua_isstring(L, -1) != 0);
    luaL_addvalue(&all);
  }
  luaL_pushresult(&all);
  lua_replace(L, table);
}

// What was received before an error.                                   MAY RAISE (memory). [-0, +1]
void push_received(lua_State* L, lua_State* T, attempt& a) {
  if (a.said != nullptr && !a.has_partial && a.chunks == 0) {
    lua_pushnil(L);
  } else {
    lua_pushliteral(L, "");
    join(L, T, a);
  }
}

std::size_t size_of(lua_State* L, int index) {
  std::size_t size = 0;
  lua_tolstring(L, index, &size);
  return size;
}

// The end of the stream is what "*a" waits for, and not an error. Where a try finds nothing else it
// does not tell that from a connection that was cut off: why it was, or 0.
int look_for_cut(lua_State* T, const attempt& a) {
  if (a.chunks == 0 || a.on->registered == nullptr || !is_for_all(T)) return 0;
  if (std::strcmp(a.said, "timeout") != 0) return 0;
  char next;
  const ssize_t n = ::recv(a.on->registered->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT);
  const int why = errno;
  return n >= 0 || why == EAGAIN || why == EWOULDBLOCK || why == EINTR ? 0 : why;
}

// What a try returned from index `from` on is not asked for again: results of the method.
//                                                                      MAY RAISE (memory). [-3, +n]
int finish_receive(lua_State* L, lua_State* T, attempt& a, int from, bool is_done) {
  if (a.chunks == 0) return 3;
  const char* err = is_done ? nullptr : lua_tostring(L, from + 1);
  const bool is_end = err != nullptr && std::strcmp(err, "closed") == 0 &&
                      size_of(L, from + 2) == 0 && is_for_all(T);
  if (is_done) lua_pushvalue(L, from);
  join(L, T, a);
  if (!is_done && !(is_end && size_of(L, -1) > a.before)) return 3;
  lua_pushnil(L);
  if (a.cut_off == 0) {
    lua_pushnil(L);
  } else {
    lua_pushstring(L, a.cut_off == ECONNRESET ? "closed" : std::strerror(a.cut_off));
    lua_pushvalue(L, -3);
  }
  return 3;
}

// What had come is on top; the rest is asked for next.                 MAY RAISE (memory). [-1, +0]
void keep_received(lua_State* L, lua_State* T, attempt& a) {
  socket_state& s = *a.on;
  a.has_partial = lua_isstring(L, -1) != 0;
  // LuaSec has other words for it: what it has in its buffer says less of what is to come.
  s.waits_first =
      std::strcmp(a.said, "timeout") == 0 && a.has_partial && s.block != 0 && !(s.total >= 0);
  const std::size_t size = a.has_partial ? size_of(L, -1) : 0;
  if (size == 0) {
    lua_pop(L, 1);
    return;
  }
  add_chunk(L, T, a);
  check_unchanged(L, is_there(T, a));
  if (lua_isnumber(T, pattern) != 0) {
    lua_pushnumber(T, lua_tonumber(T, pattern) - static_cast<lua_Number>(size));
    lua_replace(T, pattern);
  }
  lua_pushnil(T);
  lua_replace(T, prefix);
}

// ---- send ----

// Up to where it has sent is on top; the rest is sent next.                   MAY RAISE. [-1, +0]
void keep_sent(lua_State* L, lua_State* T, attempt& a) {
  if (lua_isnumber(L, -1) != 0) {
    a.before = static_cast<std::size_t>(lua_tonumber(L, -1));
    a.arguments = std::max(a.arguments, first - self);
    check_unchanged(L, is_there(T, a));
    lua_pushnumber(T, static_cast<lua_Number>(a.before) + 1);
    lua_replace(T, first);
  }
  lua_pop(L, 1);
}

// ---- both ----

bool is_receive(const attempt& a) noexcept { return a.which == attempt::method::receive; }

// What a try returned, from index `from` on: results of the method, or waits_again.
//                                                                      MAY RAISE (memory). [-r, +n]
int take_results(lua_State* L, lua_State* T, attempt& a, int from) {
  lua_settop(L, from + 2);
  const bool is_done = !lua_isnil(L, from);
  if (is_receive(a)) a.on->can_receive = true;
  if (is_done && !is_receive(a)) a.on->can_send = true;
  const readiness to_be = is_done ? readiness{} : readiness_of(L, from + 1, !is_receive(a));
  if (to_be.said == nullptr) return is_receive(a) ? finish_receive(L, T, a, from, is_done) : 3;
  a.said = to_be.said;
  a.writes = to_be.writes;
  is_receive(a) ? keep_received(L, T, a) : keep_sent(L, T, a);
  lua_settop(L, from - 1);
  return waits_again;
}

// What one received may have left something in LuaSocket's buffer for others who wait to receive.
void wake_others(engine& of, const attempt& a) noexcept {
  descriptor* d = a.on->registered;
  if (is_receive(a) && d != nullptr && d->waiting[reading] != nullptr) of.wake_readers(*d);
}

// What the method returns when its wait has ended for the reason on top: nil, that, and how far it
// came.                                                                MAY RAISE (memory). [-1, +3]
int fail(lua_State* L, lua_State* T, attempt& a) {
  lua_pushnil(L);
  lua_insert(L, -2);
  if (is_receive(a)) {
    push_received(L, T, a);
  } else {
    lua_pushnumber(L, static_cast<lua_Number>(a.before));
  }
  return 3;
}

// When time is over, that is said as the last try said it.
int fail_in_time(lua_State* L, lua_State* T, attempt& a) {
  lua_pushstring(L, a.said != nullptr ? a.said : "timeout");
  return fail(L, T, a);
}

// The wait of an attempt begins.                                       MAY RAISE (memory). [-0, +0]
void start_attempt(lua_State* L, engine& of, wait& w, const attempt& a) {
  const socket_state& s = *a.on;
  // The first one is no longer than what LuaSocket calls so: there is no time for the whole then.
  const double timeout = a.is_first ? s.block : s.time_left(a.start);
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
//                                                                      MAY RAISE (memory). [-r, +n]
int conclude(lua_State* L, lua_State* T, attempt& a, int from, bool is_last) {
  check_unchanged(L, is_there(T, a));
  const int n = take_results(L, T, a, from);
  if (n != waits_again || !(is_last || a.on->block == 0)) return n;
  return fail_in_time(L, T, a);
}

// A try after a wait that has ended so.                                       MAY RAISE. [-0, +n]
int try_after(lua_State* L, lua_State* T, attempt& a, outcome result) {
  const bool is_last = a.is_first && result == outcome::timeout;
  a.is_first = a.gives_way = false;
  a.cut_off = a.said != nullptr ? look_for_cut(T, a) : 0;
  const int from = lua_gettop(L) + 1;
  lua_call(L, push_call(L, T, a), LUA_MULTRET);
  return conclude(L, T, a, from, is_last);
}

// In main, which waits by running the loop and tries for itself.
int wait_for_in_main(lua_State* L, const loop_state& state, attempt a) {
  for (;;) {
    wait& w = begin(L, state);
    start_attempt(L, *state.of, w, a);
    wait_in_main(L, w);
    outcome result = outcome::ready;
    if (!lua_toboolean(L, -2)) {
      const bool is_timeout = std::strcmp(lua_tostring(L, -1), "timeout") == 0;
      result = is_timeout ? outcome::timeout : outcome::failed;
    }
    lua_remove(L, -2);
    if (!is_to_try(a, result) && result != outcome::timeout) return fail(L, L, a);
    lua_pop(L, 1);
    if (!is_to_try(a, result)) return fail_in_time(L, L, a);
    const int n = try_after(L, L, a, result);
    if (n != waits_again) return n;
  }
}

// To be returned by the method.                                   MAY RAISE, MAY SWITCH.
int wait_for(lua_State* L, const loop_state& state, const attempt& a) {
  push_method(L, own_upvalue);
  register_if_open(L, *state.of, socket, *a.on);
  if (L == state.coro->main) return wait_for_in_main(L, state, a);
  wait& w = begin(L, state);
  w.attempt = a;
  start_attempt(L, *state.of, w, a);
  return leave(L, state, w);
}

// To be returned by the method. What the socket refuses is blamed on who called the method.
int try_at_once(lua_State* L, loop_state& state, attempt& a, bool may_refuse) {
  if (!may_refuse && must_give_way(L, state, *a.on)) {
    a.gives_way = true;
    return wait_for(L, state, a);
  }
  push_method(L, may_refuse ? blaming_upvalue : own_upvalue);
  for (int i = 0; i < a.arguments; ++i) lua_pushvalue(L, self + 1 + i);
  lua_call(L, a.arguments + 1, LUA_MULTRET);
  if (!lua_isnil(L, own)) {
    (is_receive(a) ? a.on->can_receive : a.on->can_send) = true;
    wake_others(*state.of, a);
    return lua_gettop(L) - own + 1;
  }
  const int n = conclude(L, L, a, own, false);
  if (n != waits_again) return n;
  check_may_wait(L, state);
  return wait_for(L, state, a);
}

// The frame of a method that takes so many arguments besides the socket. MAY RAISE ("bad self").
attempt begin_frame(lua_State* L, const loop_state& state, attempt::method which,
                    int most_arguments) {
  const int arguments = std::clamp(lua_gettop(L) - self, 0, most_arguments);
  lua_settop(L, last);
  socket_state& s = push_socket_state(L, state);
  return {.which = which, .arguments = arguments, .start = s.start(), .on = &s};
}

bool is_dirty(lua_State* L) {
  push_method(L, dirty_upvalue);
  lua_call(L, 1, 1);
  const bool is_dirty = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return is_dirty;
}

// receive(self, pattern, prefix)
int receive(lua_State* L) {
  loop_state& state = state_of_function(L);
  attempt a = begin_frame(L, state, attempt::method::receive, 2);
  const socket_state& s = *a.on;
  const bool is_plain = a.arguments == 0 || is_plain_receive(L);
  // Once it had to wait, what is not in LuaSocket's buffer is not expected to be there already: a
  // try in vain costs more than the wait.
  if (s.waits_first && is_plain && may_wait(L, state) && !is_dirty(L)) {
    a.is_first = true;
    return wait_for(L, state, a);
  }
  if (a.arguments == 2) {
    lua_pushvalue(L, prefix);  // a number is to stay one
    a.before = size_of(L, -1);
    lua_pop(L, 1);
  }
  return try_at_once(L, state, a, !(is_plain && s.can_receive));
}

// send(self, data, first, last)
int send(lua_State* L) {
  loop_state& state = state_of_function(L);
  attempt a = begin_frame(L, state, attempt::method::send, 3);
  const bool is_plain = a.arguments == 1 && lua_isstring(L, data) != 0;
  return try_at_once(L, state, a, !(is_plain && a.on->can_send));
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
  } else if (is_to_try(a, w.result)) {
    n = try_after(L, T, a, w.result);
  } else if (w.result == outcome::timeout) {
    n = fail_in_time(L, T, a);
  } else {
    push_outcome(L, w);
    n = fail(L, T, a);
  }
  return n == waits_again ? 0 : n;
}

// Make a method of wrapped sockets, out of the socket's own.
// make_receive(receive, the same with errors that blame the caller, dirty) -> function
int make_receive(lua_State* L) {
  lua_settop(L, 3);
  push_function_with(L, receive, 3);
  return 1;
}

// make_send(send, the same with errors that blame the caller) -> function
int make_send(lua_State* L) {
  lua_settop(L, 2);
  push_function_with(L, send, 2);
  return 1;
}

}  // namespace

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
  if (!is_there(T, a) && state.coro->mark_of(state.coro, T) != &w) return is_gone;
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
