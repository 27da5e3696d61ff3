#include "threads/departure.h"

#include "base/check.h"
#include "threads/raising.h"

namespace luacoro {

problem make_room(const departure& d) noexcept {
  switch (lua::reserve(d.to, d.values + 1)) {  // a status may come before the values
    case lua::room::enough: return problem::none;
    case lua::room::too_many: return problem::too_many_values;
    case lua::room::no_memory: break;
  }
  return problem::no_memory;
}

problem check_finalizer(runtime& rt, departure& d) noexcept {
  const bool stays_inside = d.resumes || d.returns;
  if (rt.finalizing != nullptr) {
    // A thread resumed inside a finalizer; it and those that it resumes come back there.
    return stays_inside ? problem::none : problem::in_finalizer;
  }
  if (!lua::in_finalizer(d.from)) return problem::none;
  if (!d.resumes) return problem::in_finalizer;
  d.enters_finalizer = true;
  return problem::none;
}

problem check_nested(const runtime& rt, const departure& d) noexcept {
  return d.from == rt.main ? problem::main_is_nested : problem::none;
}

void raise_on_arrival(runtime& rt, lua_State* to, const place& at) noexcept {
  if (at.on != nullptr || (at.where == standing::unmounted && lua::has_continuations)) {
    rt.arriving = {arrival::kind::error, 1};
  } else if (at.where == standing::fresh) {
    lua_rawgeti(to, LUA_REGISTRYINDEX, rt.raiser_ref);
    lua_insert(to, -2);
    rt.arriving = {arrival::kind::values, 1};
  } else {
    lua_xmove(to, rt.scratch, 1);
    raise_when_continued(rt, to);
    rt.arriving = {arrival::kind::values, 0};
  }
}

int arrive_otherwise(lua_State* L, runtime& rt) {
  if (rt.arriving.what == arrival::kind::error) lua::raise(L);
  // Asked to unmount (evict): the ticket of a mounted thread makes room for the other kind.
  const carrier& here = *rt.current;
  lua_pop(L, 1);
  push_unmounted_ticket(rt, L, here.how, here.wait, {here.resumer, here.depth});
  return lua::yield_frame(L, arrive_unmounted);
}

LUACORO_CONTINUATION(arrive_unmounted) {
  runtime& rt = runtime_of_function(L);
  if (rt.current->base != L)
    return luaL_error(L, "coroutine was suspended by coro and must be continued by it");
  return arrive(L, rt);
}

}  // namespace luacoro
