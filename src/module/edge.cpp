#include "module/edge.h"

#include <cerrno>
#include <cstring>

#include "threads/failure.h"

namespace luacoro {

namespace {

// What needs no figures.
const char* text_of(problem why) noexcept {
  switch (why) {
    case problem::not_resumed: return not_resumed;
    case problem::in_finalizer: return "attempt to transfer inside a finalizer";
    case problem::too_many_values: return "too many values to transfer";
    case problem::above_main:
      return "attempt to leave a standard coroutine that main runs inside another coroutine";
    case problem::closed: return "cannot run a coroutine while the Lua state is being closed";
    case problem::no_memory: return "not enough memory";
    default: return "";
  }
}

}  // namespace

problem check_target(const runtime& rt, const departure& d) noexcept {
  if (d.to == d.from) return problem::to_current;
  if (d.at.where == standing::dead) return problem::to_dead;
  if (d.at.where == standing::busy) return problem::to_busy;
  if (d.at.how == waiting::close) return problem::to_closing;
  if (d.at.on == &rt.host) {
    const bool buries = d.from == rt.main && rt.current != &rt.host;
    if (buries || host_is_buried(rt)) return problem::to_busy;
  }
  return problem::none;
}

void push_problem(lua_State* L, const runtime& rt, problem why, const char* verb) {
  const int cause = errno;
  const auto figure = [](std::size_t n) { return static_cast<int>(n); };
  switch (why) {
    case problem::to_current: lua_pushfstring(L, "cannot %s to the current coroutine", verb); break;
    case problem::to_dead: lua_pushfstring(L, "cannot %s to dead coroutine", verb); break;
    case problem::to_busy:
      lua_pushfstring(L, "cannot %s to a coroutine that runs another one by a standard resume",
                      verb);
      break;
    case problem::to_closing:
      lua_pushfstring(L, "cannot %s to a coroutine that is closing another one", verb);
      break;
    case problem::too_deep:
      lua_pushfstring(L,
                      "C stack overflow (coroutines resumed inside one another, to a depth of %d, "
                      "which is max_depth of coro.configure)",
                      figure(rt.configured.max_depth));
      break;
    case problem::no_stacks:
      lua_pushfstring(L,
                      "too many C stacks: %d are in use by pinned or running coroutines, which is "
                      "max_stacks of coro.configure",
                      figure(rt.configured.max_stacks));
      break;
    case problem::no_mapping:
      lua_pushfstring(L,
                      "the system has no mapping for another C stack (%d are in use): %s; raise "
                      "vm.max_map_count with sysctl, or the address space with ulimit -v",
                      figure(rt.pool.in_use()), std::strerror(cause));
      break;
    default: lua_pushstring(L, text_of(why));
  }
}

void raise_problem(lua_State* L, const runtime& rt, problem why, const char* verb) {
  luaL_where(L, 1);
  push_problem(L, rt, why, verb);
  if (why != problem::no_memory) lua_concat(L, 2);  // Lua's own has no position
  lua_error(L);
  __builtin_unreachable();
}

void raise_type_error(lua_State* L, int index, const char* expected) {
  luaL_argerror(L, index, lua_pushfstring(L, "%s, got %s", expected, luaL_typename(L, index)));
  __builtin_unreachable();
}

lua_State* check_thread(lua_State* L) {
  lua_State* T = lua_tothread(L, 1);
  if (T == nullptr) [[unlikely]] {
    if (lua::tells_what_it_got) raise_type_error(L, 1, lua::thread_expected);
    luaL_argerror(L, 1, lua::thread_expected);
  }
  return T;
}

}  // namespace luacoro
