#include "threads/failure.h"

#include <cstring>

#include "threads/closing.h"

namespace luacoro {
namespace {

// What is made on the worker goes to the scratch thread, and to who gets it when no finalizer can
// run any more: that one waits until then as it did. On 5.1 finalizers run when the function has
// returned, too, and what they raise is taken for its error.
struct text_request {
  const char* text;
  lua_State* scratch;
};

int push_text_protected(lua_State* L) {
  const auto& request = *static_cast<const text_request*>(lua_touserdata(L, 1));
  lua_pushstring(L, request.text);
  lua_xmove(L, request.scratch, 1);
  return 0;
}

struct report_request {
  const failure& f;
  lua_State* scratch;
};

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
  const auto& request = *static_cast<const report_request*>(lua_touserdata(L, 1));
  const failure& f = request.f;
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
  lua_xmove(L, request.scratch, lua_gettop(L));
  return 0;
}

}  // namespace

void push_text(runtime& rt, lua_State* to, const char* text) noexcept {
  text_request request{text, rt.scratch};
  const int before = lua_gettop(rt.scratch);
  (void)lua::call_protected(rt.worker, push_text_protected, &request, rt.scratch);
  lua_settop(rt.scratch, before + 1);
  lua_xmove(rt.scratch, to, 1);
}

void report_failure(runtime& rt, const failure& f) noexcept {
  const bool as_status = returns_status(f.how);
  report_request request{f, rt.scratch};
  const int before = lua_gettop(rt.scratch);
  (void)lua::call_protected(rt.worker, build_report, &request);
  if (const int n = lua_gettop(rt.scratch) - before; n > 0) {
    lua_xmove(rt.scratch, f.recipient, n);
  } else {  // no memory
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
