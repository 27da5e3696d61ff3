/* The C functions of coro, symmetric coroutines for Lua: for native modules and host programs.
 *
 * They suspend and continue coroutines from C, in direct style: a call suspends the C function that
 * makes it, with all its frames, and returns right there when somebody continues the coroutine. No
 * continuation functions, no callbacks.
 *
 *     static int l_receive(lua_State *L) {
 *       const luacoro_abi *coro = luacoro_load(L);
 *       struct operation *op = start_receiving(...);
 *       coro->take(coro, L, &op->waiter);
 *       return coro->suspend(coro, L, &op->waiter, NULL);     other coroutines run here
 *     }
 *     ...
 *     in the event loop:  lua_pushlstring(L, data, size);  coro->complete(coro, L, &op->waiter, 1);
 *
 * Nothing is linked: `luacoro_load` gets the functions at run time from the Lua state, where
 * `require "coro"` has put them. The table belongs to coro and is valid until that state is closed.
 * It is append-only: newer versions of coro add functions at its end, and existing ones never
 * change.
 *
 * In what follows
 *   L          the lua_State that Lua gave to the calling C function (in main: the host's own); the
 *              current thread. All values are passed on its stack, as those of lua_call are.
 *   MAY RAISE  a Lua error can leave the function, as it can lua_call: by longjmp, or by a C++
 *              exception where Lua is built so. Functions so marked also raise "not enough memory",
 *              and "C stack overflow" where C functions are nested too deeply.
 *   MAY SWITCH other coroutines run before the function returns.
 *   [-n, +m]   n values are popped from the stack of L, m are pushed, as in Lua's manual.
 * The caller leaves room for 4 more (a C function has LUA_MINSTACK); coro makes room for results.
 *
 * OS threads: a Lua state, and so each function here, may be used by one OS thread at a time, and
 * while coroutines are suspended only by that one. An event loop whose operations end on other OS
 * threads posts their completions to its own.
 *
 * Memory: a thread lives as long as something reaches it, as everywhere in Lua. Nothing here keeps
 * a suspended thread alive, not even a waiter; whoever is to continue it does, by the registry or a
 * table of its own. A thread that is collected while suspended takes its C frames with it: they do
 * not go on, nothing in them is run or freed. Switching allocates nothing.
 *
 * C++: coroutines that end by an error, are thrown into or closed leave C functions by a Lua error;
 * <luacoro/luacoro.hpp> makes exceptions of it, for frames that hold objects with destructors.
 */
#ifndef LUACORO_ABI_H
#define LUACORO_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include <lauxlib.h>
#include <lua.h>

/* Changes only if functions are no longer what they were. */
#define LUACORO_ABI_VERSION 1

typedef struct luacoro_abi luacoro_abi;

/* What `status` gives: the four words of coro.status. */
enum luacoro_status {
  LUACORO_SUSPENDED,
  LUACORO_RUNNING,
  LUACORO_NORMAL, /* it has resumed another one and waits for it */
  LUACORO_DEAD
};

/* A wait for something that another part of the program completes, once. The struct is the
 * caller's, anywhere in memory, and may be moved until it is suspended on; its fields are coro's.
 * coro touches it only in the calls that it is given to, and `suspend` before it suspends, not
 * after. So it can be freed as soon as `complete` or `fail` has returned, unless that was
 * LUACORO_EARLY.
 *
 * It must not stand in the C frame that suspends, if the frame can go away before the completion:
 * an error, `close` or the collector end it without a word. */
typedef struct luacoro_waiter {
  uint64_t wait; /* 0 until it was suspended on */
  uintptr_t os_thread;
  unsigned carrier;
  int state;
  int values;
} luacoro_waiter;

/* What came of completing a waiter. Only for LUACORO_CONTINUED has anything been run. */
enum luacoro_outcome {
  /* The coroutine went on, and now control is back. */
  LUACORO_CONTINUED = 0,
  /* It has not suspended yet: `suspend` will return, or raise, at once. */
  LUACORO_EARLY = 1,
  /* Nobody waits any more: the coroutine was closed, thrown into, continued by somebody else or
   * collected. */
  LUACORO_NOBODY = 2,
  /* An error arrived here after the coroutine went on, as it does for coro.ptransfer: of any
   * coroutine that nobody had resumed. The error and a traceback are on top. [+2] */
  LUACORO_FAILED = 3,
  /* It cannot go on now, and waits as before: too many values, the caller is a finalizer, no C
   * stack or no memory. The error and nil are on top. [+2] */
  LUACORO_REFUSED = 4,
  /* Misuse: it was completed or dropped before. */
  LUACORO_USED = 5,
  /* Misuse: this is not the OS thread that it was taken on. Nothing was touched, neither the waiter
   * nor the stack. */
  LUACORO_WRONG_THREAD = 6,
  /* Misuse: L is not the current thread, but waits itself. Nothing was touched. */
  LUACORO_NOT_CURRENT = 7
};

/* For `protect`: a C function that is given a pointer, too. */
typedef int (*luacoro_function)(lua_State* L, void* data);

struct luacoro_abi {
  unsigned version; /* LUACORO_ABI_VERSION of that coro */
  unsigned size;    /* sizeof(luacoro_abi) there */
  lua_State* main;  /* the main thread: what L usually is in an event loop */

  /* The functions of the Lua module with these names. What they raise is the same, too. */

  /* The function on top becomes the function of a new thread. [-1, +1] MAY RAISE (no function). */
  lua_State* (*create)(const luacoro_abi* coro, lua_State* L);

  /* The current thread, which is L; NULL if it is main. */
  lua_State* (*current)(const luacoro_abi* coro, lua_State* L);

  /* Of a thread; of main for NULL. */
  enum luacoro_status (*status)(const luacoro_abi* coro, lua_State* L, lua_State* thread);

  /* Suspends the current thread and continues `to` with the n values on top; main for NULL. The
   * number of values that somebody continues this thread with, which are on top then. [-n, +r]
   * MAY RAISE (nothing has changed: the current thread, a dead one, one that cannot be continued;
   * later: an error that arrives), MAY SWITCH. */
  int (*transfer)(const luacoro_abi* coro, lua_State* L, lua_State* to, int n);

  /* The same, but 1 and r values, or if an error arrives 0 and that, with a traceback (r is 2).
   * [-n, +r] MAY RAISE (nothing has changed), MAY SWITCH. `r` may be NULL. */
  int (*ptransfer)(const luacoro_abi* coro, lua_State* L, lua_State* to, int n, int* r);

  /* Resumes a suspended thread: 1 and r values when it yields or ends, 0 and the error with a
   * traceback if it fails (r is 2), 0 and a text if it cannot be resumed (r is 1). [-n, +r]
   * MAY RAISE (memory, C stack overflow), MAY SWITCH. `r` may be NULL. */
  int (*resume)(const luacoro_abi* coro, lua_State* L, lua_State* thread, int n, int* r);

  /* Continues the resumer with the n values on top. The number of values that this thread is
   * resumed with. [-n, +r]
   * MAY RAISE (main; a thread that nobody resumed; one that a standard resume runs, since those
   * cannot yield across a C function), MAY SWITCH. */
  int (*yield)(const luacoro_abi* coro, lua_State* L, int n);

  /* coro.throw: continues `to` with the error on top. As `transfer` otherwise. [-1, +r] */
  int (*throw_error)(const luacoro_abi* coro, lua_State* L, lua_State* to);

  /* Ends a suspended thread: 1; or 0 and the error that it ended with. [-0, +0..1]
   * MAY RAISE (a running or normal thread), MAY SWITCH. */
  int (*close)(const luacoro_abi* coro, lua_State* L, lua_State* thread);

  /* Waiters. */

  /* A new waiter, for one wait of the current thread. Nothing has to be given back if it is never
   * completed.
   * MAY RAISE (outside a coroutine: in main, or in a thread that the host itself runs there). */
  void (*take)(const luacoro_abi* coro, lua_State* L, luacoro_waiter* waiter);

  /* Suspends the current thread until the waiter is completed, and continues `to`; main for NULL.
   * If it was completed before, nobody else runs. The number of values that it was completed with,
   * which are on top. [-0, +r]
   * MAY RAISE (nothing has changed: as `transfer`, and for a waiter that was suspended on or
   * dropped before; later: the error of `fail`, of `throw` or of `close`; "coroutine was continued
   * by another one while it waited" if somebody transferred to it), MAY SWITCH. */
  int (*suspend)(const luacoro_abi* coro, lua_State* L, luacoro_waiter* waiter, lua_State* to);

  /* Completes a waiter with the n values on top: `suspend` returns them. The caller is suspended
   * until somebody transfers back to it, as by coro.ptransfer, usually at the next wait; what is
   * passed then is dropped. For main, or a coroutine that runs an event loop. Raises nothing.
   * [-n, +0..2] MAY SWITCH. */
  enum luacoro_outcome (*complete)(const luacoro_abi* coro, lua_State* L, luacoro_waiter* waiter,
                                   int n);

  /* The same with the error on top: `suspend` raises it. [-1, +0..2] MAY SWITCH. */
  enum luacoro_outcome (*fail)(const luacoro_abi* coro, lua_State* L, luacoro_waiter* waiter);

  /* 1 if `take` would be allowed, else 0. */
  int (*can_wait)(const luacoro_abi* coro, lua_State* L);

  /* Will not be completed. Who waits goes on waiting, for `throw`, `close` or the collector. Gives
   * back the values of an early completion. Allowed in any state, also more than once. */
  void (*drop)(const luacoro_abi* coro, lua_State* L, luacoro_waiter* waiter);

  /* Calls f(L, data) with the n values on top, as lua_pcall does: the number of its results, or -1
   * and the error. f may use everything here. Allocates nothing. [-n, +r]
   * MAY SWITCH (if f does). */
  int (*protect)(const luacoro_abi* coro, lua_State* L, luacoro_function f, void* data, int n);

  /* 1 if the thread waits in a function of coro, suspended or for one that it resumed: then it is
   * not current, and nothing may be done with its stack but for what `leave` permits. Else 0. */
  int (*waits)(const luacoro_abi* coro, lua_State* thread);

  /* Waits that take no C stack. */

  /* transfer, as the last thing that a lua_CFunction does: `return coro->leave(coro, L, to, n,
   * mark);` Its results are the values that somebody continues the thread with. On most versions of
   * Lua `leave` does not return: nothing in C or C++ between that function and this call may have
   * anything left to do. While the thread waits, its stack has the values of the function at their
   * indices, without the n that were passed: they may be read and replaced, to keep there what
   * whoever continues it needs. `mark` tells such a wait from others; NULL: none.
   * [-n] MAY RAISE (as `transfer`; "stack overflow"), MAY SWITCH. */
  int (*leave)(const luacoro_abi* coro, lua_State* L, lua_State* to, int n, const void* mark);

  /* The mark of the `leave` that the thread, not NULL, is suspended in; NULL if it is in none.
   * [-0, +0] */
  const void* (*mark_of)(const luacoro_abi* coro, lua_State* thread);
};

/* Where the registry has the table. */
#define LUACORO_ABI_KEY "luacoro.abi"

/* The module itself, for hosts that link it statically and put it into package.preload. */
int luaopen_coro(lua_State* L);

/* The functions of the Lua state's coro, which is required if it was not before. To be called once
 * by a module that keeps the pointer, or each time: it costs a look-up in the registry. [-0, +0]
 * MAY RAISE: the error of `require` if there is no module "coro"; "coro is older than this module
 * (...)" and "coro offers other C functions than this module needs (...)". */
static inline const luacoro_abi* luacoro_load(lua_State* L) {
  const luacoro_abi* coro;
  lua_getfield(L, LUA_REGISTRYINDEX, LUACORO_ABI_KEY);
  if (!lua_isuserdata(L, -1)) {
    lua_pop(L, 1);
    lua_getglobal(L, "require");
    if (lua_isnil(L, -1)) luaL_error(L, "coro is not loaded, and there is no 'require'");
    lua_pushliteral(L, "coro");
    lua_call(L, 1, 0);
    lua_getfield(L, LUA_REGISTRYINDEX, LUACORO_ABI_KEY);
  }
  coro = (const luacoro_abi*)lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (coro == NULL) {
    luaL_error(L, "coro is older than this module (it has no C functions)");
    return NULL; /* not reached */
  }
  if (coro->version != LUACORO_ABI_VERSION)
    luaL_error(L, "coro offers other C functions than this module needs (version %d, not %d)",
               (int)coro->version, LUACORO_ABI_VERSION);
  if (coro->size < sizeof(luacoro_abi))
    luaL_error(L, "coro is older than this module (it lacks C functions)");
  return coro;
}

#ifdef __cplusplus
}
#endif

#endif
