/* A Lua module for the specs: processes.
 *
 *   fork() -> pid, 0 in the child
 *   wait(pid) -> the status that it exited with, or nil and its signal
 */
#define _POSIX_C_SOURCE 200809L
#include <lauxlib.h>
#include <lua.h>
#include <sys/wait.h>
#include <unistd.h>

static int fork_here(lua_State* L) {
  lua_pushinteger(L, fork());
  return 1;
}

static int wait_for(lua_State* L) {
  int status = 0;
  waitpid((pid_t)luaL_checknumber(L, 1), &status, 0);
  if (WIFEXITED(status)) {
    lua_pushinteger(L, WEXITSTATUS(status));
    return 1;
  }
  lua_pushnil(L);
  lua_pushinteger(L, WTERMSIG(status));
  return 2;
}

int luaopen_forking(lua_State* L) {
  lua_newtable(L);
  lua_pushcfunction(L, fork_here);
  lua_setfield(L, -2, "fork");
  lua_pushcfunction(L, wait_for);
  lua_setfield(L, -2, "wait");
  return 1;
}
