// The method `send` of streams.
#include "loop/streams.h"

namespace luacoro::loop {
namespace {

// In its frame; what follows is the last byte to be sent.
constexpr int data = frame::argument, first = data + 1;

// Up to where it has sent is on top; the rest is sent next.                   MAY RAISE. [-1, +0]
void keep_sent(lua_State* L, lua_State* T, attempt& a) {
  if (lua_isnumber(L, -1) != 0) {
    a.before = static_cast<std::size_t>(lua_tonumber(L, -1));
    a.arguments = std::max(a.arguments, first - frame::self);
    check_unchanged(L, is_there(T, a));
    lua_pushnumber(T, static_cast<lua_Number>(a.before) + 1);
    lua_replace(T, first);
  }
  lua_pop(L, 1);
}

bool is_number_or_nil(lua_State* L, int index) {
  return lua_isnil(L, index) || lua_isnumber(L, index) != 0;
}

// Where it begins, less one byte; from the end of the data if that is negative, as in string.sub.
std::size_t before_first(lua_State* L) {
  const auto size = static_cast<lua_Number>(size_of(L, data));
  lua_Number begin = lua_isnil(L, first) ? 1 : lua_tonumber(L, first);
  if (begin < 0) begin += size + 1;
  return begin > 1 ? static_cast<std::size_t>(std::min(begin - 1, size)) : 0;
}

void push_sent(lua_State* L, lua_State*, attempt& a) {
  lua_pushnumber(L, static_cast<lua_Number>(a.before));
}

const stream_method method = {.waits_for = writing,
                              .can = &socket_state::can_send,
                              .keep = keep_sent,
                              .push_progress = push_sent};

// send(self, data, first, last)
int send(lua_State* L) {
  loop_state& state = state_of_function(L);
  attempt a = begin_frame(L, state, method, 3);
  bool is_valid = lua_isstring(L, data) != 0;
  if (is_valid && a.arguments > 1) {
    is_valid = is_number_or_nil(L, first) && is_number_or_nil(L, first + 1);
    if (is_valid) a.before = before_first(L);
  }
  return try_at_once(L, state, a, !(is_valid && a.on->can_send));
}

}  // namespace

int make_send(lua_State* L) {
  lua_settop(L, 2);
  push_function_with(L, send, 2);
  return 1;
}

}  // namespace luacoro::loop
