// What the methods of streams that wait, `receive` and `send`, have in common. Floor 5.
//
// A method tries the socket at once, or waits first where it is not expected to be ready. While its
// caller waits, the loop tries again, and continues the caller only with results. What is tried
// stands in the frame of the method, and what else there is to know in its wait.
//
// The frame of who waits may be changed by debug.setlocal; and whatever is called or allocates may
// run hooks and finalizers, which may continue the thread. So what is found there is checked.
#pragma once

#include "loop/socket.h"

namespace luacoro::loop {

namespace frame {
enum slot : std::uint8_t {
  self = 1,
  argument,   // the first one; those of the socket's own method
  known = 5,  // a socket_state
  kept,       // what the method wants to
  own,        // while it waits: the socket's own method, and the socket
  socket
};
}  // namespace frame

// Upvalues of such a method, after those of every function.
enum : std::uint8_t {
  own_upvalue = upvalues + 1,
  blaming_upvalue,  // the same, with errors that blame the caller
  further_upvalue
};

// Where one differs from the other. L is the thread that tries, T the one that the method waits in.
struct stream_method {
  direction waits_for;
  bool socket_state::*can;  // that what is known of a socket says so
  // Before a try, if one was made before: what it would not tell. Null: nothing.         [-0, +0]
  void (*look)(lua_State* T, attempt& a) = nullptr;
  // What had come, or up to where it has gone, is on top; the rest is next.   MAY RAISE. [-1, +0]
  void (*keep)(lua_State* L, lua_State* T, attempt& a);
  // What a try returned, three values from index `from` on, is not asked for again: the number of
  // results, which are on top. Null: they are those three.                    MAY RAISE. [-0, +r]
  int (*finish)(lua_State* L, lua_State* T, attempt& a, int from, bool is_done) = nullptr;
  // How far it came, for what returns why it came no further.                 MAY RAISE. [-0, +1]
  void (*push_progress)(lua_State* L, lua_State* T, attempt& a);
};

// The frame of a method with so many arguments at most. MAY RAISE ("bad self").
attempt begin_frame(lua_State* L, const loop_state& state, const stream_method& method,
                    int most_arguments);
// To be returned by the method. The socket may refuse arguments, and what it refuses is blamed on
// who called the method.                                               MAY RAISE, MAY SWITCH.
int try_at_once(lua_State* L, loop_state& state, attempt& a, bool may_refuse);
// The same, but it waits first.                                        MAY RAISE, MAY SWITCH.
int wait_to_try(lua_State* L, loop_state& state, const attempt& a);

// A function that is an upvalue of the method's, and the socket.                          [-0, +2]
void push_method(lua_State* L, int upvalue);

inline std::size_t size_of(lua_State* L, int index) {
  std::size_t size = 0;
  lua_tolstring(L, index, &size);
  return size;
}

// Is it in the frame of the attempt that T is?
inline bool is_there(lua_State* T, const attempt& a) {
  return lua_touserdata(T, frame::known) == a.on;
}
// MAY RAISE (if not).
void check_unchanged(lua_State* L, bool is_unchanged);

// Tries the method that T waits in, since its wait has ended. The number of results, which T is to
// be continued with; or waits_again; or has_failed, and T is to get the error that is on top; or
// is_gone, since somebody has continued T meanwhile.                   MAY RAISE (memory). [-0, +r]
enum tried : int { waits_again = -1, has_failed = -2, is_gone = -3 };
int try_again(lua_State* L, loop_state& state, lua_State* T, wait& w);

// Make the methods out of the socket's own, for sockets.lua:
// make_receive(receive, the same with errors that blame the caller, dirty) -> function
int make_receive(lua_State* L);
// make_send(send, the same with errors that blame the caller) -> function
int make_send(lua_State* L);

}  // namespace luacoro::loop
