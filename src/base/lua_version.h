// What differs between Lua versions, behind one set of names. Every #if on a Lua version in this
// project stands here.
// Floor 0: knows lua.h and lauxlib.h.
//
// PUC-Rio Lua 5.1 to 5.5 and LuaJIT 2.1. "The standard" below is the coroutine library that comes
// with the running version.
#pragma once

extern "C" {
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#if __has_include(<luajit.h>)
#include <luajit.h>
#endif
}

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>

#ifndef LUA_OK
#define LUA_OK 0
#endif

namespace luacoro::lua {

#if defined(LUAJIT_VERSION)
#define LUACORO_LUAJIT 1
inline constexpr bool is_luajit = true;
#else
#define LUACORO_LUAJIT 0
inline constexpr bool is_luajit = false;
#endif

inline constexpr bool is_51 = LUA_VERSION_NUM == 501 && !is_luajit;

// A C function that yielded can be continued (lua_yieldk); elsewhere its results are whatever
// lua_resume is given.
inline constexpr bool has_continuations = LUA_VERSION_NUM >= 502;

// To-be-closed variables, and a way to close them from outside.
inline constexpr bool has_close = LUA_VERSION_NUM >= 504;

// ---- C stacks --------------------------------------------------------------------------------

// What the deepest recursion in C takes that the version allows before it raises, measured with its
// hungriest library function, string.gsub: 222 levels (22 of them while an error is handled) of
// 9.2 KB on 5.1 to 5.3 and of 2.1 KB on 5.4. LuaJIT counts no levels but the slots of its Lua
// stack, of which each takes 5 at the least: 13,100 levels of 8.8 KB. The rest is for what the
// innermost function needs itself.
#if LUACORO_LUAJIT
inline constexpr std::size_t needed_stack_size = std::size_t{128} << 20;
#elif LUA_VERSION_NUM >= 504
inline constexpr std::size_t needed_stack_size = std::size_t{1} << 20;
#else
inline constexpr std::size_t needed_stack_size = std::size_t{3} << 20;
#endif

// C libraries may be hungrier, and are used to the 8 MiB that a host's C stack usually has. 5.1
// gets twice that, since its string.match knows no limit at all.
#if LUACORO_LUAJIT
inline constexpr std::size_t usual_stack_size = needed_stack_size;
#else
inline constexpr std::size_t usual_stack_size = std::size_t{LUA_VERSION_NUM == 501 ? 16 : 8} << 20;
#endif

// Up to so many threads it is faster to keep them mounted than to let them yield, on the machine
// that this was measured on. The yields of 5.1, and of LuaJIT more so, cost less.
#if LUACORO_LUAJIT
inline constexpr std::size_t usual_warm_stacks = 16;
#elif LUA_VERSION_NUM == 501
inline constexpr std::size_t usual_warm_stacks = 256;
#else
inline constexpr std::size_t usual_warm_stacks = 512;
#endif

// ---- texts of the standard -------------------------------------------------------------------

// Of an argument that is no thread; 5.4 goes on with what it got instead.
inline constexpr const char* thread_expected =
    LUA_VERSION_NUM >= 503 ? "thread expected" : "coroutine expected";
inline constexpr bool tells_what_it_got = LUA_VERSION_NUM >= 504;

#if LUACORO_LUAJIT
inline constexpr const char* resume_running = "cannot resume running coroutine";
inline constexpr const char* resume_normal = resume_running;
#elif LUA_VERSION_NUM == 501
inline constexpr const char* resume_running = "cannot resume running coroutine";
inline constexpr const char* resume_normal = "cannot resume normal coroutine";
#else
inline constexpr const char* resume_running = "cannot resume non-suspended coroutine";
inline constexpr const char* resume_normal = resume_running;
#endif

// Does the standard wrap put the caller's position before this error message?
inline bool wrap_adds_position(lua_State* L, int index) noexcept {
#if LUA_VERSION_NUM >= 503 || LUACORO_LUAJIT
  return lua_type(L, index) == LUA_TSTRING;
#else
  return lua_isstring(L, index) != 0;  // numbers too
#endif
}

// ---- tables, registry ------------------------------------------------------------------------

inline std::size_t raw_length(lua_State* L, int index) noexcept {
#if LUA_VERSION_NUM >= 502
  return static_cast<std::size_t>(lua_rawlen(L, index));
#else
  return lua_objlen(L, index);
#endif
}

// MAY RAISE (memory).                                                          [-upvalues, +0]
inline void set_functions(lua_State* L, const luaL_Reg* functions, int upvalues) {
#if LUA_VERSION_NUM >= 502
  luaL_setfuncs(L, functions, upvalues);
#else
  for (; functions->name != nullptr; ++functions) {
    for (int i = 0; i < upvalues; ++i) lua_pushvalue(L, -upvalues);
    lua_pushcclosure(L, functions->func, upvalues);
    lua_setfield(L, -upvalues - 2, functions->name);
  }
  lua_pop(L, upvalues);
#endif
}

// The table of globals.                                                               [-0, +1]
inline void push_globals(lua_State* L) noexcept {
#if LUA_VERSION_NUM >= 502
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
#else
  lua_pushvalue(L, LUA_GLOBALSINDEX);
#endif
}

// A table with weak values and room for n of them.                     MAY RAISE (memory). [-0, +1]
inline void push_weak_array(lua_State* L, std::size_t n) {
  lua_createtable(L, static_cast<int>(n), 0);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

// ---- addresses -------------------------------------------------------------------------------

// An address of C's, for other C code. LuaJIT's light userdata allocate where their highest bits
// are new, as those of another C stack may be; numbers never do.                           [-0, +1]
inline void push_address(lua_State* L, const void* address) noexcept {
#if LUACORO_LUAJIT
  lua_pushnumber(L, static_cast<lua_Number>(reinterpret_cast<std::uintptr_t>(address)));
#else
  lua_pushlightuserdata(L, const_cast<void*>(address));
#endif
}
[[nodiscard]] inline void* address_at(lua_State* L, int index) noexcept {
#if LUACORO_LUAJIT
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(lua_tonumber(L, index)));
#else
  return lua_touserdata(L, index);
#endif
}

// ---- debug hooks -----------------------------------------------------------------------------

// All threads have the same.
inline constexpr bool hook_is_shared = is_luajit;

// A thread's, to be put back.
struct saved_hook {
  lua_State* thread = nullptr;
  lua_Hook hook = nullptr;
  int mask = 0, count = 0;
};

[[nodiscard]] inline saved_hook hook_of(lua_State* T) noexcept {
  return {T, lua_gethook(T), lua_gethookmask(T), lua_gethookcount(T)};
}
inline void put_back(const saved_hook& saved) noexcept {
  lua_sethook(saved.thread, saved.hook, saved.mask, saved.count);
}

// ---- protected calls -------------------------------------------------------------------------

// While it lives, no debug hook sees calls.
class without_call_hooks {
 public:
  explicit without_call_hooks(lua_State* L) noexcept : before_(hook_of(L)) {
    if (sees_calls()) lua_sethook(L, before_.hook, before_.mask & ~of_calls, before_.count);
  }
  ~without_call_hooks() {
    if (sees_calls()) put_back(before_);
  }
  without_call_hooks(const without_call_hooks&) = delete;
  without_call_hooks& operator=(const without_call_hooks&) = delete;

 private:
  static constexpr int of_calls = LUA_MASKCALL | LUA_MASKRET;
  [[nodiscard]] bool sees_calls() const noexcept { return (before_.mask & of_calls) != 0; }
  saved_hook before_;
};

// lua_pcall, which no debug hook sees.                                             [-n-1, +results]
inline int call_unseen(lua_State* L, int n, int results) noexcept {
  const without_call_hooks quiet(L);
  return lua_pcall(L, n, results, 0);
}

// Calls function(data) so that nothing it raises gets out, and no debug hook sees it.      [-0, +0]
inline int call_protected(lua_State* L, lua_CFunction function, void* data) noexcept {
  const without_call_hooks quiet(L);
#if LUA_VERSION_NUM >= 502
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, data);
  const int status = lua_pcall(L, 1, 0, 0);
#else
  const int status = lua_cpcall(L, function, data);
#endif
  if (status != LUA_OK) lua_pop(L, 1);
  return status;
}

// ---- layouts ----------------------------------------------------------------------------------
//
// The heads of Lua's own structures, as far as they are used here. Two things need them:
//
//  - what the API does not tell. 5.1 and 5.2 have no lua_isyieldable; LuaJIT has no way to ask who
//    called the current function, nor whether it runs a hook.
//  - what is asked at every switch. The functions of the API decode an index and check a type each,
//    which is a third of a switch, and on LuaJIT more than the rest of it.
//
// They are used only where `find_layout` has confirmed them on a thread in known states, when coro
// is loaded. Elsewhere it is the API that is used, and on 5.1, 5.2 and LuaJIT every thread stays
// mounted.

#if LUACORO_LUAJIT
using value_layout = std::uint64_t;  // a type in the highest 17 bits, an address below
struct state_layout {
  std::uint64_t next;
  std::uint8_t marked, type, dummy_ffid, status;
  std::uint64_t global;
  std::uint64_t gclist;
  value_layout *base, *top;
  value_layout *last, *stack;
  std::uint64_t open_upvalues, environment, c_frame;
  std::uint32_t stack_size;
};
#elif LUA_VERSION_NUM == 501
struct value_layout {
  void* value;
  int type;
};
struct call_layout {
  void *base, *function, *top, *saved_pc;
  int results, tail_calls;
};
struct state_layout {
  void* next;
  unsigned char type, marked, status;
  value_layout *top, *base;
  void* global;
  const char* call;
  void* saved_pc;
  value_layout *last, *stack;
  void* end_call;
  const char* base_call;
  int stack_size, call_size;
  unsigned short c_calls, base_c_calls;
};
#else
struct value_layout {
  void* value;
#if LUA_VERSION_NUM >= 504
  unsigned char type;
#else
  int type;
#endif
};
struct call_layout {
  value_layout *function, *top;
  call_layout *previous, *next;
  short results;
  unsigned char status;  // here in 5.2 only
};
struct state_layout {
  void* next;
  unsigned char type, marked;
#if LUA_VERSION_NUM == 502
  unsigned char status;
#elif LUA_VERSION_NUM == 503
  unsigned short calls;
  unsigned char status;
#else
  unsigned char status, allows_hook;
  unsigned short calls;
#endif
  value_layout* top;
  void* global;
  call_layout* call;
#if LUA_VERSION_NUM == 502
  void *old_pc, *stack_last, *stack;
  int stack_size;
  unsigned short non_yieldable, c_calls;
#endif
};
#endif

inline state_layout& layout_of(lua_State* L) noexcept {
  return *reinterpret_cast<state_layout*>(L);
}

// Set to 0 to try what happens where it cannot be confirmed (CMake: CORO_MIRRORED_LAYOUT).
#ifndef LUACORO_MIRRORED_LAYOUT
#define LUACORO_MIRRORED_LAYOUT 1
#endif

struct layout {
  bool is_known = false;
  std::size_t hook_mask = 0;     // LuaJIT: its offset in the global state
  std::uint64_t name_value = 0;  // LuaJIT: a name as it stands on a stack, minus its address
};

// Two ways to do what is done at every switch: by the API, and by the layout.
//
// A name is a light userdata whose address is nobody else's.

struct by_api {
  // In a C function: the userdata that is its first upvalue, the thread that is its second one or
  // its first argument, the number of values on its stack.
  static void* userdata_upvalue(lua_State* L) noexcept {
    return lua_touserdata(L, lua_upvalueindex(1));
  }
  static lua_State* thread_upvalue(lua_State* L) noexcept {
    return lua_tothread(L, lua_upvalueindex(2));
  }
  static lua_State* thread_argument(lua_State* L) noexcept { return lua_tothread(L, 1); }
  static int count(lua_State* L) noexcept { return lua_gettop(L); }

  // Null for whatever else is on top.
  static void* name_on_top(lua_State* L, const layout&) noexcept {
    return lua_gettop(L) > 0 ? lua_touserdata(L, -1) : nullptr;
  }
  static void push_name(lua_State* L, void* name, const layout&) noexcept {  // [-0, +1]
    lua_pushlightuserdata(L, name);
  }
  // from: [-n, +0], to: [-0, +n]
  static void move(lua_State* from, lua_State* to, int n) noexcept { lua_xmove(from, to, n); }
  static void push_thread(lua_State* L, lua_State* T) noexcept {  // [-0, +1]
    lua_pushthread(T);
    if (L != T) lua_xmove(T, L, 1);
  }
  // Instead of the two threads that are all there is on the stack of L. [-2, +2]
  static void replace_threads(lua_State* L, lua_State* first, lua_State* second) noexcept {
    lua_settop(L, 0);
    for (lua_State* T : {first, second}) push_thread(L, T);
  }
};

struct by_layout {
#if LUACORO_LUAJIT
  static constexpr std::size_t upvalues = 48, userdata_head = 48;
  static constexpr std::uint64_t thread_type = 0x1fff9;
  static char* address(value_layout value) noexcept {
    return reinterpret_cast<char*>(value << 17 >> 17);
  }
  static bool is_thread(value_layout value) noexcept { return value >> 47 == thread_type; }
  static value_layout thread_value(lua_State* T) noexcept {
    return reinterpret_cast<std::uint64_t>(T) | thread_type << 47;
  }
  static value_layout* first(lua_State* L) noexcept { return layout_of(L).base; }
  static value_layout function(lua_State* L) noexcept { return layout_of(L).base[-2]; }
  static void* name_of(value_layout value, const layout& known) noexcept {
    return reinterpret_cast<void*>(value - known.name_value);
  }
  static value_layout name_value(void* name, const layout& known) noexcept {
    return reinterpret_cast<std::uint64_t>(name) + known.name_value;
  }
#else
  static constexpr std::size_t upvalues = LUA_VERSION_NUM == 501 ? 40 : 32;
  static constexpr std::size_t userdata_head = LUA_VERSION_NUM >= 504 ? 56 : 40;
  static constexpr auto thread_type = static_cast<decltype(value_layout::type)>(
      LUA_VERSION_NUM == 501 ? LUA_TTHREAD : LUA_TTHREAD | 64);
  static char* address(const value_layout& value) noexcept {
    return static_cast<char*>(value.value);
  }
  static bool is_thread(const value_layout& value) noexcept { return value.type == thread_type; }
  static value_layout thread_value(lua_State* T) noexcept { return {T, thread_type}; }
  static value_layout* first(lua_State* L) noexcept {
#if LUA_VERSION_NUM == 501
    return layout_of(L).base;
#else
    return layout_of(L).call->function + 1;
#endif
  }
  static const value_layout& function(lua_State* L) noexcept { return first(L)[-1]; }
  static void* name_of(const value_layout& value, const layout&) noexcept {
    return value.type == LUA_TLIGHTUSERDATA ? value.value : nullptr;
  }
  static value_layout name_value(void* name, const layout&) noexcept {
    return {name, LUA_TLIGHTUSERDATA};
  }
#endif

  static const value_layout& upvalue(lua_State* L, int i) noexcept {
    return reinterpret_cast<value_layout*>(address(function(L)) + upvalues)[i];
  }
  static void* userdata_upvalue(lua_State* L) noexcept {
    return address(upvalue(L, 0)) + userdata_head;
  }
  static lua_State* thread_upvalue(lua_State* L) noexcept {
    return reinterpret_cast<lua_State*>(address(upvalue(L, 1)));
  }
  static int count(lua_State* L) noexcept { return static_cast<int>(layout_of(L).top - first(L)); }
  static lua_State* thread_argument(lua_State* L) noexcept {
    const value_layout* argument = first(L);
    if (argument >= layout_of(L).top || !is_thread(*argument)) return nullptr;
    return reinterpret_cast<lua_State*>(address(*argument));
  }
  // Below the lowest value is a function, or what LuaJIT needs to return from it.
  static void* name_on_top(lua_State* L, const layout& known) noexcept {
    return name_of(layout_of(L).top[-1], known);
  }
  static void push_name(lua_State* L, void* name, const layout& known) noexcept {
    *layout_of(L).top++ = name_value(name, known);
  }
  static void move(lua_State* from, lua_State* to, int n) noexcept {
    layout_of(from).top -= n;
    const value_layout* values = layout_of(from).top;
    for (int i = 0; i < n; ++i) *layout_of(to).top++ = values[i];
  }
  static void push_thread(lua_State* L, lua_State* T) noexcept {
    *layout_of(L).top++ = thread_value(T);
  }
  static void replace_threads(lua_State* L, lua_State* first, lua_State* second) noexcept {
    value_layout* top = layout_of(L).top;
    top[-2] = thread_value(first);
    top[-1] = thread_value(second);
  }
};

#if LUACORO_LUAJIT
namespace detail {
inline constexpr unsigned char hook_active = 0x10, hook_in_collector = 0x40;
inline unsigned char& hook_mask(lua_State* L, const layout& known) noexcept {
  return reinterpret_cast<unsigned char*>(layout_of(L).global)[known.hook_mask];
}
}  // namespace detail
#endif

// LuaJIT notes for the whole universe, not for a thread, that a debug hook runs, and calls no hook
// meanwhile. A thread that leaves from inside its hook takes the note with it.
inline bool leave_hook([[maybe_unused]] lua_State* L,
                       [[maybe_unused]] const layout& known) noexcept {
#if LUACORO_LUAJIT
  if (!known.is_known) return false;
  unsigned char& mask = detail::hook_mask(L, known);
  if ((mask & (detail::hook_active | detail::hook_in_collector)) != detail::hook_active)
    return false;
  mask &= static_cast<unsigned char>(~detail::hook_active);
  return true;
#else
  return false;
#endif
}

inline void enter_hook_again([[maybe_unused]] lua_State* L,
                             [[maybe_unused]] const layout& known) noexcept {
#if LUACORO_LUAJIT
  detail::hook_mask(L, known) |= detail::hook_active;
#endif
}

// Raises the value on top from inside a debug hook. On LuaJIT the note that one runs is taken back
// first: what catches the error may be `load`, which does not.
[[noreturn]] inline void raise_in_hook(lua_State* L, const layout& known) {
  (void)leave_hook(L, known);
  lua_error(L);
  __builtin_unreachable();
}

// Would a hook of another thread be called? Not on LuaJIT while a finalizer or a hook runs.
inline bool hooks_work([[maybe_unused]] lua_State* L,
                       [[maybe_unused]] const layout& known) noexcept {
#if LUACORO_LUAJIT
  return !known.is_known || (detail::hook_mask(L, known) & detail::hook_active) == 0;
#else
  return true;
#endif
}

// Was the thread given a function and not started yet? The layout is known.
inline bool is_fresh_by_layout(lua_State* T) noexcept {
  const state_layout& state = layout_of(T);
#if LUACORO_LUAJIT
  const bool has_no_frame = state.base == state.stack + 2;
#elif LUA_VERSION_NUM == 501
  const bool has_no_frame = state.call == state.base_call;
#else
  const bool has_no_frame = state.call->previous == nullptr;
#endif
  return has_no_frame && state.top > by_layout::first(T) && lua_status(T) == LUA_OK;
}

// Would lua_yield work in the thread? The layout is known.
inline bool is_yieldable_by_layout(lua_State* L, [[maybe_unused]] const layout& known) noexcept {
#if LUACORO_LUAJIT
  // While a hook or a finalizer runs, no matter in which thread, lua_yield takes itself for called
  // by the hook.
  constexpr std::uint64_t resumed = 1;
  return (layout_of(L).c_frame & resumed) != 0 &&
         (detail::hook_mask(L, known) & detail::hook_active) == 0;
#elif LUA_VERSION_NUM == 501
  // A C function at the very base yields but cannot be continued.
  const state_layout& state = layout_of(L);
  return state.c_calls <= state.base_c_calls &&
         state.call - state.base_call >= std::ptrdiff_t{2 * sizeof(call_layout)};
#elif LUA_VERSION_NUM == 502
  return layout_of(L).non_yieldable == 0;
#else
  return lua_isyieldable(L) != 0;
#endif
}

// Is there a way to ask?
inline bool tells_yieldable([[maybe_unused]] const layout& known) noexcept {
  return (LUA_VERSION_NUM >= 503 && !is_luajit) || known.is_known;
}

// 5.4 says so of dead threads, too, and is left to it.
inline bool is_yieldable(lua_State* L, const layout& known) noexcept {
  if (LUA_VERSION_NUM < 504 && lua_status(L) > LUA_YIELD) return false;
  return tells_yieldable(known) && is_yieldable_by_layout(L, known);
}

// Asked in a C function, or of a thread suspended in one, where the layout is known: could that
// function lua_yield here and be continued with values or with an error?
inline bool can_yield_by_layout(lua_State* L, const layout& known) noexcept {
#if LUACORO_LUAJIT
  // An error is raised in a yielded thread by a hook, at the next instruction: where pcall itself
  // is the caller that would be outside of it.
  constexpr std::uint64_t pcall_frame = 6;
  return is_yieldable_by_layout(L, known) && (layout_of(L).base[-1] & pcall_frame) != pcall_frame;
#else
  return is_yieldable_by_layout(L, known);
#endif
}

inline bool can_yield(lua_State* L, const layout& known) noexcept {
  return tells_yieldable(known) && can_yield_by_layout(L, known);
}

// Does the standard `running` say whether it is the main thread?      MAY RAISE (memory). [-0, +0]
inline bool running_tells_main(lua_State* L) {
#if LUACORO_LUAJIT
  // By an option of its build, which makes # ask for __len, too.
  static constexpr char chunk[] = "return #... == 1";
  if (luaL_loadbuffer(L, chunk, sizeof chunk - 1, "=coro") != LUA_OK) lua_error(L);
  lua_createtable(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, [](lua_State* M) -> int {
    lua_pushinteger(M, 1);
    return 1;
  });
  lua_setfield(L, -2, "__len");
  lua_setmetatable(L, -2);
  lua_call(L, 1, 1);
  const bool tells = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return tells;
#else
  (void)L;
  return LUA_VERSION_NUM >= 502;
#endif
}

// ---- running threads -------------------------------------------------------------------------

// LuaJIT for AArch64 gives a yield, besides its n results, as many values more as stand below them
// (the one for x86-64 takes none of those): whoever yielded with a frame goes on with n values
// only.
inline void drop_values_below([[maybe_unused]] lua_State* T, [[maybe_unused]] int n) noexcept {
#if LUACORO_LUAJIT && !defined(__x86_64__)
  const int below = lua_gettop(T) - n;
  if (below <= 0 || lua_status(T) != LUA_YIELD) return;
  for (int i = 1; i <= n; ++i) {
    lua_pushvalue(T, below + i);
    lua_replace(T, i);
  }
  lua_settop(T, n);
#endif
}

// Starts or continues a thread with the n values on its top, until it yields or ends; the status of
// lua_resume. Then n is the number of results on its top.                              MAY SWITCH.
inline int run(lua_State* T, int& n) {
#if LUA_VERSION_NUM >= 504
  return lua_resume(T, nullptr, n, &n);
#elif LUA_VERSION_NUM >= 502
  const int status = lua_resume(T, nullptr, n);
  n = lua_gettop(T);
  return status;
#else
  drop_values_below(T, n);
  const int status = lua_resume(T, n);
  n = lua_gettop(T);
  return status;
#endif
}

// 5.1 counts C calls per thread and leaves the count of the last resumer in it.
inline void forget_c_calls(lua_State* T, lua_State* fresh) noexcept {
#if LUA_VERSION_NUM == 501 && !LUACORO_LUAJIT
  lua_setlevel(fresh, T);
#else
  (void)T, (void)fresh;
#endif
}

// A function that goes on for a C function that yielded. It has there, as a void*, the `owner` that
// yield_frame was given; on 5.2 null, unless that is the first upvalue of the function that
// yielded.
#if LUA_VERSION_NUM >= 503
using continuation = lua_KFunction;
#define LUACORO_CONTINUATION(name) int name(lua_State* L, int, lua_KContext context)
#define LUACORO_CONTINUED_FOR (reinterpret_cast<void*>(context))
#else
using continuation = lua_CFunction;
#define LUACORO_CONTINUATION(name) int name(lua_State* L)
#define LUACORO_CONTINUED_FOR (luacoro::lua::detail::owner_of_frame(L))
#endif

namespace detail {

// The context of a continuation of 5.2, an int, says whether the first upvalue is the owner.
#if LUA_VERSION_NUM == 502
inline void* owner_of_frame(lua_State* L) noexcept {
  int has_owner = 0;
  lua_getctx(L, &has_owner);
  return has_owner != 0 ? lua_touserdata(L, lua_upvalueindex(1)) : nullptr;
}
#elif LUA_VERSION_NUM == 501
inline void* owner_of_frame(lua_State*) noexcept { return nullptr; }  // there are none
#endif

}  // namespace detail

// Yields with the whole frame, so that every slot stays where it is. To be returned by a C function
// for which can_yield holds. With continuations it does not come back: `then` goes on.
template <typename Owner>
int yield_frame(lua_State* L, [[maybe_unused]] continuation then, [[maybe_unused]] Owner& owner) {
#if LUA_VERSION_NUM >= 503
  return lua_yieldk(L, lua_gettop(L), reinterpret_cast<lua_KContext>(&owner), then);
#elif LUA_VERSION_NUM >= 502
  const bool has_owner = lua_touserdata(L, lua_upvalueindex(1)) == &owner;
  return lua_yieldk(L, lua_gettop(L), has_owner ? 1 : 0, then);
#else
  return lua_yield(L, lua_gettop(L));
#endif
}

namespace detail {

// What can be seen without a look at any address that stands in the structure.
inline bool has_shape(lua_State* L) noexcept {
  const state_layout& state = layout_of(L);
#if LUACORO_LUAJIT
  constexpr std::uint8_t thread_type = 6, c_function = 1;
  if (state.type != thread_type || state.dummy_ffid != c_function) return false;
#else
  if (state.type != LUA_TTHREAD) return false;
#endif
  const value_layout* top = state.top;
  lua_pushnil(L);
  lua_pushnil(L);
  const bool grew = state.top == top + 2;
  lua_pop(L, 2);
  return grew && state.top == top;
}

// Do both ways of access give the same?
inline bool are_equal(lua_State* L, const layout& known) noexcept {
  void* name = lua_touserdata(L, lua_upvalueindex(3));
  lua_pushnil(L);
  const bool is_no_name = by_layout::name_on_top(L, known) != name;
  lua_pop(L, 1);
  by_layout::push_name(L, name, known);
  const bool is_name = by_layout::name_on_top(L, known) == name && lua_touserdata(L, -1) == name;
  lua_pop(L, 1);
  lua_State* T = lua_tothread(L, lua_upvalueindex(2));
  for (int i = 0; i < 2; ++i) lua_pushvalue(L, lua_upvalueindex(2));
  by_layout::replace_threads(L, L, T);
  const bool are_threads = lua_tothread(L, -2) == L && lua_tothread(L, -1) == T;
  lua_pop(L, 2);
  return is_no_name && is_name && are_threads && by_layout::count(L) == by_api::count(L) &&
         by_layout::userdata_upvalue(L) == by_api::userdata_upvalue(L) &&
         by_layout::thread_upvalue(L) == by_api::thread_upvalue(L) &&
         by_layout::thread_argument(L) == by_api::thread_argument(L);
}

inline bool agrees_with_api([[maybe_unused]] lua_State* L) noexcept {
#if LUACORO_LUAJIT
  return (layout_of(L).c_frame & 1) == static_cast<unsigned>(lua_isyieldable(L));
#else
  return true;
#endif
}

// Lua: probe(thread, expected) -> whether can_yield says what is expected here, and the layout is
// as it is mirrored. Upvalues: the layout, a thread, a name.
inline int probe(lua_State* L) {
  const auto& known = *static_cast<const layout*>(lua_touserdata(L, lua_upvalueindex(1)));
  const bool confirmed = has_shape(L) && are_equal(L, known) && !is_fresh_by_layout(L) &&
                         can_yield_by_layout(L, known) == (lua_toboolean(L, 2) != 0) &&
                         agrees_with_api(L);
  lua_pushboolean(L, confirmed);
  return 1;
}

// Lua: call_through_c(f, ...) -> f(...)
inline int call_through_c(lua_State* L) {
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

#if LUACORO_LUAJIT
inline void ignore_hook(lua_State*, lua_Debug*) {}

// The one byte of the global state that follows the mask of the debug hook; 0 if it is not found.
inline std::size_t find_hook_mask(lua_State* L) noexcept {
  constexpr std::size_t searched = 512;
  const auto* global = reinterpret_cast<const unsigned char*>(layout_of(L).global);
  const lua_Hook hook = lua_gethook(L);
  const int mask = lua_gethookmask(L), count = lua_gethookcount(L);
  bool follows[searched];
  for (bool& f : follows) f = true;
  for (int tried :
       {LUA_MASKCALL, LUA_MASKRET, LUA_MASKCALL | LUA_MASKRET, LUA_MASKLINE, LUA_MASKCOUNT, 0}) {
    lua_sethook(L, tried != 0 ? ignore_hook : nullptr, tried, 1);
    for (std::size_t i = 0; i < searched; ++i) follows[i] = follows[i] && global[i] == tried;
  }
  lua_sethook(L, hook, mask, count);
  std::size_t found = 0;
  for (std::size_t i = 0; i < searched; ++i) {
    if (!follows[i]) continue;
    if (found != 0) return 0;
    found = i;
  }
  return found;
}
#endif

}  // namespace detail

// Looks for the layout and confirms it on a thread in known states. The name is one of those that
// will be used.                                                        MAY RAISE (memory). [-0, +0]
inline layout find_layout(lua_State* L, void* name) {
  static constexpr char chunk[] =
      "local probe, call_through_c, pcall, thread, over_pcall = ...\n"
      "local confirmed = probe(thread, true) and call_through_c(probe, thread, false)\n"
      "if confirmed and pcall then\n"
      "  local _, through_pcall = pcall(probe, thread, over_pcall)\n"
      "  confirmed = through_pcall\n"
      "end\n"
      "return confirmed and not probe(nil, false)";
  auto* known = new (lua_newuserdata(L, sizeof(layout))) layout;
  lua_State* T = lua_newthread(L);
  known->is_known = LUACORO_MIRRORED_LAYOUT != 0 && detail::has_shape(L);
#if LUACORO_LUAJIT
  if (known->is_known) {
    known->hook_mask = detail::find_hook_mask(L);
    known->is_known = known->hook_mask != 0;
    lua_pushlightuserdata(L, name);
    known->name_value = layout_of(L).top[-1] - reinterpret_cast<std::uint64_t>(name);
    lua_pop(L, 1);
  }
#endif
  if (known->is_known) {
    // Made here and moved: nothing may be raised in a thread that does not run.
    if (luaL_loadbuffer(L, chunk, sizeof chunk - 1, "=coro") != LUA_OK) lua_error(L);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -3);
    lua_pushlightuserdata(L, name);
    lua_pushcclosure(L, detail::probe, 3);
    lua_pushcfunction(L, detail::call_through_c);
    push_globals(L);
    lua_pushliteral(L, "pcall");
    lua_rawget(L, -2);
    lua_remove(L, -2);
    lua_pushvalue(L, -5);
    lua_pushboolean(L, LUA_VERSION_NUM >= 502);
    lua_xmove(L, T, 6);
    int n = 5;
    known->is_known = is_fresh_by_layout(T) && run(T, n) == LUA_OK && lua_toboolean(T, -1);
  }
  const layout found = *known;
  lua_pop(L, 2);
  return found;
}

// The main thread, or nullptr where the version hides it and its layout is unknown.
inline lua_State* main_thread(lua_State* L) noexcept {
#if LUA_VERSION_NUM >= 502
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State* main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
#else
  const bool is_main = lua_pushthread(L) != 0;
  lua_pop(L, 1);
  if (is_main) return L;
    // Both versions allocate the main thread and the global state as one, the thread first.
#if LUACORO_LUAJIT
  constexpr std::size_t thread_size = sizeof(state_layout);
#else
  constexpr std::size_t thread_size = 184;
#endif
  const auto& here = layout_of(L);
  auto* main = reinterpret_cast<lua_State*>((std::uintptr_t)here.global - thread_size);
  const auto& there = layout_of(main);
  return there.global == here.global && there.type == here.type ? main : nullptr;
#endif
}

// ---- room on a Lua stack ---------------------------------------------------------------------

enum class room { enough, too_many, no_memory };

// Every C function starts with this many free slots, and so does a new thread.
inline constexpr int free_slots = LUA_MINSTACK;

#if LUA_VERSION_NUM < 502
namespace detail {
struct stack_request {
  int slots;
  room answer = room::no_memory;
};
inline int check_stack(lua_State* L) {
  auto& request = *static_cast<stack_request*>(lua_touserdata(L, 1));
  lua_settop(L, 0);
  // This frame has free slots of its own, above the slots that are asked for.
  request.answer = lua_checkstack(L, request.slots) ? room::enough : room::too_many;
  // To return would have 5.1 collect garbage, and the collector takes away what is not in use.
  lua_pushnil(L);
  return lua_error(L);
}
}  // namespace detail
#endif

// Makes room for n more values on the stack of a thread that is not running, raising nothing. The
// room is there until Lua collects garbage. Allocates only where there was none.
inline room reserve(lua_State* T, int n, [[maybe_unused]] const layout& known) noexcept {
#if LUA_VERSION_NUM >= 502
  if (lua_checkstack(T, n)) return room::enough;
  // Which of the two it was is not told: the stack may hold a million values, and a request for
  // many of them at once is taken for the cause.
  return n > LUAI_MAXSTACK / 4 ? room::too_many : room::no_memory;
#else
  // lua_checkstack raises in T when memory runs out, and T is not in any position to catch it.
  if (n > LUAI_MAXCSTACK - lua_gettop(T) - free_slots) return room::too_many;
  if (known.is_known && layout_of(T).last - layout_of(T).top > n) return room::enough;
#if LUACORO_LUAJIT
  // Nothing may be called in a thread that yielded; and an error clears that status for good.
  std::uint8_t& thread_status = layout_of(T).status;
  const std::uint8_t status_before = thread_status;
  thread_status = LUA_OK;
#endif
  detail::stack_request request{n};
  (void)call_protected(T, &detail::check_stack, &request);
#if LUACORO_LUAJIT
  thread_status = status_before;
#endif
  return request.answer;
#endif
}

// ---- frames of a thread that failed ----------------------------------------------------------

// While it lives nobody can free the frames of a thread that failed, as 5.4's close does, also the
// standard library's, in a finalizer: the thread passes for one that has resumed another. Where its
// status cannot be set, no finalizers run.
class kept_frames {
#if LUA_VERSION_NUM >= 504
 public:
  kept_frames(lua_State* T, const layout& known) noexcept
      : T_(T),
        status_(lua_status(T)),
        sets_status_(known.is_known && layout_of(T).status == status_),
        stops_collector_(!sets_status_ && lua_gc(T, LUA_GCISRUNNING) > 0) {
    if (sets_status_) layout_of(T).status = LUA_OK;
    if (stops_collector_) lua_gc(T, LUA_GCSTOP);
  }
  ~kept_frames() {
    if (sets_status_) layout_of(T_).status = static_cast<unsigned char>(status_);
    if (stops_collector_) lua_gc(T_, LUA_GCRESTART);
  }
  kept_frames(const kept_frames&) = delete;
  kept_frames& operator=(const kept_frames&) = delete;

 private:
  lua_State* T_;
  int status_;
  bool sets_status_, stops_collector_;
#else
 public:
  kept_frames(lua_State*, const layout&) noexcept {}
#endif
};

// ---- finalizers ------------------------------------------------------------------------------

// Where the registry has a function that does nothing: to be called where none may be made.
inline constexpr const char* do_nothing_key = "luacoro.do_nothing";

namespace detail {

// A call hook that removes itself: whether hooks are allowed shows in whether it is still there.
inline void remove_hook(lua_State* L, lua_Debug*) { lua_sethook(L, nullptr, 0, 0); }

// They are not while a finalizer runs (nor while a hook does). Allocates nothing.
[[gnu::cold, gnu::noinline]] inline bool hooks_are_allowed(lua_State* L) noexcept {
  const saved_hook before = hook_of(L);
  lua_getfield(L, LUA_REGISTRYINDEX, do_nothing_key);
  lua_sethook(L, remove_hook, LUA_MASKCALL, 0);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_pop(L, 1);
  const bool allowed = lua_gethook(L) != remove_hook;
  put_back(before);
  return allowed;
}

// Does a hook run in this thread? Where that cannot be seen it does not.
[[gnu::cold, gnu::noinline]] inline bool in_hook([[maybe_unused]] lua_State* L,
                                                 [[maybe_unused]] const layout& known) noexcept {
#if LUA_VERSION_NUM == 502
  constexpr unsigned char hooked = 1 << 1;
  if (!known.is_known) return false;
  for (const call_layout* call = layout_of(L).call; call != nullptr; call = call->previous) {
    if ((call->status & hooked) != 0) return true;
  }
#elif LUA_VERSION_NUM == 503
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar) != 0; ++level) {
    lua_getinfo(L, "n", &ar);
    if (ar.namewhat[0] == 'h') return true;  // "hook"
  }
#endif
  return false;
}

}  // namespace detail

// Lua stops its collector while a finalizer runs; 5.1 does not let it be seen.
inline bool in_finalizer(lua_State* L, [[maybe_unused]] const layout& known) noexcept {
#if LUACORO_LUAJIT
  if (known.is_known) return (detail::hook_mask(L, known) & detail::hook_in_collector) != 0;
#endif
#if LUA_VERSION_NUM == 501 && !LUACORO_LUAJIT
  (void)L;
  return false;
#else
  const int running = lua_gc(L, LUA_GCISRUNNING, 0);
#if LUA_VERSION_NUM >= 504 && LUA_VERSION_RELEASE_NUM >= 50404
  return running < 0;
#else
  // The program itself may have stopped the collector; and hooks are not allowed in hooks, either.
  return running == 0 && !detail::hooks_are_allowed(L) && !detail::in_hook(L, known);
#endif
#endif
}

// In a C function, where the layout is known. On LuaJIT nobody may be left out of a hook in the
// plain way (leave_hook).
inline bool in_finalizer_or_hook(lua_State* L, [[maybe_unused]] const layout& known) noexcept {
#if LUACORO_LUAJIT
  return (detail::hook_mask(L, known) & (detail::hook_active | detail::hook_in_collector)) != 0;
#else
  return in_finalizer(L, known);
#endif
}

// ---- the ordinary yield ----------------------------------------------------------------------

// What the standard yield does with all values on the stack. To be returned by a C function.
// MAY RAISE (the standard's error).
inline int yield_values(lua_State* L, [[maybe_unused]] const layout& known) {
#if LUACORO_LUAJIT
  // The error of lua_yield lacks the position that the standard yield's has.
  if (!lua_isyieldable(L)) return luaL_error(L, "attempt to yield across C-call boundary");
  // And it takes a hook or a finalizer that runs in any thread for one that this thread is in.
  if (known.is_known) {
    unsigned char& mask = detail::hook_mask(L, known);
    const unsigned char before = mask;
    mask &= static_cast<unsigned char>(~detail::hook_active);
    const int yielded = lua_yield(L, lua_gettop(L));
    mask = before;
    return yielded;
  }
  if (!detail::hooks_are_allowed(L))
    return luaL_error(L, "attempt to yield inside a hook or a finalizer");
#endif
  return lua_yield(L, lua_gettop(L));
}

// ---- errors ----------------------------------------------------------------------------------

// The stack of thread T as text.                                     MAY RAISE (memory). [-0, +1]
inline void push_traceback(lua_State* L, lua_State* T) {
#if LUA_VERSION_NUM >= 502 || LUACORO_LUAJIT
  luaL_traceback(L, T, nullptr, 0);
#else
  constexpr int first_part = 12, last_part = 10;  // as debug.traceback of 5.1
  int levels = 0;
  lua_Debug ar;
  while (lua_getstack(T, levels, &ar)) ++levels;
  const int base = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, "traceback");
  lua_pushliteral(L, "stack traceback:");
  for (int level = 0; lua_getstack(T, level, &ar); ++level) {
    if (level == first_part && levels > first_part + last_part) {
      lua_pushliteral(L, "\n\t...");
      level = levels - last_part - 1;
    } else {
      lua_getinfo(T, "Snl", &ar);
      lua_pushfstring(L, "\n\t%s:", ar.short_src);
      if (ar.currentline > 0) lua_pushfstring(L, "%d:", ar.currentline);
      if (*ar.namewhat != '\0') {
        lua_pushfstring(L, " in function '%s'", ar.name);
      } else if (*ar.what == 'm') {
        lua_pushliteral(L, " in main chunk");
      } else if (*ar.what == 'C' || *ar.what == 't') {
        lua_pushliteral(L, " ?");
      } else {
        lua_pushfstring(L, " in function <%s:%d>", ar.short_src, ar.linedefined);
      }
    }
    lua_concat(L, lua_gettop(L) - base);
  }
#endif
}

// Raises the value on top in a thread that another one was just left for. [-1]
[[noreturn]] inline void raise(lua_State* L) {
#if LUACORO_LUAJIT
  // Builds before September 2023 forget which thread runs until a call returns in it.
  lua_getfield(L, LUA_REGISTRYINDEX, do_nothing_key);
  lua_call(L, 0, 0);
#endif
  lua_error(L);
  __builtin_unreachable();
}

// LuaJIT may go on in compiled code, which knows no hooks, after a call that a trace was left for:
// then the traces are dropped. Asked for a thread that yielded.
inline void leave_compiled_code(lua_State* T) noexcept {
#if LUACORO_LUAJIT
  constexpr std::uint64_t frame_type = 7, continuation_frame = 2;
  if ((layout_of(T).base[-1] & frame_type) == continuation_frame)
    (void)luaJIT_setmode(T, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
#else
  (void)T;
#endif
}

// Closes pending to-be-closed variables of a thread that is not running and makes it dead; on
// failure the error is on its top.                                          MAY SWITCH. T: [?, +?]
inline int close(lua_State* T) noexcept {
#if LUA_VERSION_NUM >= 505 || (LUA_VERSION_NUM == 504 && LUA_VERSION_RELEASE_NUM >= 50406)
  return lua_closethread(T, nullptr);
#elif LUA_VERSION_NUM == 504
  return lua_resetthread(T);
#else
  (void)T;
  return 0;
#endif
}

}  // namespace luacoro::lua
