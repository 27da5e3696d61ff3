/* A native module in C that waits: sleep(seconds), and run() in main, until nobody sleeps; pause(),
 * and wake(thread, ...).
 *
 * It links to nothing of coro. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include <luacoro/abi.h>
#include <stdlib.h>
#include <time.h>

/* [waiter] */
/* One who sleeps. The list is sorted, the first to wake first. */
struct sleeper {
  luacoro_waiter waiter;
  double wakes_at;
  int thread; /* in the registry: a waiter does not keep it alive */
  struct sleeper* next;
};

static struct sleeper* first = NULL;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* sleep(seconds) -> how many seconds late it woke */
static int l_sleep(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  const double seconds = luaL_checknumber(L, 1);
  struct sleeper *self, **place = &first;
  luacoro_waiter waiter;
  int thread;
  coro->take(coro, L, &waiter); /* raises in main, before anything is allocated */
  lua_pushthread(L);
  thread = luaL_ref(L, LUA_REGISTRYINDEX);
  self = malloc(sizeof *self);
  if (self == NULL) {
    luaL_unref(L, LUA_REGISTRYINDEX, thread);
    return luaL_error(L, "not enough memory");
  }
  self->thread = thread;
  self->waiter = waiter;
  self->wakes_at = now() + seconds;
  while (*place != NULL && (*place)->wakes_at <= self->wakes_at) place = &(*place)->next;
  self->next = *place;
  *place = self;
  return coro->suspend(coro, L, &self->waiter, NULL); /* others run meanwhile */
}

/* run(): until nobody sleeps */
static int l_run(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  while (first != NULL) {
    struct sleeper* woken = first;
    enum luacoro_outcome outcome;
    const double left = woken->wakes_at - now();
    if (left > 0) {
      struct timespec time;
      time.tv_sec = (time_t)left;
      time.tv_nsec = (long)((left - (double)time.tv_sec) * 1e9);
      nanosleep(&time, NULL);
    }
    first = woken->next;
    lua_pushnumber(L, now() - woken->wakes_at);
    outcome = coro->complete(coro, L, &woken->waiter, 1);
    if (outcome == LUACORO_REFUSED) { /* it waits as before */
      woken->next = first;
      first = woken;
    } else { /* not needed after that, whether somebody waited or not */
      luaL_unref(L, LUA_REGISTRYINDEX, woken->thread);
      free(woken);
    }
    if (outcome == LUACORO_FAILED || outcome == LUACORO_REFUSED) {
      lua_pop(L, 1); /* the traceback */
      return lua_error(L);
    }
  }
  return 0;
}
/* [waiter] */

/* [leaving] */
/* Who is in `pause` is known by this address. */
static const char pausing = 0;

/* pause() -> what it is woken with */
static int l_pause(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  return coro->leave(coro, L, NULL, 0, &pausing); /* others run meanwhile; nothing is left to do */
}

/* wake(thread, ...) -> was it in `pause`? */
static int l_wake(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  lua_State* thread = lua_tothread(L, 1);
  luaL_argcheck(L, thread != NULL, 1, "thread expected");
  if (coro->mark_of(coro, thread) != &pausing) {
    lua_pushboolean(L, 0);
    return 1;
  }
  coro->transfer(coro, L, thread, lua_gettop(L) - 1);
  lua_pushboolean(L, 1);
  return 1;
}
/* [leaving] */

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_sleeping(lua_State* L);

int luaopen_sleeping(lua_State* L) {
  lua_newtable(L);
  lua_pushcfunction(L, l_sleep);
  lua_setfield(L, -2, "sleep");
  lua_pushcfunction(L, l_run);
  lua_setfield(L, -2, "run");
  lua_pushcfunction(L, l_pause);
  lua_setfield(L, -2, "pause");
  lua_pushcfunction(L, l_wake);
  lua_setfield(L, -2, "wake");
  return 1;
}
