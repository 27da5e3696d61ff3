// resume, and calling what `wrap` made.
#include "module/edge.h"

namespace luacoro {

problem prepare_resume(runtime& rt, departure& d) noexcept {
  d.resumes = true;
  return prepare(rt, d, [&rt](const departure& checked) {
    if (checked.at.where <= standing::yielded && !is_normal(checked.at.how) &&
        checked.at.on != &rt.host) [[likely]]
      return rt.current->depth < rt.configured.max_depth ? problem::none : problem::too_deep;
    if (checked.to == checked.from) return problem::to_current;
    return checked.at.where == standing::dead ? problem::to_dead : problem::to_busy;
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
  luaL_where(L, 1);
  push_refusal(L, rt, why);
  lua_concat(L, 2);
  lua_error(L);
  __builtin_unreachable();
}

// resume(thread, ...) -> true, ... or false, err, traceback
int edges::resume(lua_State* L) {
  runtime& rt = runtime_of_function(L);
  lua_State* to = check_thread(L);
  departure d{.from = L, .to = to, .at = {}, .values = lua_gettop(L) - 1, .how = waiting::resume};
  if (const problem why = prepare_resume(rt, d); why != problem::none) [[unlikely]] {
    if (why == problem::no_memory) raise_problem(L, rt, why, "resume");
    lua_pushboolean(L, 0);
    push_refusal(L, rt, why);
    return 2;
  }
  return go(L, rt, d);
}

// What `wrap` returns. Upvalues: the runtime, the thread.
int edges::resume_wrapped(lua_State* L) {
  runtime& rt = runtime_of_function(L);
  lua_State* to = lua_tothread(L, lua_upvalueindex(2));
  departure d{.from = L, .to = to, .at = {}, .values = lua_gettop(L), .how = waiting::wrap};
  if (const problem why = prepare_resume(rt, d); why != problem::none) [[unlikely]] {
    raise_refusal(L, rt, why);
  }
  return go(L, rt, d);
}

}  // namespace luacoro
