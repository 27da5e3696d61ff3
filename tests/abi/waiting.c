/* A Lua module in C99 that uses every C function of coro, for abi_spec.lua.
 *
 * It is also an event loop of sorts: operations have numbers, and Lua code completes them. Each
 * function proves that it goes on in the frame that it left, by what it keeps in local variables.
 */
#include <luacoro/abi.h>
#include <stdlib.h>

enum { operations = 64 };

/* Operations live as long as the program: nothing is allocated for one. */
static struct operation { luacoro_waiter waiter; } all_operations[operations];

static luacoro_waiter* check_waiter(lua_State* L) {
  lua_Integer number = luaL_checkinteger(L, 1);
  luaL_argcheck(L, number >= 0 && number < operations, 1, "no such operation");
  return &all_operations[number].waiter;
}

static lua_State* check_thread(lua_State* L, int index) {
  lua_State* thread = lua_tothread(L, index);
  if (thread == NULL && !lua_isnoneornil(L, index)) luaL_argerror(L, index, "thread expected");
  return thread;
}

/* Fills a frame with values and finds them again after `call`. */
#define KEPT 100
#define CHECKING_THE_FRAME(L, call)                                 \
  do {                                                              \
    volatile int kept[KEPT];                                        \
    volatile int at;                                                \
    const int top = lua_gettop(L);                                  \
    for (at = 0; at < KEPT; at++) kept[at] = at * 7 + top;          \
    call;                                                           \
    for (at = 0; at < KEPT; at++) {                                 \
      if (kept[at] != at * 7 + top) luaL_error(L, "another frame"); \
    }                                                               \
  } while (0)

/* take(number) */
static int l_take(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  coro->take(coro, L, check_waiter(L));
  return 0;
}

/* suspend(number [, thread]) -> what the operation is completed with */
static int l_suspend(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  int n = 0;
  CHECKING_THE_FRAME(L, n = coro->suspend(coro, L, check_waiter(L), check_thread(L, 2)));
  return n;
}

/* wait(number [, thread]): both */
static int l_wait(lua_State* L) {
  l_take(L);
  return l_suspend(L);
}

/* wait_twice(number, number) -> the sum of the two numbers that they are completed with */
static int l_wait_twice(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  luacoro_waiter *first = check_waiter(L), *second;
  lua_Number sum = 0;
  lua_remove(L, 1);
  second = check_waiter(L);
  coro->take(coro, L, first);
  coro->take(coro, L, second);
  coro->suspend(coro, L, first, NULL);
  sum += lua_tonumber(L, -1);
  coro->suspend(coro, L, second, NULL);
  sum += lua_tonumber(L, -1);
  lua_pushnumber(L, sum);
  return 1;
}

static const char* const outcomes[] = {"continued", "early", "nobody",      "failed",
                                       "refused",   "used",  "wrong thread"};

/* What complete or fail ended in: the outcome, and what else is on the stack, of which there were
 * `before` values. */
static int return_outcome(lua_State* L, enum luacoro_outcome outcome, int before) {
  lua_pushstring(L, outcomes[outcome]);
  lua_insert(L, before + 1);
  return lua_gettop(L) - before;
}

/* complete(number, ...) -> outcome [, error, traceback] */
static int l_complete(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  luacoro_waiter* waiter = check_waiter(L);
  enum luacoro_outcome outcome = LUACORO_USED;
  CHECKING_THE_FRAME(L, outcome = coro->complete(coro, L, waiter, lua_gettop(L) - 1));
  return return_outcome(L, outcome, 1);
}

/* fail(number, error) -> outcome [, error, traceback] */
static int l_fail(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  luacoro_waiter* waiter = check_waiter(L);
  lua_settop(L, 2);
  return return_outcome(L, coro->fail(coro, L, waiter), 1);
}

/* drop(number) */
static int l_drop(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  coro->drop(coro, L, check_waiter(L));
  return 0;
}

/* create(f) -> thread */
static int l_create(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  lua_State* thread;
  lua_settop(L, 1);
  thread = coro->create(coro, L);
  if (lua_tothread(L, 1) != thread) luaL_error(L, "another thread than on the stack");
  return 1;
}

/* current() -> thread or nil */
static int l_current(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  lua_State* current = coro->current(coro, L);
  if (current == NULL) {
    lua_pushnil(L);
  } else {
    lua_pushthread(L);
  }
  if (current != NULL && lua_tothread(L, -1) != current) luaL_error(L, "not L");
  return 1;
}

/* status(thread) -> string */
static int l_status(lua_State* L) {
  static const char* const words[] = {"suspended", "running", "normal", "dead"};
  const luacoro_abi* coro = luacoro_load(L);
  lua_pushstring(L, words[coro->status(coro, L, check_thread(L, 1))]);
  return 1;
}

/* transfer(below, thread, ...) -> what it gets; `below` is a value that stays where it is */
static int l_transfer(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  int n = 0;
  CHECKING_THE_FRAME(L, n = coro->transfer(coro, L, check_thread(L, 2), lua_gettop(L) - 2));
  if (lua_gettop(L) != n + 2) luaL_error(L, "%d values instead of %d", lua_gettop(L) - 2, n);
  lua_pushvalue(L, 1);
  return n + 1;
}

static int return_status(lua_State* L, int status, int r, int below) {
  if (lua_gettop(L) != r + below) luaL_error(L, "%d values instead of %d", lua_gettop(L), r);
  lua_pushboolean(L, status);
  lua_insert(L, below + 1);
  return r + 1;
}

/* ptransfer(thread, ...) -> true, ... or false, error, traceback */
static int l_ptransfer(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  int r = 0, status = 0;
  CHECKING_THE_FRAME(L,
                     status = coro->ptransfer(coro, L, check_thread(L, 1), lua_gettop(L) - 1, &r));
  return return_status(L, status, r, 1);
}

/* resume(thread, ...) -> true, ... or false, error [, traceback] */
static int l_resume(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  int r = 0, status = 0;
  CHECKING_THE_FRAME(L, status = coro->resume(coro, L, check_thread(L, 1), lua_gettop(L) - 1, &r));
  return return_status(L, status, r, 1);
}

/* count_up(n): yields 1 to n from a loop in C; returns what the last yield gave */
static int l_count_up(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  const lua_Integer n = luaL_checkinteger(L, 1);
  lua_Integer i;
  int r = 0;
  for (i = 1; i <= n; i++) {
    lua_settop(L, 1);
    lua_pushinteger(L, i);
    CHECKING_THE_FRAME(L, r = coro->yield(coro, L, 1));
  }
  return r;
}

/* throw(thread, error) -> what it gets */
static int l_throw(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  lua_settop(L, 2);
  return coro->throw_error(coro, L, check_thread(L, 1));
}

/* close(thread) -> true or false, error */
static int l_close(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  lua_settop(L, 1);
  lua_pushboolean(L, coro->close(coro, L, check_thread(L, 1)));
  lua_insert(L, 2);
  return lua_gettop(L) - 1;
}

/* can_wait() -> boolean */
static int l_can_wait(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  lua_pushboolean(L, coro->can_wait(coro, L));
  return 1;
}

static int call_counting(lua_State* L, void* data) {
  ++*(int*)data;
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* protect(f, ...) -> true, ... or false, error */
static int l_protect(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  int calls = 0;
  const int n = coro->protect(coro, L, call_counting, &calls, lua_gettop(L));
  if (calls != 1 || lua_gettop(L) != (n < 0 ? 1 : n)) luaL_error(L, "not called as it should be");
  lua_pushboolean(L, n >= 0);
  lua_insert(L, 1);
  return lua_gettop(L);
}

/* Its elements are marks. */
static const char marks[8];

static const void* check_mark(lua_State* L, int index) {
  lua_Integer number = luaL_checkinteger(L, index);
  luaL_argcheck(L, number >= 0 && number < (lua_Integer)sizeof marks, index, "no such mark");
  return number == 0 ? NULL : &marks[number];
}

/* leave(thread or nil, mark, kept, ...) -> what somebody continues it with. Transfers the values.
 */
static int l_leave(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  const void* mark = check_mark(L, 2);
  luaL_checkany(L, 3);
  return coro->leave(coro, L, check_thread(L, 1), lua_gettop(L) - 3, mark);
}

/* leave_full() -> what somebody continues it with; its frame has hardly any room left */
static int l_leave_full(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  int i;
  lua_settop(L, 0);
  for (i = 0; i < LUA_MINSTACK - 4; i++) lua_pushinteger(L, i);
  return coro->leave(coro, L, NULL, 0, &marks[1]);
}

/* mark_of(thread) -> the mark, or 0 */
static int l_mark_of(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  const char* mark = (const char*)coro->mark_of(coro, check_thread(L, 1));
  lua_pushinteger(L, mark != NULL ? (lua_Integer)(mark - marks) : 0);
  return 1;
}

/* exchange(thread, value) -> what the thread, which is in `leave`, keeps; it keeps the value now */
static int l_exchange(lua_State* L) {
  lua_State* thread = check_thread(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(thread, 3);
  lua_xmove(L, thread, 1);
  lua_insert(thread, -2);
  lua_xmove(thread, L, 1);
  lua_replace(thread, 3);
  return 1;
}

/* pretend(version, size): loads a table of another version of coro; raises as that does */
static int l_pretend(lua_State* L) {
  luacoro_abi* other;
  const luacoro_abi* coro = luacoro_load(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUACORO_ABI_KEY);
  other = (luacoro_abi*)lua_newuserdata(L, sizeof *other);
  *other = *coro;
  other->version += (unsigned)luaL_checkinteger(L, 1);
  other->size += (unsigned)luaL_checkinteger(L, 2);
  lua_setfield(L, LUA_REGISTRYINDEX, LUACORO_ABI_KEY);
  lua_pushvalue(L, lua_upvalueindex(1));
  if (lua_pcall(L, 0, 0, 0) == 0) lua_pushnil(L);
  lua_insert(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, LUACORO_ABI_KEY);
  return 1;
}

static int l_load(lua_State* L) {
  (void)luacoro_load(L);
  return 0;
}

static void set(lua_State* L, const char* name, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_setfield(L, -2, name);
}

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_waiting(lua_State *L);

int luaopen_waiting(lua_State* L) {
  lua_newtable(L);
  set(L, "take", l_take);
  set(L, "suspend", l_suspend);
  set(L, "wait", l_wait);
  set(L, "wait_twice", l_wait_twice);
  set(L, "complete", l_complete);
  set(L, "fail", l_fail);
  set(L, "drop", l_drop);
  set(L, "create", l_create);
  set(L, "current", l_current);
  set(L, "status", l_status);
  set(L, "transfer", l_transfer);
  set(L, "ptransfer", l_ptransfer);
  set(L, "resume", l_resume);
  set(L, "count_up", l_count_up);
  set(L, "throw", l_throw);
  set(L, "close", l_close);
  set(L, "load", l_load);
  set(L, "can_wait", l_can_wait);
  set(L, "protect", l_protect);
  set(L, "leave", l_leave);
  set(L, "leave_full", l_leave_full);
  set(L, "mark_of", l_mark_of);
  set(L, "exchange", l_exchange);
  lua_pushcfunction(L, l_load);
  lua_pushcclosure(L, l_pretend, 1);
  lua_setfield(L, -2, "pretend");
  return 1;
}
