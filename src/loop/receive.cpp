// The method `receive` of streams. What came in several tries is kept in a table in its frame, as
// the socket's own method would have to copy it again at each of them.
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "loop/streams.h"

namespace luacoro::loop {
namespace {

// In its frame; chunks are a table of what was received in several tries, if there is any.
constexpr int pattern = frame::argument, prefix = pattern + 1, chunks = frame::kept;

constexpr int dirty_upvalue = further_upvalue;

bool is_for_all(lua_State* T) {
  if (lua_type(T, pattern) != LUA_TSTRING) return false;
  const char* text = lua_tostring(T, pattern);
  return text[text[0] == '*' ? 1 : 0] == 'a';
}

// No socket that can receive refuses these arguments.
bool is_valid(lua_State* L) {
  if (!lua_isnil(L, prefix) && lua_isstring(L, prefix) == 0) return false;
  if (lua_isnil(L, pattern)) return true;
  if (lua_isnumber(L, pattern) != 0) return lua_tonumber(L, pattern) >= 0;
  if (lua_type(L, pattern) != LUA_TSTRING) return false;
  const char* text = lua_tostring(L, pattern);
  return std::strcmp(text, "*l") == 0 || std::strcmp(text, "*a") == 0;
}

// Are they for something that may have to come? Of nothing, and of what the prefix has, that is not
// so.
bool is_for_more(lua_State* L) {
  return lua_isnil(L, prefix) && !(lua_isnumber(L, pattern) != 0 && lua_tonumber(L, pattern) < 1);
}

// MAY RAISE. [-0, +1]
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
  if (a.said == nullptr && lua_isstring(T, prefix) != 0) {
    lua_pushvalue(T, prefix);
    lua_xmove(T, L, 1);
    lua_tostring(L, -1);  // a number is one here, too
  } else if (a.said != nullptr && !a.has_partial && a.chunks == 0) {
    lua_pushnil(L);
  } else {
    lua_pushliteral(L, "");
    join(L, T, a);
  }
}

// The end of the stream is what "*a" waits for, and not an error. Where a try finds nothing else it
// does not tell that from a connection that was cut off.
void look_for_cut(lua_State* T, attempt& a) {
  a.cut_off = 0;
  if (a.chunks == 0 || a.on->registered == nullptr || !is_for_all(T)) return;
  if (std::strcmp(a.said, "timeout") != 0) return;
  char next;
  const ssize_t n = ::recv(a.on->registered->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT);
  const int why = errno;
  if (n < 0 && why != EAGAIN && why != EWOULDBLOCK && why != EINTR) a.cut_off = why;
}

// What a try returned from index `from` on is not asked for again: results of the method.
//                                                                      MAY RAISE (memory). [-0, +r]
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

// Is there something in LuaSocket's buffer?                                     MAY RAISE. [-0, +0]
bool is_dirty(lua_State* L) {
  push_method(L, dirty_upvalue);
  lua_call(L, 1, 1);
  const bool has_more = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return has_more;
}

const stream_method method = {.waits_for = reading,
                              .can = &socket_state::can_receive,
                              .look = look_for_cut,
                              .keep = keep_received,
                              .finish = finish_receive,
                              .push_progress = push_received};

// receive(self, pattern, prefix)
int receive(lua_State* L) {
  loop_state& state = state_of_function(L);
  attempt a = begin_frame(L, state, method, 2);
  const socket_state& s = *a.on;
  const bool is_line = a.arguments == 0;
  const bool has_valid_arguments = is_line || is_valid(L);
  // Once it had to wait, what is not in LuaSocket's buffer is not expected to be there already: a
  // try in vain costs more than the wait.
  if (s.waits_first && (is_line || (has_valid_arguments && is_for_more(L))) && may_wait(L, state) &&
      !is_dirty(L)) {
    a.is_first = true;
    return wait_to_try(L, state, a);
  }
  if (a.arguments == 2) {
    lua_pushvalue(L, prefix);  // a number is to stay one
    a.before = size_of(L, -1);
    lua_pop(L, 1);
  }
  return try_at_once(L, state, a, !(has_valid_arguments && s.can_receive));
}

}  // namespace

int make_receive(lua_State* L) {
  lua_settop(L, 3);
  push_function_with(L, receive, 3);
  return 1;
}

}  // namespace luacoro::loop
