// What the C++ side knows of a wrapped socket: a table whose first element is the socket of
// LuaSocket or LuaSec, and whose second is this. Floor 5.
#pragma once

#include <algorithm>

#include "loop/edge.h"

namespace luacoro::loop {

struct socket_state {
  descriptor* registered = nullptr;  // from the first wait on
  double block = no_timeout;         // its timeouts as LuaSocket knows them, in seconds
  double total = no_timeout;
  bool waits_first = false;  // does `receive` wait before it tries? Not with a total timeout
  bool can_receive = false;  // LuaSocket has taken it for one that can: it raises nothing there
  bool can_send = false;
  bool is_collected = false;  // it cannot be registered any more

  // May a timeout pass while it waits?
  [[nodiscard]] bool is_timed() const noexcept { return block != 0 && (block > 0 || total >= 0); }
  // When a method was called that has a timeout. Both count from there; if both are set, the one
  // for blocking limits each wait.
  [[nodiscard]] double start() const noexcept { return is_timed() ? now_in_seconds() : 0; }
  // For the next wait of a method that was called then.
  [[nodiscard]] double time_left(double start) const noexcept {
    if (!is_timed()) return no_timeout;
    const double passed = start != 0 ? now_in_seconds() - start : 0;  // 0: it had no timeout then
    const double left = (total >= 0 ? total : block) - passed;
    return std::max(total >= 0 && block >= 0 ? std::min(left, block) : left, 0.0);
  }
};

// That of the first argument.                                   MAY RAISE ("bad self"). [-0, +0]
socket_state& check_socket(lua_State* L);
// The same; pushes it and its metatable.                                                   [-0, +2]
socket_state& push_socket_state(lua_State* L, const loop_state& state);

// Their __gc.
int collect_socket(lua_State* L);

// Registers the descriptor of the socket at an index, if it is open. MAY RAISE (memory). [-0, +0]
void register_if_open(lua_State* L, engine& of, int socket, socket_state& s);

// Waits until the socket may be ready, if it is not closed.
void watch_socket(engine& of, wait& w, const socket_state& s, bool writes, double timeout);

// Nobody is to starve while the sockets of others are always ready: of so many calls of methods
// that try at once, whoever makes them, one is to leave the others their turn first. Is it this
// one?
inline bool must_give_way(lua_State* L, loop_state& state, const socket_state& s) noexcept {
  constexpr unsigned most_calls = 200;
  if (++state.calls <= most_calls) [[likely]]
    return false;
  state.calls = 0;
  return s.block != 0 && may_wait(L, state);
}

// What a method of a socket says that is to be tried again when it is ready, and in which
// direction.
struct readiness {
  const char* said = nullptr;  // null: something else
  bool writes = false;
};
readiness readiness_of(lua_State* L, int index, bool sends) noexcept;

}  // namespace luacoro::loop
