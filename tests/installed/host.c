/* A host in C that links coro statically. */
#include <luacoro/abi.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

static luacoro_waiter waiter;

static int l_wait(lua_State* L) {
  const luacoro_abi* coro = luacoro_load(L);
  coro->take(coro, L, &waiter);
  return coro->suspend(coro, L, &waiter, NULL);
}

int main(void) {
  static const char script[] =
      "result = 'waits'\n"
      "thread = coro.create(function() -- reachable as long as it waits\n"
      "  table.sort({ 1, 2 }, function() result = wait() end)\n"
      "  coro.transfer(nil)\n"
      "end)\n"
      "coro.transfer(thread)";
  lua_State* L = luaL_newstate();
  const luacoro_abi* coro;
  int failed;
  luaL_openlibs(L);
  lua_pushcfunction(L, luaopen_coro);
  lua_call(L, 0, 1);
  lua_setglobal(L, "coro");
  lua_register(L, "wait", l_wait);
  coro = luacoro_load(L);
  failed = luaL_dostring(L, script);
  lua_pushliteral(L, "completed");
  failed = failed || coro->complete(coro, L, &waiter, 1) != LUACORO_CONTINUED;
  lua_getglobal(L, "result");
  failed = failed || strcmp(lua_tostring(L, -1), "completed") != 0;
  lua_close(L);
  puts(failed ? "failed" : "worked");
  return failed;
}
