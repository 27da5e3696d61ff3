#include "threads/failure.h"

#include <cstring>

#include "threads/closing.h"

namespace luacoro {
namespace {

struct text_request {
  const char* text;
  lua_State* to;
};

int push_text_protected(lua_State* L) {
  const auto& request = *static_cast<const text_request*>(lua_touserdata(L, 1));
  lua_pushstring(L, request.text);
  lua_xmove(L, request.to, 1);
  return 0;
}

// The error, also kept on top of the failed thread.                                         L: [+1]
void push_error(lua_State* L, const failure& f) {
  if (f.text != nullptr) {
    lua_pushstring(L, f.text);
  } else {
    // There and back: a thread that failed has no room for a value more.
    lua_xmove(f.failed, L, 1);
    lua_pushvalue(L, -1);
    lua_xmove(L, f.failed, 1);
  }
}

// Who called the C function that T waits in, as luaL_where has it; "" if it is no Lua function.
//                                                                                           L: [+1]
void push_position(lua_State* L, lua_State* T) {
  lua_Debug ar;
  if (lua_getstack(T, 1, &ar) && lua_getinfo(T, "Sl", &ar) && ar.currentline > 0) {
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
  } else {
    lua_pushliteral(L, "");
  }
}

// false, error, traceback; or the error alone, with the caller's position where `wrap` adds it.
int build_report(lua_State* L) {
  const auto& f = *static_cast<const failure*>(lua_touserdata(L, 1));
  lua_settop(L, 0);
  if (returns_status(f.how)) {
    lua_pushboolean(L, 0);
    push_error(L, f);
    lua::push_traceback(L, f.failed);
  } else {
    push_error(L, f);
    if (f.how == waiting::wrap && f.resumed && !f.out_of_memory && lua::wrap_adds_position(L, -1)) {
      push_position(L, f.recipient);
      lua_insert(L, -2);
      lua_concat(L, 2);
    }
  }
  lua_xmove(L, f.recipient, lua_gettop(L));
  return 0;
}

}  // namespace

void push_text(runtime& rt, lua_State* to, const char* text) noexcept {
  text_request request{text, to};
  (void)lua::call_protected(rt.worker, push_text_protected, &request, to);
}

void report_failure(runtime& rt, const failure& f) noexcept {
  const bool as_status = returns_status(f.how);
  failure request = f;
  if (lua::call_protected(rt.worker, build_report, &request) != LUA_OK) {
    if (as_status) lua_pushboolean(f.recipient, 0);
    if (f.text != nullptr) {
      push_text(rt, f.recipient, f.text);
    } else {
      push_error(f.recipient, f);
    }
    if (as_status) lua_pushnil(f.recipient);
  }
  // After finalizers have run, which may have switched.
  rt.arriving = as_status ? with_values(3) : arrival::with_error;
  if (lua_status(f.failed) == LUA_OK) lua_settop(f.failed, 0);  // else it would be a fresh one
}

void report_close(runtime& rt, lua_State* T, int status, lua_State* closer) noexcept {
  const char* text =
      status != LUA_OK && lua_type(T, -1) == LUA_TSTRING ? lua_tostring(T, -1) : nullptr;
  const bool failed = status != LUA_OK && (text == nullptr || std::strcmp(text, closing_text) != 0);
  lua_pushboolean(closer, !failed);
  if (failed) lua_xmove(T, closer, 1);
  lua_settop(T, 0);
  rt.arriving = with_values(failed ? 2 : 1);
}

}  // namespace luacoro
