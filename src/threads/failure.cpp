#include "threads/failure.h"

#include <cstring>

#include "threads/closing.h"
#include "threads/ticket.h"

namespace luacoro {
namespace {

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

// Arguments: the failure, the error. Returns false, the error, a traceback; or the error alone,
// with the caller's position where `wrap` adds it.
int build_report(lua_State* L) {
  const auto& f = *static_cast<const failure*>(lua::address_at(L, 1));
  if (returns_status(f.how)) {
    lua_pushboolean(L, 0);
    lua_insert(L, 2);
    lua::push_traceback(L, f.failed);
    return 3;
  }
  if (f.how == waiting::wrap && f.resumed && !f.out_of_memory && lua::wrap_adds_position(L, -1)) {
    push_position(L, f.recipient);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return 1;
}

// The error, also kept on top of the failed thread.                                    worker: [+1]
void push_error(const runtime& rt, lua_State* worker, const failure& f) noexcept {
  if (f.text != runtime::no_slot) {
    push_from_shelf(rt, worker, f.text);
  } else {
    push_error_of(f.failed, worker);
  }
}

// Is the innermost of a thread's functions one in Lua?
bool is_in_lua(lua_State* T) noexcept {
  lua_Debug ar;
  return lua_getstack(T, 0, &ar) && lua_getinfo(T, "S", &ar) && *ar.what != 'C';
}

// What the recipient gets, by build_report, for the error on top; false if there is no memory for
// it. Finalizers run, also when it has returned (5.1), and what they raise (before 5.4) is taken
// for an error of its own: then it is called again.
//                                                                                 worker: [-0, +n]
bool push_report(const runtime& rt, lua_State* worker, const failure& f) noexcept {
  const lua::kept_frames frames(f.failed, rt.layout);
  constexpr int most_calls = 10;
  for (int calls = 0; calls < most_calls; ++calls) {
    push_from_shelf(rt, worker, runtime::reporter);
    lua::push_address(worker, &f);
    lua_pushvalue(worker, -3);
    const int status = lua::call_unseen(worker, 2, LUA_MULTRET);
    if (status == LUA_OK) return true;
    lua_pop(worker, 1);
    if (status == LUA_ERRMEM) return false;
  }
  return false;
}

}  // namespace

void push_error_of(lua_State* T, lua_State* to) noexcept {
  // There and back: a thread that failed has no room for a value more.
  lua_xmove(T, to, 1);
  lua_pushvalue(to, -1);
  lua_xmove(to, T, 1);
}

bool has_error(const runtime& rt, lua_State* T) noexcept {
  return lua_status(T) > LUA_YIELD && lua_gettop(T) > 0 && ticket_of(rt, T) != ticket_of_nobody;
}

void forget_error(const runtime& rt, lua_State* T) noexcept {
  if (lua_status(T) == LUA_OK || !is_in_lua(T)) {
    lua_settop(T, 0);
  } else {
    lua_pop(T, 1);
    lua::by_api::push_name(T, rt.names.name(ticket_of_nobody), rt.layout);
  }
}

void report_failure(runtime& rt, const failure& f) noexcept {
  // It is replaced by another one while finalizers resume threads. Nothing of the report is
  // elsewhere until it is complete: they find the recipient waiting, and may close the thread that
  // failed.
  lua_State* worker = rt.worker;
  const int before = lua_gettop(worker);
  const bool as_status = returns_status(f.how);
  push_error(rt, worker, f);
  if (lua_status(f.failed) == LUA_OK) lua_settop(f.failed, 0);  // else it would be a fresh one
  if (!push_report(rt, worker, f)) {
    if (as_status) lua_pushboolean(worker, 0);
    lua_pushvalue(worker, before + 1);
    if (as_status) lua_pushnil(worker);
  }
  lua_xmove(worker, f.recipient, lua_gettop(worker) - before - 1);
  lua_settop(worker, before);
  rt.arriving = as_status ? with_values(3) : arrival::with_error;
}

void report_close(runtime& rt, lua_State* T, int status, lua_State* closer) noexcept {
  const char* text =
      status != LUA_OK && lua_type(T, -1) == LUA_TSTRING ? lua_tostring(T, -1) : nullptr;
  const bool failed = status != LUA_OK && (text == nullptr || std::strcmp(text, closing_text) != 0);
  lua_pushboolean(closer, !failed);
  if (failed) push_error_of(T, closer);
  forget_error(rt, T);
  rt.arriving = with_values(failed ? 2 : 1);
}

void prepare_reports(runtime& rt, lua_State* L) {
  lua_pushcfunction(L, build_report);
  put_on_shelf(rt, L, runtime::reporter);
  lua_pushstring(L, not_resumed);
  put_on_shelf(rt, L, runtime::not_resumed_text);
  lua_pushliteral(L, "coroutine ended without transferring control");
  put_on_shelf(rt, L, runtime::ended_text);
  lua_pushliteral(L, "too many results to resume");
  put_on_shelf(rt, L, runtime::too_many_results_text);
}

}  // namespace luacoro
