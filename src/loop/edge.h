// Where the engine meets Lua: what the functions have in common that src/loop/*.lua is written
// with. Floor 5. A function here may raise, so no frame of it holds an object with a destructor
// when it does: what may throw runs in `guarded`, and that calls nothing of Lua's that may raise.
//
// A thread that waits has left by coro's `leave`, and the address of its wait is the mark. So it
// needs no C stack, and a wait that somebody else has ended, by continuing the thread, is told from
// one that lasts. Main waits by running the loop.
#pragma once

#include <luacoro/abi.h>

#include <cstring>
#include <exception>

#include "loop/engine.h"

namespace luacoro::loop {

// Every function has these upvalues.
enum upvalue : std::uint8_t {
  state_upvalue = 1,  // userdata: loop_state
  threads_upvalue,    // by index of their waits: who waits. They are kept alive by it
  values_upvalue,     // by index of their waits: what `wake` and `schedule` pass
  sockets_upvalue,    // metatable of the C++ side of sockets (socket.h)
  core_upvalue,       // the table of these functions, to which loop.lua adds some
  ptransfer_upvalue   // coro's
};
constexpr int upvalues = ptransfer_upvalue;

struct loop_state {
  engine* of = nullptr;  // null after the Lua state was closed
  const luacoro_abi* coro = nullptr;
  const void* sockets = nullptr;  // the metatable's address
  wait* main_wait = nullptr;      // that main is in: it cannot wait again, below
  wait* continuing = nullptr;     // that is over, until its thread has gone on
  bool is_running = false;        // it is not run inside of itself
  bool is_stopped = false;
  unsigned calls = 0;  // of methods that tried at once, since one gave way (socket.h)
};

inline loop_state& state_of_function(lua_State* L) {
  auto& state = *static_cast<loop_state*>(lua_touserdata(L, lua_upvalueindex(state_upvalue)));
  if (state.of == nullptr) {
    luaL_error(L, "the loop ended with its Lua state");
    __builtin_unreachable();
  }
  return state;
}

inline engine& engine_of_function(lua_State* L) { return *state_of_function(L).of; }

// Calls f. What it throws is raised, when C++ is done with it. MAY RAISE (what f throws). [-0, +0]
template <typename F>
void guarded(lua_State* L, F f) {
  char text[256] = "not enough memory";
  try {
    f();
    return;
  } catch (const std::bad_alloc&) {
  } catch (const std::exception& why) {
    std::strncpy(text, why.what(), sizeof text - 1);
  }
  lua_pushstring(L, text);
  lua_error(L);
}

// Starts what may end a wait. What the system refuses ends it at once. If memory is short it has
// ended, and nobody is in it.                                          MAY RAISE (memory). [-0, +0]
template <typename F>
void start(lua_State* L, engine& of, wait& w, F f) {
  guarded(L, [&] {
    try {
      f();
    } catch (const std::system_error& why) {
      w.error = why.code();
      of.end(w, outcome::failed);
    } catch (...) {
      of.end(w, outcome::cancelled);
      throw;
    }
  });
}

// A negative number of seconds is no timeout.
constexpr double no_timeout = -1;

inline void alarm_if_given(engine& of, wait& w, double seconds) {
  if (seconds >= 0 && w.result == outcome::none) of.alarm(w, seconds);
}

double now_in_seconds() noexcept;

// None and nil: no timeout. A negative one, as what is left until some moment may be, is over.
double check_timeout(lua_State* L, int index, const char* function);
// The number of a descriptor; -1 for what is none.
int to_fd(lua_State* L, int index);

// May the current thread wait now? Main may not while it does; and under a standard resume in main,
// say, there is nobody to leave for.
[[nodiscard]] inline bool may_wait(lua_State* L, const loop_state& state) noexcept {
  if (L == state.coro->main) return state.main_wait == nullptr;
  return state.coro->can_wait(state.coro, L) != 0;
}
// MAY RAISE (if not). [-0, +0]
void check_may_wait(lua_State* L, const loop_state& state);
// A wait of the current thread.                                        MAY RAISE (memory). [-0, +0]
wait& begin(lua_State* L, const loop_state& state);
// A wait of the thread on top, which is kept alive by it.              MAY RAISE (memory). [-1, +0]
wait& begin_for(lua_State* L, engine& of);
// The loop has nothing of it any more. Its record is used again.
void forget(lua_State* L, upvalue table, const wait& w);

// Waits until it has ended; to be returned. The results are what the loop continues the thread
// with: those of push_outcome, or of the wait's attempt.    MAY RAISE (as transfer), MAY SWITCH.
int leave(lua_State* L, loop_state& state, wait& w);
// The same in main, which may wait.                                       MAY RAISE. [-0, +r]
void wait_in_main(lua_State* L, loop_state& state, wait& w);

// The current thread waits for what f(engine, wait) starts; to be returned.
template <typename F>
int wait_for(lua_State* L, F f) {
  loop_state& state = state_of_function(L);
  check_may_wait(L, state);
  wait& w = begin(L, state);
  start(L, *state.of, w, [&] { f(*state.of, w); });
  return leave(L, state, w);
}

// What the functions that wait return: true or what was found, and nil; or nil and why not. The
// number of them.                                                      MAY RAISE (memory). [-0, +2]
int push_outcome(lua_State* L, const wait& w);

// The functions of each file, for push_functions.
extern const luaL_Reg waiting_functions[], continuing_functions[], socket_functions[],
    stream_functions[];

// A C function with the upvalues of the function that calls this, and the n values on top as
// further ones.                                                        MAY RAISE (memory). [-n, +1]
void push_function_with(lua_State* L, lua_CFunction function, int n);

// The functions that src/loop/*.lua is written with, in a table: `core`.                   [-0, +1]
void push_functions(lua_State* L);

}  // namespace luacoro::loop
