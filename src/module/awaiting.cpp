// await.
#include "module/edge.h"

namespace luacoro {
namespace {

// In Lua, so that who waits has no C frames on it and can be unmounted. `over` says that nobody is
// there to be continued: the thread went on, by whatever route, with values or with an error.
constexpr char source[] = R"lua(
local coro = ...
local error, select, type, unpack = error, select, type, table and table.unpack or unpack
local current, status, transfer, ptransfer = coro.current, coro.status, coro.transfer, coro.ptransfer

return function(start)
  if type(start) ~= "function" then
    error(("bad argument #1 to 'await' (function expected, got %s)"):format(type(start)), 2)
  end
  local thread = current()
  if not thread then error("attempt to await in main, which cannot be left", 2) end
  local waits, over, values, n = false, false, nil, 0
  start(function(...)
    if over or status(thread) == "dead" then return end
    if waits then return transfer(thread, ...) end
    over = true
    values, n = { ... }, select("#", ...)
  end)
  if over then return unpack(values, 1, n) end
  waits = true
  local function go_on(ok, ...)
    over = true
    if ok then return ... end
    error((...), 0)
  end
  return go_on(ptransfer(nil))
end
)lua";

}  // namespace

void add_await(lua_State* L) {
  if (luaL_loadbuffer(L, source, sizeof source - 1, "=coro") != LUA_OK) lua_error(L);
  lua_pushvalue(L, -2);
  lua_call(L, 1, 1);
  lua_setfield(L, -2, "await");
}

}  // namespace luacoro
