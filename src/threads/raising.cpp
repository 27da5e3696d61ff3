#include "threads/raising.h"

namespace luacoro {
namespace {

void restore_hook(runtime& rt) noexcept {
  lua::put_back(rt.raising);
  rt.raising = {};
}

void raise_now(lua_State* L, lua_Debug*) {
  runtime& rt = runtime_of_universe(L);
  if (rt.raising.thread != L) return;
  restore_hook(rt);
  lua_xmove(rt.scratch, L, 1);
  lua::raise_in_hook(L, rt.layout);
}

}  // namespace

void raise_when_continued(runtime& rt, lua_State* T) noexcept {
  rt.raising = lua::hook_of(T);
  lua::leave_compiled_code(T);
  lua_sethook(T, raise_now, LUA_MASKRET | LUA_MASKCOUNT, 1);
}

bool take_back_error(runtime& rt, lua_State* T) noexcept {
  if (rt.raising.thread != T) return false;
  restore_hook(rt);
  lua_settop(T, 0);
  lua_xmove(rt.scratch, T, 1);
  return true;
}

}  // namespace luacoro
