// The table of C functions (include/luacoro/abi.h) of a universe.
// Floor 4. Its functions call those of the module by lua_call, as Lua does: nobody who waits in one
// can be unmounted, so no C frame is lost. Only `leave` departs in the frame of its caller, which
// has nothing left to do, as the module's functions do in theirs.
#pragma once

#include <luacoro/abi.h>

#include "threads/runtime.h"

namespace luacoro {

// A userdata of the universe. Its functions are values, on the stack of a thread on the shelf.
struct abi {
  enum function : int {
    create = 1,
    transfer,
    ptransfer,
    resume,
    yield,
    throw_error,
    close,
    suspend,
    complete,
    protect,
    last_function = protect
  };

  luacoro_abi table;  // first: what C knows of it
  runtime* rt = nullptr;
  lua_State* functions = nullptr;
  std::uint64_t completed = 0;  // the wait that was completed last
};

// What C code has a pointer to.
[[nodiscard]] inline abi& abi_of(const luacoro_abi* coro) noexcept {
  return *const_cast<abi*>(reinterpret_cast<const abi*>(coro));
}

// Below the n values on top.                                                            L: [-0, +1]
inline void insert_function(const abi& self, lua_State* L, abi::function which, int n) noexcept {
  lua_pushvalue(self.functions, which);
  lua_xmove(self.functions, L, 1);
  if (n > 0) lua_insert(L, -n - 1);
}

// Calls a function with the target, or nil, and the n values on top. The number of results.
// As the function: MAY RAISE, MAY SWITCH.                                               L: [-n, +r]
int call_for(const luacoro_abi* coro, lua_State* L, abi::function which, lua_State* to, int n);

// The waiters of the table; `suspend` and `complete` of the functions.
void fill_in_waiters(luacoro_abi& table) noexcept;
int suspend_on_waiter(lua_State* L);
int complete_waiter(lua_State* L);

// On top are the runtime and the module.                               MAY RAISE (memory). [-0, +1]
void open_abi(lua_State* L, runtime& rt);
// What it pushed is the one of the universe from now on.                                   [-1, +0]
void keep_abi(lua_State* L);

}  // namespace luacoro
