// resume, and calling what `wrap` made.
#include "module/edge.h"
#include "threads/closing.h"

namespace luacoro {

problem prepare_resume(runtime& rt, departure& d) noexcept {
  d.resumes = true;
  return prepare(rt, d, [&rt](departure& d) {
    d.at = find(rt, d.to);
    const bool is_main = d.to == rt.main || d.at.on == &rt.host;
    if (d.at.where <= standing::yielded && !is_normal(d.at.how) && !is_main)
      return rt.current->depth < rt.configured.max_depth ? problem::none : problem::too_deep;
    if (d.to == d.from) return problem::to_current;
    return d.at.where == standing::dead ? problem::to_dead : problem::to_busy;
  });
}

void push_refusal(lua_State* L, const runtime& rt, problem why) {
  switch (why) {
    case problem::to_current: lua_pushstring(L, lua::resume_running); break;
    case problem::to_busy: lua_pushstring(L, lua::resume_normal); break;
    case problem::to_dead: lua_pushliteral(L, "cannot resume dead coroutine"); break;
    case problem::too_many_values: lua_pushliteral(L, "too many arguments to resume"); break;
    default: push_problem(L, rt, why, "resume");
  }
}

void raise_refusal(lua_State* L, const runtime& rt, problem why) {
  if (why == problem::no_memory) raise_problem(L, rt, why, "resume");
  luaL_where(L, 1);
  push_refusal(L, rt, why);
  lua_concat(L, 2);
  lua_error(L);
  __builtin_unreachable();
}

namespace {

// 5.4's `wrap` raises the error that its thread died by, if nobody closed the thread since.
// MAY SWITCH (__close metamethods run).
void raise_unclosed_error(lua_State* L, runtime& rt, lua_State* T) {
  if (!lua::has_close || lua_status(T) <= LUA_YIELD) return;
  check_closes(L, rt);
  const bool adds_position = close_here(rt, T) != LUA_ERRMEM && lua::wrap_adds_position(T, -1);
  if (adds_position) luaL_where(L, 1);
  lua_xmove(T, L, 1);
  if (adds_position) lua_concat(L, 2);
  lua_error(L);
}

int resume_thread(lua_State* L, runtime& rt, lua_State* to) {
  departure d{.from = L, .to = to, .at = {}, .values = lua_gettop(L) - 1, .how = waiting::resume};
  if (const problem why = prepare_resume(rt, d); why != problem::none) {
    if (why == problem::no_memory) raise_problem(L, rt, why, "resume");
    lua_pushboolean(L, 0);
    push_refusal(L, rt, why);
    return 2;
  }
  return go(L, rt, d);
}

int resume_wrapped_thread(lua_State* L, runtime& rt, lua_State* to) {
  departure d{.from = L, .to = to, .at = {}, .values = lua_gettop(L), .how = waiting::wrap};
  if (const problem why = prepare_resume(rt, d); why != problem::none) {
    if (why == problem::to_dead) raise_unclosed_error(L, rt, to);
    raise_refusal(L, rt, why);
  }
  return go(L, rt, d);
}

// The plain departures. False if it takes the general way.
template <waiting how>
[[gnu::always_inline]] inline bool resume_plainly(lua_State* L, runtime& rt, lua_State* to, int n,
                                                  int& results) {
  if (rt.current->depth >= rt.configured.max_depth) [[unlikely]]
    return false;
  const leaving way = way_to_leave(rt, L);
  const std::size_t ticket = ticket_of<lua::by_layout>(rt, to);
  carrier* there = mounted_on(rt, to, ticket);
  const bool stays = way != leaving::unmounted && way != leaving::in_general;
  if (there != nullptr && there->base == to && there->how == waiting::yield && stays &&
      has_room(rt, to, n)) [[likely]] {
    results = depart_mounted<how>(L, rt, to, *there, n, way);
    return true;
  }
  const place at = place_of_plain_target(rt, to, ticket);
  return depart_otherwise<how>(L, rt, to, at, n, way, results);
}

}  // namespace

// resume(thread, ...) -> true, ... or false, err, traceback
int edges::resume_in_general(lua_State* L) {
  return resume_thread(L, runtime_of_function(L), check_thread(L));
}

int edges::resume(lua_State* L) {
  runtime& rt = runtime_of_plain_function(L);
  lua_State* to = lua::by_layout::thread_argument(L);
  int results = 0;
  if (to != nullptr &&
      resume_plainly<waiting::resume>(L, rt, to, lua::by_layout::count(L) - 1, results)) [[likely]]
    return results;
  return resume_thread(L, rt, check_thread(L));
}

// What `wrap` returns. Upvalues: the runtime, the thread.
int edges::resume_wrapped_in_general(lua_State* L) {
  return resume_wrapped_thread(L, runtime_of_function(L), lua_tothread(L, lua_upvalueindex(2)));
}

int edges::resume_wrapped(lua_State* L) {
  runtime& rt = runtime_of_plain_function(L);
  lua_State* to = lua::by_layout::thread_upvalue(L);
  int results = 0;
  if (resume_plainly<waiting::wrap>(L, rt, to, lua::by_layout::count(L), results)) [[likely]]
    return results;
  return resume_wrapped_thread(L, rt, to);
}

}  // namespace luacoro
